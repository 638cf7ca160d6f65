/**
 * How a shard's links fail: how often in a row, since when, when to try again, and when the registry is
 * to be told, which probes the shard. Knows nothing of what fails.
 */
import { backoffMs } from "../core/backoff.ts";

const retryBounds = { baseMs: 100, maxMs: 30_000 };
/** Of a shard that is given up: one that lives after all calls, or its gates do, sooner than that. */
const givenUpBounds = { ...retryBounds, maxMs: 300_000 };
/** For so long the log waits for a shard that fails; then the shard may lose continuity. */
const holdLogMs = 60_000;
/** So many failures in a row are evidence against the shard, told again while they last. */
const suspiciousInRow = 2;
const repeatMs = 5_000;

export class Failures {
  #count = 0;
  #since: number | null = null;
  /** The first one in a row, whatever was owed. */
  #firstAt: number | null = null;
  #retryAt = 0;
  /** Those since the shard last gave any answer, if only that it has too much to do. */
  #inRow = 0;
  #toldAt: number | null = null;

  /** Whether the log must keep what this shard has not acknowledged. */
  holdLog(now: number): boolean {
    return this.#since === null || now - this.#since < holdLogMs;
  }

  /**
   * When to be woken for it after a crash; `undefined` for soon. One that is given up may be gone for
   * good: nobody is woken for it before it is dialled again.
   */
  durableAt(now: number): number | undefined {
    if (!this.#isGivenUp(now)) return undefined;
    return this.#retryAt > now ? this.#retryAt : now + givenUpBounds.maxMs;
  }

  /** Returns when to try again. A shard that is owed nothing holds nothing: its time begins later. */
  add(now: number, isOwed: boolean, random: number): number {
    this.#count += 1;
    this.#since = isOwed ? (this.#since ?? now) : null;
    this.#firstAt ??= now;
    const bounds = this.#isGivenUp(now) ? givenUpBounds : retryBounds;
    this.#retryAt = now + backoffMs(this.#count, random, bounds);
    return this.#retryAt;
  }

  /** Another one that speaks against the shard: whether the registry is to be told now. */
  isSuspicious(now: number): boolean {
    this.#inRow += 1;
    if (this.#inRow < suspiciousInRow) return false;
    if (this.#toldAt !== null && now - this.#toldAt < repeatMs) return false;
    this.#toldAt = now;
    return true;
  }

  /** The shard has answered that it has too much to do. */
  excuse(): void {
    this.#inRow = 0;
    this.#toldAt = null;
  }

  /** The shard takes what it is sent. */
  end(): void {
    this.#count = 0;
    this.#since = null;
    this.#firstAt = null;
    this.excuse();
  }

  #isGivenUp(now: number): boolean {
    return this.#firstAt !== null && now - this.#firstAt >= holdLogMs;
  }
}
