/**
 * Seats that were taken and are free again: their tickets are good no more. Says why a ticket without
 * a seat is refused.
 */
import type { SeatClaim } from "../protocol/calls.ts";
import { failure, type Result } from "../protocol/result.ts";

/** How long after its ticket's expiry a seat that was used is remembered: clocks differ. */
const slackMs = 60_000;
/** Seats that are remembered; of one that is forgotten the ticket is refused as expired. */
const maxSeats = 10_000;

export type TicketRefusal = "ticket-used" | "ticket-expired";

type UsedSeat = {
  readonly id: string;
  readonly expiresAt: number | null;
  readonly connection: string | null;
};

export class UsedSeats {
  readonly #seats = new Map<string, { readonly connection: string; readonly until: number }>();

  has(id: string): boolean {
    return this.#seats.has(id);
  }

  /** Remembers a seat that is free now, if somebody may come with its ticket. */
  add({ id, connection, expiresAt }: UsedSeat, now: number): void {
    if (connection === null || expiresAt === null || expiresAt + slackMs <= now) return;
    this.#seats.set(id, { connection, until: expiresAt + slackMs });
    for (const [each, { until }] of this.#seats) {
      if (until > now && this.#seats.size <= maxSeats) break;
      this.#seats.delete(each);
    }
  }

  refuse(claim: SeatClaim, connection: string, now: number): Result<never, TicketRefusal> {
    const used = this.#seats.get(claim.id);
    if (used !== undefined && used.connection !== connection) {
      return failure("ticket-used", "another connection has taken the seat, and has left");
    }
    if (used !== undefined) return failure("ticket-expired", "the seat's grace is over");
    const isLate = claim.expiresAt <= now;
    const detail = isLate ? "the seat was not taken in time" : "the seat is no longer held here";
    return failure("ticket-expired", detail);
  }
}
