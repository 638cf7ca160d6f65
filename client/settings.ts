/** What a connection's behaviour depends on, and its defaults. Times are milliseconds. */
export type Settings = {
  /** A pause before connecting again is a uniform share of a bound that starts here … */
  readonly minPauseMs: number;
  /** … ends here … */
  readonly maxPauseMs: number;
  /** … and grows by this factor with every failure in a row. */
  readonly pauseGrowth: number;
  /** A connection that was open for so long ends a row of failures. */
  readonly stableMs: number;
  /** How long a connection may take until its welcome. */
  readonly greetingMs: number;
  /** A `ping` is sent after so much silence … */
  readonly pingMs: number;
  /** … and answered by any frame within this, or the connection is taken for dead. */
  readonly pongMs: number;
  /** Failures in a row after which the client stops. */
  readonly maxRetries: number;
  readonly publish: "http" | "socket";
  /**
   * A publish is given up when it has no answer so long after it first left. Below the five minutes
   * for which a room remembers idempotency keys: a repeat after that would be a second message.
   */
  readonly publishMs: number;
  /** What is not answered or not yet sent is kept up to both bounds. */
  readonly maxEnqueuedMessages: number;
  readonly maxEnqueuedBytes: number;
};

/**
 * Pauses as in "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015). A silent connection
 * costs one `ping` in 30 s, which the shard's host answers without waking the shard.
 */
export const defaultSettings: Settings = {
  minPauseMs: 1_000,
  maxPauseMs: 30_000,
  pauseGrowth: 2,
  stableMs: 5_000,
  greetingMs: 10_000,
  pingMs: 30_000,
  pongMs: 10_000,
  maxRetries: Infinity,
  publish: "http",
  publishMs: 240_000,
  maxEnqueuedMessages: 1_000,
  maxEnqueuedBytes: 4 * 1024 * 1024,
};

/** Full jitter: milliseconds to wait after `failures` in a row (1 or more); `random` is in [0, 1). */
export function pauseMs(failures: number, random: number, settings: Settings): number {
  const { minPauseMs, maxPauseMs, pauseGrowth } = settings;
  return Math.ceil(random * Math.min(maxPauseMs, minPauseMs * pauseGrowth ** (failures - 1)));
}
