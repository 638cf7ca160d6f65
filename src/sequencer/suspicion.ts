/**
 * When a shard's failures are to be told to the registry, which probes it: at the second in a row, and
 * again now and then while they last. Knows nothing of what fails.
 */
const failuresInRow = 2;
const repeatMs = 5_000;

export class Suspicion {
  #failures = 0;
  #toldAt: number | null = null;

  /** Whether the registry is to be told now. */
  failed(now: number): boolean {
    this.#failures += 1;
    if (this.#failures < failuresInRow) return false;
    if (this.#toldAt !== null && now - this.#toldAt < repeatMs) return false;
    this.#toldAt = now;
    return true;
  }

  /** The shard has answered. */
  ended(): void {
    this.#failures = 0;
    this.#toldAt = null;
  }
}
