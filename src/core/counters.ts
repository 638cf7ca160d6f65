/** Counters that only rise, taken away by whoever reports them. In memory, by name. */
export class Counters {
  #counts = new Map<string, number>();

  increment(name: string, by = 1): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + by);
  }

  add(counts: Readonly<Record<string, number>>): void {
    for (const [name, count] of Object.entries(counts)) this.increment(name, count);
  }

  /** What was counted since the last `take`. */
  take(): Record<string, number> {
    const counts = Object.fromEntries(this.#counts);
    this.#counts.clear();
    return counts;
  }

  entries(): [name: string, count: number][] {
    return [...this.#counts].toSorted(([one], [other]) => (one < other ? -1 : 1));
  }
}
