/** A clock that stands still until a test moves it. */
import type { Clock } from "../../src/core/ports.ts";

export class FakeClock implements Clock {
  #now: number;

  constructor(now = 1_000_000) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  advance(ms: number): void {
    this.#now += ms;
  }
}
