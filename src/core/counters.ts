/** Counters that only rise, taken away by whoever reports them. In memory, by name. */
import type { Caller } from "./ports.ts";

/** A registry that did not take them is left alone for so long. */
const retryMs = 10_000;

export class Counters {
  #counts = new Map<string, number>();
  #notBefore = -Infinity;

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

  get isEmpty(): boolean {
    return this.#counts.size === 0;
  }

  entries(): [name: string, count: number][] {
    return [...this.#counts].toSorted(([one], [other]) => (one < other ? -1 : 1));
  }

  /** Tells the registry what was counted; it counts on when that fails, and for a while does not ask. */
  async handOver(calls: Caller, registry: string, now: number): Promise<void> {
    if (this.isEmpty || now < this.#notBefore) return;
    const counters = this.take();
    const to = { role: "registry", id: registry } as const;
    const result = await calls.call(to, { type: "count", counters });
    if (result.ok) return;
    this.add(counters);
    this.#notBefore = now + retryMs;
  }
}
