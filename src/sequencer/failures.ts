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
  /** Those since the shard last gave any answer, if only that it has too much to do. */
  #inRow = 0;
  #toldAt: number | null = null;

  /** Whether the log must keep what this shard has not acknowledged. */
  holdLog(now: number): boolean {
    return this.#since === null || now - this.#since < holdLogMs;
  }

  /** It fails for so long that nobody keeps awake for it: the longest that it is left alone, or `null`. */
  givenUpMs(now: number): number | null {
    const isGivenUp = this.#firstAt !== null && now - this.#firstAt >= holdLogMs;
    return isGivenUp ? givenUpBounds.maxMs : null;
  }

  /** Returns how long to wait. A shard that is owed nothing holds nothing: its time begins later. */
  add(now: number, isOwed: boolean, random: number): number {
    this.#count += 1;
    this.#since = isOwed ? (this.#since ?? now) : null;
    this.#firstAt ??= now;
    const bounds = this.givenUpMs(now) === null ? retryBounds : givenUpBounds;
    return backoffMs(this.#count, random, bounds);
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
}
