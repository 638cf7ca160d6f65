/** Why a shard did not take a socket, and what the client is told of it. */
import type { RoomId } from "../protocol/names.ts";
import type { ProblemCode } from "../protocol/problems.ts";
import { refusal, type Refusal } from "./http.ts";

export type Refused = { readonly ok: false; readonly code: string };

/** What is wrong with the ticket or session, which is so on every shard. */
const seatProblems = {
  "ticket-invalid": "the ticket is for no seat of this room",
  "ticket-used": "the ticket was used by another connection",
  "ticket-expired": "the seat was not taken in time, or its grace is over",
} as const satisfies Partial<Record<ProblemCode, string>>;

/** Whether the shard serves no more. */
export function hasLeft(refused: Refused | null): boolean {
  return refused?.code === "draining" || refused?.code === "fenced";
}

export function isFinal(code: string): code is keyof typeof seatProblems {
  return Object.hasOwn(seatProblems, code);
}

export function seatRefusalOf(room: RoomId, refused: Refused | null): Refusal {
  // The seats of a shard that is no more are no more either.
  const code = refused?.code === "fenced" ? "ticket-expired" : refused?.code;
  return refusalOf(room, code ?? "unreachable");
}

export function refusalOf(room: RoomId, code: string): Refusal {
  if (isFinal(code)) return refusal(code, seatProblems[code]);
  return code === "full"
    ? refusal("room-full", `"${room}" has no place for another client at the moment`)
    : refusal("unavailable", `no shard of "${room}" could be reached`);
}
