/**
 * The places of one shard: taken by clients, by sockets on their way in, and held for connections
 * that were told to come. Knows nothing of sockets.
 */

/** How long a place is held for a connection. */
const holdMs = 5_000;

export class Admission {
  readonly #capacity: number;
  readonly #clients: () => number;
  /** Connections that a place is held for, and until when. */
  readonly #holds = new Map<string, number>();
  #entering = 0;

  /** `clients` tells how many places are taken for good. */
  constructor(capacity: number, clients: () => number) {
    this.#capacity = capacity;
    this.#clients = clients;
  }

  /** Whether nobody is here or on the way in. */
  get isEmpty(): boolean {
    return this.#clients() === 0 && this.#entering === 0;
  }

  hold(connection: string, now: number): boolean {
    if (!this.#hasPlace(now)) return false;
    this.#holds.set(connection, now + holdMs);
    return true;
  }

  /** Takes the place that was held for the connection, or any that is free. */
  enter(connection: string, now: number): boolean {
    const heldUntil = this.#holds.get(connection) ?? 0;
    this.#holds.delete(connection);
    // A place that was held too long may have been given away.
    if (heldUntil <= now && !this.#hasPlace(now)) return false;
    this.#entering += 1;
    return true;
  }

  /** The socket is a client now, or came to nothing. */
  entered(): void {
    this.#entering -= 1;
  }

  #hasPlace(now: number): boolean {
    for (const [connection, until] of this.#holds) {
      if (until <= now) this.#holds.delete(connection);
    }
    return this.#clients() + this.#entering + this.#holds.size < this.#capacity;
  }
}
