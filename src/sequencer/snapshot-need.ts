/**
 * What of the log the newest snapshot still needs, so that the state of a room can be built again: all
 * that comes after it, until it expires. Knows nothing of what a snapshot is.
 */
import type { Position } from "../protocol/link.ts";
import type { SnapshottedRow } from "./journal-rows.ts";

/** What a shard says: where the newest snapshot is, or, with `takenAt` of `null`, that there is none. */
type SnapshotNews = {
  readonly position: Position;
  readonly takenAt: number | null;
  readonly expiresAt: number;
};

export class SnapshotNeed {
  readonly #write: (row: SnapshottedRow) => void;
  #row: SnapshottedRow | null = null;
  #isLost = false;

  constructor(write: (row: SnapshottedRow) => void) {
    this.#write = write;
  }

  restore(row: SnapshottedRow | null): void {
    this.#row = row;
    this.#isLost = false;
  }

  /** A snapshot of this life of the room; an older one than is known changes nothing. */
  tell(told: SnapshotNews, now: number): void {
    const { seq } = told.position;
    const known = this.#row !== null && this.#row.expiresAt > now ? this.#row : null;
    // Without a snapshot there is nothing new to say once something is known.
    if (known !== null && (told.takenAt === null || seq < known.seq)) return;
    this.#isLost = false;
    this.#row = { seq, takenAt: told.takenAt, expiresAt: told.expiresAt };
    this.#write(this.#row);
  }

  /** Messages up to here are not needed for it. */
  through(now: number, head: number): number {
    return this.#row === null || this.#row.expiresAt <= now ? head : this.#row.seq;
  }

  /** Whether the log, which begins after `start`, has now lost what is needed; true once. */
  lost(now: number, head: number, start: number): boolean {
    if (this.#isLost || start <= this.through(now, head)) return false;
    this.#isLost = true;
    return true;
  }

  newest(now: number): { readonly seq: number; readonly takenAt: number } | null {
    if (this.#row === null || this.#row.takenAt === null || this.#row.expiresAt <= now) return null;
    return { seq: this.#row.seq, takenAt: this.#row.takenAt };
  }
}
