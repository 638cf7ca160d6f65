/**
 * Bounds that the hub of events and its subscribers share. A leaf of its own, since subscribers in a
 * browser load nothing else of the protocol.
 */

/** A subscriber over a WebSocket acknowledges at the latest after so many events. */
export const acknowledgeEvery = 100;
/** A subscriber with so many events that it has not acknowledged, or not read, is cut off. */
export const maxUnacknowledged = 1_000;
/**
 * A stream on which nothing else is sent gets a comment so often; after an event it may take twice as
 * long.
 */
export const streamPingMs = 25_000;
/** A subscriber over a WebSocket that has heard nothing for so long sends `ping`, and again. */
export const askAfterMs = 20_000;
/** A connection on which nothing was heard for so long is dead: the network between may be half open. */
export const maxSilenceMs = 60_000;
