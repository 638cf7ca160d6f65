/** So many at once, and so many a second in the long run (a token bucket). Pure; counts in memory. */
export class Allowance {
  readonly #atOnce: number;
  readonly #perSecond: number;
  #left: number;
  #countedAt = -Infinity;

  constructor({ atOnce, perSecond }: { readonly atOnce: number; readonly perSecond: number }) {
    this.#atOnce = atOnce;
    this.#perSecond = perSecond;
    this.#left = atOnce;
  }

  /** Whether one more may pass now. A clock that goes back adds nothing. */
  take(now: number): boolean {
    if (now > this.#countedAt) {
      const earned = ((now - this.#countedAt) / 1_000) * this.#perSecond;
      this.#left = Math.min(this.#atOnce, this.#left + earned);
    }
    this.#countedAt = now;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}
