/** Waiting for something no longer than a while, by the object's own wake-ups. */
import type { Clock } from "../core/ports.ts";
import type { Waking } from "./part.ts";

type Wait = { readonly at: number; readonly end: () => void };

export class Patience implements Waking {
  readonly #clock: Clock;
  readonly #rearm: () => void;
  readonly #waits = new Set<Wait>();

  constructor(clock: Clock, rearm: () => void) {
    this.#clock = clock;
    this.#rearm = rearm;
  }

  /** Resolves when the work is done, or so much later. */
  async within(ms: number, work: Promise<unknown>): Promise<void> {
    const { promise: late, resolve: end } = Promise.withResolvers<void>();
    const wait = { at: this.#clock.now() + ms, end };
    this.#waits.add(wait);
    this.#rearm();
    try {
      await Promise.race([work, late]);
    } finally {
      this.#waits.delete(wait);
    }
  }

  nextDeadline(): number | null {
    // All wait for about as long: the first that began is the first that ends.
    for (const { at } of this.#waits) return at;
    return null;
  }

  wake(now: number): void {
    for (const wait of this.#waits) {
      if (wait.at > now) continue;
      this.#waits.delete(wait);
      wait.end();
    }
  }
}
