/** When rooms' snapshots are over: looked up without looking at every room. */
import { Deadlines } from "../core/deadlines.ts";
import type { RoomId } from "../protocol/names.ts";

type Due = { readonly room: RoomId; dueAt: number | null };
/** Two, since what is on its way is given up long before the newest one expires. */
type Dues = { readonly newest: Due; readonly unfinished: Due };

export class SnapshotDeadlines {
  readonly #deadlines = new Deadlines<Due>();
  readonly #dues = new Map<RoomId, Dues>();

  /** `null` when there is none. A newest one that is due sooner stays so: it is looked at in vain. */
  set(room: RoomId, newestAt: number | null, unfinishedAt: number | null): void {
    const known = this.#dues.get(room);
    if (known === undefined && newestAt === null && unfinishedAt === null) return;
    const dues = known ?? { newest: { room, dueAt: null }, unfinished: { room, dueAt: null } };
    this.#dues.set(room, dues);
    if (newestAt !== null) this.#deadlines.set(dues.newest, newestAt);
    if (unfinishedAt === null) dues.unfinished.dueAt = null;
    else this.#deadlines.set(dues.unfinished, unfinishedAt);
    this.#dropIdle(room, dues);
  }

  next(): number | null {
    return this.#deadlines.next();
  }

  /** The next room that is to be looked at, and set anew if it has a snapshot still. */
  take(now: number): RoomId | undefined {
    const due = this.#deadlines.take(now);
    if (due === undefined) return undefined;
    const dues = this.#dues.get(due.room);
    if (dues !== undefined) this.#dropIdle(due.room, dues);
    return due.room;
  }

  #dropIdle(room: RoomId, { newest, unfinished }: Dues): void {
    if (newest.dueAt === null && unfinished.dueAt === null) this.#dues.delete(room);
  }
}
