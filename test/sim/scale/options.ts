/** What a run of many sockets is given, and how it can differ from the largest. */
export type ScaleOptions = {
  readonly seed: number;
  readonly sockets: number;
  readonly shards: number;
  readonly capacity: number;
  /** Isolates that gates run in: each has its own table. */
  readonly gates: number;
  readonly partitions: number;
  readonly connectsPerSecond: number;
  readonly messagesPerSecond: number;
  /** Of the shards, so many die at once. */
  readonly lostShare: number;
  /**
   * Whether the sockets of a shard that dies break at once, or stay half-open until their clients miss
   * the traffic.
   */
  readonly loss: "broken" | "silent";
};

/** W8 at any size: 10,000 connects a second for the million, and as many seconds for fewer. */
export function scaleOptions(shards: number, more: Partial<ScaleOptions> = {}): ScaleOptions {
  return {
    seed: 1,
    sockets: shards * 1_000,
    shards,
    capacity: 1_100,
    gates: 50,
    partitions: 4,
    connectsPerSecond: shards * 10,
    messagesPerSecond: 10,
    lostShare: 0.1,
    loss: "broken",
    ...more,
  };
}
