/**
 * Bounds that the hub of events and its subscribers share. A leaf of its own, since subscribers in a
 * browser load nothing else of the protocol.
 */

/** A subscriber over a WebSocket acknowledges at the latest after so many events. */
export const acknowledgeEvery = 100;
/** A subscriber with events of this weight that it has not acknowledged, or not read, is cut off. */
export const maxUnacknowledged = 1_000;
/** Events weigh by their count, and by their size once that is more than this, in characters or bytes. */
const unitsOfWeight = 4_096;

/**
 * What an event of so many characters or bytes counts against the bounds: those bound memory as well,
 * of large events to about 4 MiB.
 */
export function weightOf(units: number): number {
  return 1 + Math.floor(units / unitsOfWeight);
}
/**
 * A stream on which nothing else is sent gets a comment so often; after an event it may take twice as
 * long.
 */
export const streamPingMs = 25_000;
/** A subscriber over a WebSocket that has heard nothing for so long sends `ping`, and again. */
export const askAfterMs = 20_000;
/** A connection on which nothing was heard for so long is dead: the network between may be half open. */
export const maxSilenceMs = 60_000;
