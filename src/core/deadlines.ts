/** Things by when they are due, the earliest first: a binary heap. */

/** `dueAt`: when it is taken; whoever sets it to `null` has it taken no more. */
type Due = { dueAt: number | null };
type Entry<Item> = { readonly at: number; readonly item: Item };

export class Deadlines<Item extends Due> {
  readonly #heap: Entry<Item>[] = [];

  next(): number | null {
    return this.#first()?.at ?? null;
  }

  /** It is taken by then, if it is not sooner already. */
  set(item: Item, at: number): void {
    if (item.dueAt !== null && item.dueAt <= at) return;
    item.dueAt = at;
    const heap = this.#heap;
    let child = heap.length;
    heap.push({ at, item });
    while (child > 0) {
      const parent = (child - 1) >> 1;
      if (!this.#isLater(parent, child)) return;
      this.#swap(parent, child);
      child = parent;
    }
  }

  /** The next that is due; `undefined` when none is. */
  take(now: number): Item | undefined {
    const first = this.#first();
    if (first === undefined || first.at > now) return undefined;
    this.#removeFirst();
    first.item.dueAt = null;
    return first.item;
  }

  #first(): Entry<Item> | undefined {
    for (;;) {
      const first = this.#heap[0];
      // An earlier deadline may have been set after this one, or none holds any more.
      if (first === undefined || first.item.dueAt === first.at) return first;
      this.#removeFirst();
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
