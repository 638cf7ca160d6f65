/** Chance that a test can repeat: numbers from a seed, ids by counting. */
import type { Entropy } from "../../src/core/ports.ts";

export class FakeEntropy implements Entropy {
  #state: number;
  #ids = 0;

  constructor(seed = 1) {
    this.#state = seed;
  }

  /** Park and Miller's generator (1988), which is as random as a test needs. */
  random(): number {
    this.#state = (this.#state * 48_271) % 2_147_483_647;
    return this.#state / 2_147_483_647;
  }

  id(): string {
    this.#ids += 1;
    return `id-${this.#ids}`;
  }
}
