/**
 * What a connection's behaviour depends on. The names that `PartySocket` has mean the same here;
 * only the pauses differ, which are drawn at random. Times are milliseconds.
 */
export type Settings = {
  /** A pause before connecting again is a random share of a bound that starts here (1,000) … */
  readonly minReconnectionDelay: number;
  /** … ends here (30,000) … */
  readonly maxReconnectionDelay: number;
  /** … and grows by this factor with every failure in a row (2). */
  readonly reconnectionDelayGrowFactor: number;
  /** A connection that was open for so long ends a row of failures (5,000). */
  readonly minUptime: number;
  /** How long a connection may take, up to the shard's welcome (10,000). */
  readonly connectionTimeout: number;
  /** Failures in a row after which the client stops (unlimited). */
  readonly maxRetries: number;
  /** What waits to be sent or answered is kept up to both bounds (1,000 and 4 MiB). */
  readonly maxEnqueuedMessages: number;
  readonly maxEnqueuedBytes: number;
  /** A `ping` is sent after so much silence (30,000). The host answers it; the shard sleeps on. */
  readonly pingIntervalMs: number;
  /** When nothing is heard for so long after it, the connection is taken for dead (10,000). */
  readonly pingTimeoutMs: number;
  /** How messages are published (`http`). */
  readonly publish: "http" | "socket";
  /**
   * A publish without an answer so long after it first left is given up (240,000). Stay below the
   * five minutes for which a room remembers idempotency keys: a repeat after that is a second message.
   */
  readonly publishTimeoutMs: number;
};

export const defaultSettings: Settings = {
  minReconnectionDelay: 1_000,
  maxReconnectionDelay: 30_000,
  reconnectionDelayGrowFactor: 2,
  minUptime: 5_000,
  connectionTimeout: 10_000,
  maxRetries: Infinity,
  maxEnqueuedMessages: 1_000,
  maxEnqueuedBytes: 4 * 1024 * 1024,
  pingIntervalMs: 30_000,
  pingTimeoutMs: 10_000,
  publish: "http",
  publishTimeoutMs: 240_000,
};

/** The defaults, but for what is given and not `undefined`. */
export function settingsFrom(options: {
  readonly [Name in keyof Settings]?: Settings[Name] | undefined;
}): Settings {
  const given = Object.entries(options).filter(
    ([name, value]) => value !== undefined && name in defaultSettings,
  );
  return { ...defaultSettings, ...Object.fromEntries(given) };
}

/**
 * Milliseconds to wait after `failures` in a row (1 or more); `random` is in [0, 1). Full jitter, as
 * in "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015): also the first pause is drawn,
 * from up to 1 s, so that the clients of a shard that went away do not come back as one.
 */
export function pauseMs(failures: number, random: number, settings: Settings): number {
  const growth = settings.reconnectionDelayGrowFactor ** (failures - 1);
  const bound = Math.min(settings.maxReconnectionDelay, settings.minReconnectionDelay * growth);
  return Math.ceil(random * bound) || 1;
}
