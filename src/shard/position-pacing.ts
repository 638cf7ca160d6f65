/**
 * When clients whose topics leave out everything are to be told how far the room is, or they could not
 * resume once history has gone, which goes by number and by age. Knows nothing of who they are.
 */
import type { RoomType } from "../core/rooms.ts";

/** After so many messages at most. */
const maxMessages = 512;
const minMessages = 64;
const minMs = 1_000;

export class PositionPacing {
  readonly #messages: number;
  readonly #ms: number;
  #lastAt: number | null = null;

  constructor(history: RoomType["history"]) {
    const half = Math.floor(history.messages / 2);
    this.#messages = Math.min(Math.max(half, minMessages), maxMessages);
    this.#ms = Math.max((history.seconds * 1_000) / 4, minMs);
  }

  /** An object that has slept does not know for how long: they are told at the next message. */
  forget(): void {
    this.#lastAt = -Infinity;
  }

  /** Whether it is due, now that the room has gone from `after` to `through`. */
  isDue(after: number, through: number, now: number): boolean {
    const isFar = Math.floor(after / this.#messages) !== Math.floor(through / this.#messages);
    this.#lastAt ??= now;
    if (through === after || (!isFar && now < this.#lastAt + this.#ms)) return false;
    this.#lastAt = now;
    return true;
  }
}
