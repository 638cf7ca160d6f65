/**
 * What the application has handed over and the room has not yet taken, in that order: publishes
 * until they have an answer, and sends until they have left. Knows nothing of connections.
 */
import { fromPayload } from "./payload-data.ts";
import type { Payload } from "../src/protocol/payload.ts";
import type { ProblemDocument } from "../src/protocol/problems.ts";
import type { Settings } from "./settings.ts";

/** For `onMessage` of the room class. Leaves once; whether it arrives is not known. */
export type Send = { readonly data: Payload; readonly bytes: number };

export type Publish = {
  readonly id: string;
  /** Its place among all that were handed over; some may be left out. */
  readonly number: number;
  readonly data: Payload;
  readonly topic?: string | undefined;
  readonly bytes: number;
  readonly attempts: number;
  /** When it may leave, also again; `Infinity` while a request is under way. */
  readonly leaveAt: number;
  /** When it is given up: some time after it first left. */
  readonly expiresAt: number;
  /** Why the room did not take it at the last attempt. */
  readonly problem?: ProblemDocument | undefined;
};

export type Outbox = { readonly sends: readonly Send[]; readonly publishes: readonly Publish[] };

/** Where a message has its place in the room's order. A server elsewhere may not tell its epoch. */
export type Published = { readonly epoch?: string | undefined; readonly seq: number };

export type Answer =
  | { readonly ok: true; readonly value: Published }
  | {
      readonly ok: false;
      /** Without one nothing came back, and whether the room took the message is not known. */
      readonly problem?: ProblemDocument | undefined;
      readonly retryAfterMs?: number;
    };

/** How a publish ends for the application. */
export type Outcome =
  | { readonly ok: true; readonly value: Published }
  | {
      readonly ok: false;
      readonly code: "rejected" | "unanswered" | "closed" | "buffer-full";
      readonly problem?: ProblemDocument | undefined;
    };

/** Bytes of the message itself. */
export function byteLength(data: Payload): number {
  return new Blob([fromPayload(data)]).size;
}

export function outboxBytes({ sends, publishes }: Outbox): number {
  return [...sends, ...publishes].reduce((sum, { bytes }) => sum + bytes, 0);
}

export function hasRoomFor(
  outbox: Outbox & { readonly settings: Settings },
  bytes: number,
): boolean {
  const { sends, publishes, settings } = outbox;
  return (
    sends.length + publishes.length < settings.maxEnqueuedMessages &&
    outboxBytes(outbox) + bytes <= settings.maxEnqueuedBytes
  );
}
