/**
 * Room ids in ascending order, in slices, so that one more among 100,000 moves few others. Knows
 * nothing of what the ids name.
 */
import type { RoomId } from "../protocol/names.ts";

/** A slice that grows beyond this becomes two. */
const maxSlice = 1_024;

export class SortedIds {
  readonly #slices: RoomId[][] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** `id` must not be there yet. */
  add(id: RoomId): void {
    this.#size += 1;
    const at = Math.max(0, this.#sliceOf(id));
    const slice = this.#slices[at];
    if (slice === undefined) {
      this.#slices.push([id]);
      return;
    }
    const last = slice.at(-1);
    // Rows come in order when the object starts.
    if (last === undefined || last < id) slice.push(id);
    else slice.splice(countUpTo(slice, id), 0, id);
    if (slice.length > maxSlice) {
      this.#slices.splice(at + 1, 0, slice.splice(slice.length >> 1));
    }
  }

  remove(id: RoomId): void {
    const at = this.#sliceOf(id);
    const slice = this.#slices[at];
    if (slice === undefined) return;
    const index = countUpTo(slice, id) - 1;
    if (slice[index] !== id) return;
    slice.splice(index, 1);
    this.#size -= 1;
    if (slice.length === 0) this.#slices.splice(at, 1);
  }

  /** Ids after `id`, or all; they must not change meanwhile. */
  *after(id: string | null): Generator<RoomId, void> {
    const first = id === null ? 0 : Math.max(0, this.#sliceOf(id));
    for (let at = first; at < this.#slices.length; at += 1) {
      const slice = this.#slices[at] ?? [];
      let index = id === null || at > first ? 0 : countUpTo(slice, id);
      for (; index < slice.length; index += 1) {
        const next = slice[index];
        if (next !== undefined) yield next;
      }
    }
  }

  /** The last slice that begins at `id` or before; -1 when all begin after it. */
  #sliceOf(id: string): number {
    let low = 0;
    let high = this.#slices.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#slices[middle]?.[0] ?? "") <= id) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

/** How many of the ids are `id` or before it (binary search). */
function countUpTo(ids: readonly string[], id: string): number {
  let low = 0;
  let high = ids.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ids[middle] ?? "") <= id) low = middle + 1;
    else high = middle;
  }
  return low;
}
