/** Rooms by when something is due, the earliest first: a binary heap with one entry a room. */
import type { Room } from "./room-record.ts";

type Entry = { readonly at: number; readonly room: Room };

export class Deadlines {
  readonly #heap: Entry[] = [];

  next(): number | null {
    return this.#heap[0]?.at ?? null;
  }

  /** The room is looked at by then, if it is not sooner already. */
  set(room: Room, at: number): void {
    if (room.dueAt !== null && room.dueAt <= at) return;
    room.dueAt = at;
    const heap = this.#heap;
    let child = heap.length;
    heap.push({ at, room });
    while (child > 0) {
      const parent = (child - 1) >> 1;
      if (!this.#isLater(parent, child)) return;
      this.#swap(parent, child);
      child = parent;
    }
  }

  /** The next room that is due; `undefined` when none is. */
  take(now: number): Room | undefined {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined || first.at > now) return undefined;
      this.#removeFirst();
      // An earlier deadline was set after this one, and has been taken.
      if (first.room.dueAt !== first.at) continue;
      first.room.dueAt = null;
      return first.room;
    }
  }

  #removeFirst(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    heap[0] = last;
    let parent = 0;
    for (;;) {
      let child = 2 * parent + 1;
      if (child >= heap.length) return;
      if (child + 1 < heap.length && this.#isLater(child, child + 1)) child += 1;
      if (!this.#isLater(parent, child)) return;
      this.#swap(parent, child);
      parent = child;
    }
  }

  #isLater(one: number, other: number): boolean {
    return (this.#heap[one]?.at ?? Infinity) > (this.#heap[other]?.at ?? Infinity);
  }

  #swap(one: number, other: number): void {
    const [first, second] = [this.#heap[one], this.#heap[other]];
    if (first === undefined || second === undefined) return;
    this.#heap[one] = second;
    this.#heap[other] = first;
  }
}
