/**
 * Snapshots of a room's state: the calls that store and read them in parts, and what a part may be.
 * A snapshot is text (see core/snapshot-value.ts) that carries the position it was taken at.
 */
import * as v from "valibot";
import { isRoomId, type RoomId } from "./names.ts";
import { positionSchema, type Position } from "./link.ts";

/** UTF-16 units of a whole snapshot: as many bytes when it is ASCII. */
export const maxSnapshotUnits = 32 * 1024 * 1024;
/** UTF-16 units of one part, so that a call stays far below what one may carry. */
export const snapshotPartUnits = 512 * 1024;

const roomSchema = v.custom<RoomId>((value) => typeof value === "string" && isRoomId(value));
const indexSchema = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

export const snapshotRequests = [
  /** Begins a newer snapshot than the room has. One that was begun before and not finished is dropped. */
  v.strictObject({
    type: v.literal("beginSnapshot"),
    room: roomSchema,
    position: positionSchema,
    /** SHA-256 of each part in hexadecimal, in order. */
    digests: v.array(v.string()),
    /** Nobody asked for it: one that was begun just before goes first. */
    isTimed: v.exactOptional(v.literal(true)),
  }),
  v.strictObject({
    type: v.literal("snapshotPart"),
    room: roomSchema,
    id: v.string(),
    index: indexSchema,
    text: v.string(),
  }),
  /** From here on this is the room's snapshot. */
  v.strictObject({ type: v.literal("commitSnapshot"), room: roomSchema, id: v.string() }),
  v.strictObject({ type: v.literal("snapshot"), room: roomSchema }),
  v.strictObject({
    type: v.literal("readSnapshot"),
    room: roomSchema,
    id: v.string(),
    index: indexSchema,
  }),
  v.strictObject({ type: v.literal("dropSnapshot"), room: roomSchema }),
] as const;

export type SnapshotInfo = {
  readonly id: string;
  readonly position: Position;
  readonly digests: readonly string[];
  /** Epoch milliseconds. */
  readonly takenAt: number;
  readonly expiresAt: number;
  /** UTF-16 units. */
  readonly size: number;
};

/** A snapshot as the registry's HTTP API shows it. */
export type RoomSnapshot = {
  readonly roomId: string;
  /** The state is that of all messages up to this position. */
  readonly epoch: string;
  readonly seq: number;
  /** Epoch milliseconds. */
  readonly takenAt: number;
  readonly expiresAt: number;
  /** Characters of text. */
  readonly size: number;
  /** When the snapshot was read, where it is JSON and not large. */
  readonly state?: unknown;
  /** Shards that went back to it, when it was restored. */
  readonly shards?: readonly string[];
};

export type SnapshotReplies = {
  beginSnapshot: { readonly id: string };
  snapshotPart: null;
  commitSnapshot: SnapshotInfo;
  snapshot: SnapshotInfo;
  readSnapshot: { readonly text: string };
  dropSnapshot: null;
};

/** SHA-256 in hexadecimal. */
export async function digestOf(text: string): Promise<string> {
  const bytes = new Uint8Array(
    await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)),
  );
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
