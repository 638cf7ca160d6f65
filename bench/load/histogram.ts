/** Owns percentiles of many durations in constant memory: buckets of 20 µs up to ten seconds. */
const bucketMs = 0.02;
const bucketCount = 500_000;

export class Histogram {
  readonly #buckets = new Uint32Array(bucketCount);
  #count = 0;

  add(durationMs: number): void {
    const bucket = Math.min(bucketCount - 1, Math.max(0, Math.floor(durationMs / bucketMs)));
    this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + 1;
    this.#count += 1;
  }

  /** The duration that `share` (0 to 1) of all stay at or under, in milliseconds. */
  percentile(share: number): number {
    let remaining = Math.ceil(this.#count * share);
    for (const [bucket, count] of this.#buckets.entries()) {
      remaining -= count;
      if (remaining <= 0) {
        return (bucket + 1) * bucketMs;
      }
    }
    return bucketCount * bucketMs;
  }
}
