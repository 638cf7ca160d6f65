/**
 * Exponential back-off with full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter",
 * 2015): a uniform share of a bound that doubles with every failure.
 */
export type BackoffBounds = { readonly baseMs: number; readonly maxMs: number };

/**
 * Milliseconds to wait after `failures` failures in a row (1 or more); `random` is in [0, 1).
 * At least 1 ms, so that a retry is never part of the event that failed.
 */
export function backoffMs(failures: number, random: number, bounds: BackoffBounds): number {
  const bound = Math.min(bounds.maxMs, bounds.baseMs * 2 ** Math.min(failures - 1, 30));
  return Math.max(1, Math.ceil(random * bound));
}
