/**
 * Whether a socket's other end still says anything, which a half-open network never tells: asks it in
 * time, and gives it up. Knows nothing of sockets.
 */
import { askAfterMs, maxSilenceMs } from "../src/protocol/event-bounds.ts";

export class SilenceWatch {
  readonly #ask: () => void;
  readonly #onDead: () => void;
  #silentMs = 0;
  /** A socket on which something came is open; sending on one that is not would throw. */
  #isOpen = false;
  #timer: ReturnType<typeof setTimeout>;

  /** Begins at once: a socket that never opens is dead too. */
  constructor(ask: () => void, onDead: () => void) {
    this.#ask = ask;
    this.#onDead = onDead;
    this.#timer = this.#arm();
  }

  heard(): void {
    this.#isOpen = true;
    this.#silentMs = 0;
    clearTimeout(this.#timer);
    this.#timer = this.#arm();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #arm(): ReturnType<typeof setTimeout> {
    const waitMs = Math.min(askAfterMs, maxSilenceMs - this.#silentMs);
    return setTimeout(() => {
      this.#silentMs += waitMs;
      if (this.#silentMs >= maxSilenceMs) return this.#onDead();
      this.#timer = this.#arm();
      if (this.#isOpen) this.#ask();
    }, waitMs);
  }
}
