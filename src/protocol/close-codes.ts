/**
 * The table of close codes. 1012 and 4000–4499 tell a client to reconnect (and resume), 4500–4999
 * to stop; the split follows Centrifugo's numbered ranges. Links between a sequencer and a shard
 * use the same table, so that a code means one thing wherever it is seen.
 */
/** Apart from the others, so that a client need not carry them all. */
export const movedCode = 4000;

export const closeCodes = {
  /** A link that has carried nothing for a while; both ends may sleep. */
  idle: 1000,
  /** The shard left service; come back through the router. */
  moved: movedCode,
  /** Messages were lost for this socket; come back and start from the new position. */
  continuityLost: 4001,
  /** The shard took its last free place while this socket was on its way. */
  full: 4002,
  /** The shard could not subscribe to the room; come back after a pause. */
  unavailable: 4003,
  /** The room class failed while it took this socket in. */
  roomFailed: 4004,
  /** The client did not keep up; come back and resume. */
  tooSlow: 4005,
  /** Link only: the shard has no clients and wants nothing sent. */
  noClients: 4010,
  /** Link only: a newer link took this one's place. */
  replaced: 4011,
  /** Link only: the other end answered nothing in time. */
  unresponsive: 4012,
  /** Link only: a batch does not follow on what the shard has. */
  outOfOrder: 4013,
  /** Link only: a later generation serves the slot of this shard. */
  fenced: 4014,
  /** The peer sent a frame that is not of the protocol. */
  malformedFrame: 4500,
  /** The room was disposed. */
  roomDisposed: 4501,
  /** A newer connection of the same player has taken the seat. */
  seatTaken: 4502,
  /** The ticket was used, or its seat is held no more, where the host could not refuse the upgrade. */
  seatRefused: 4503,
} as const;

export type CloseCode = (typeof closeCodes)[keyof typeof closeCodes];

/** Whether a client that was closed with this code is expected to come back. */
export function mayReconnect(code: number): boolean {
  return code < 4500 || code > 4999;
}
