/**
 * Makes sure, after a link broke, that the sequencer is awake and still knows this shard: asks it
 * soon, and again until it has answered. Knows nothing of links or of what is asked.
 */
import { backoffMs } from "../core/backoff.ts";
import type { Clock, Entropy } from "../core/ports.ts";

const renewBounds = { baseMs: 200, maxMs: 30_000 };

export type RenewalOwner = {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly hasClients: () => boolean;
  readonly isLinked: () => boolean;
  /** False when it failed. */
  readonly renew: () => Promise<boolean>;
  /** The deadline has changed. */
  readonly armWake: () => void;
};

export class Renewal {
  readonly #owner: RenewalOwner;
  #at: number | null = null;
  #tries = 0;

  constructor(owner: RenewalOwner) {
    this.#owner = owner;
  }

  nextDeadline(): number | null {
    return this.#at;
  }

  /** The sequencer has dialled. */
  linked(): void {
    this.#tries = 0;
  }

  later(): void {
    if (this.#at !== null || !this.#owner.hasClients()) return;
    this.#tries += 1;
    const { clock, entropy } = this.#owner;
    this.#at = clock.now() + backoffMs(this.#tries, entropy.random(), renewBounds);
    this.#owner.armWake();
  }

  wake(now: number): void {
    if (this.#at === null || this.#at > now) return;
    this.#at = null;
    void this.#renew();
  }

  async #renew(): Promise<void> {
    if (this.#owner.isLinked() || !this.#owner.hasClients()) return;
    if (await this.#owner.renew()) this.#tries = 0;
    // Also when there is a link by now, which may be gone again before the next try.
    else this.later();
  }
}
