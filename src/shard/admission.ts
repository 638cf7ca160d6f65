/**
 * The places of one shard: taken by clients, by sockets on their way in, by seats, and held for
 * connections that were told to come. Knows nothing of sockets.
 */
import type { Seat } from "../core/seats.ts";
import type { TicketRefusal } from "../core/used-seats.ts";
import { failure, success, type Result } from "../protocol/result.ts";
import type { Applicant, Seating } from "./seating.ts";

/** How long a place is held for a connection. */
const holdMs = 5_000;

/** A connection that was admitted: it becomes a client, or comes to nothing. */
export type Entry = { readonly seat: Seat | null };
/** One that has no seat. */
export const noSeat: Entry = { seat: null };

export type Refused = "full" | TicketRefusal;

export class Admission {
  readonly #seating: Seating;
  readonly #clients: () => number;
  /** Connections that a place is held for, and until when. */
  readonly #holds = new Map<string, number>();
  #entering = 0;
  #enteringSeats = 0;

  /** `clients` tells how many there are, with seats and without. */
  constructor(seating: Seating, clients: () => number) {
    this.#seating = seating;
    this.#clients = clients;
  }

  /** Whether nobody is here or on the way in. */
  get isEmpty(): boolean {
    return this.#clients() === 0 && this.#entering === 0 && this.#enteringSeats === 0;
  }

  /** Keeps a place for a connection, or says why it would be refused. */
  hold(applicant: Applicant, now: number): Result<null, Refused> {
    const found = this.#seating.find(applicant, now);
    if (!found.ok) return found;
    if (found.value !== null) this.#seating.prolong(found.value, now + holdMs);
    else if (this.#places(now) <= this.#seating.size) return full();
    else this.#holds.set(applicant.connection, now + holdMs);
    return success(null);
  }

  /** Promises a seat to each, or to none; until when. */
  reserve(
    seats: readonly { readonly id: string; readonly player: string }[],
    ttlMs: number,
    now: number,
  ): Result<{ readonly expiresAt: number }, "full"> {
    const reserved = this.#seating.reserve(seats, ttlMs, this.#places(now), now);
    return reserved.ok ? success({ expiresAt: reserved.value }) : reserved;
  }

  /** Takes the applicant's seat, the place that was held for it, or any that is free. */
  enter(applicant: Applicant, now: number): Result<Entry, Refused> {
    const found = this.#seating.find(applicant, now);
    if (!found.ok) return found;
    const { connection } = applicant;
    const heldUntil = this.#holds.get(connection) ?? 0;
    this.#holds.delete(connection);
    if (found.value !== null) {
      this.#seating.enter(found.value, connection);
      this.#enteringSeats += 1;
      return success({ seat: found.value });
    }
    const places = this.#places(now);
    if (this.#seating.isLimited) return this.#give(connection, places, now);
    // A place that was held too long may have been given away.
    if (heldUntil <= now && places <= this.#seating.size) return full();
    this.#entering += 1;
    return success(noSeat);
  }

  /** The socket is a client now, or came to nothing. */
  entered({ seat }: Entry): void {
    if (seat === null) this.#entering -= 1;
    else this.#enteringSeats -= 1;
  }

  #give(connection: string, places: number, now: number): Result<Entry, "full"> {
    const seat = this.#seating.give(connection, places, now);
    if (seat === null) return full();
    this.#enteringSeats += 1;
    return success({ seat });
  }

  /** Places for seats: those that nobody else takes. */
  #places(now: number): number {
    this.#seating.expire(now);
    for (const [connection, until] of this.#holds) {
      if (until <= now) this.#holds.delete(connection);
    }
    const unseated = this.#clients() - this.#seating.seated;
    return this.#seating.limit - unseated - this.#entering - this.#holds.size;
  }
}

function full(): Result<never, "full"> {
  return failure("full", "the shard is full");
}
