/**
 * Which tickets a room on a server outside has seen, judged by the registry's time. The registry frees
 * a seat only when this server says that it was not taken by a time after its expiry; so a ticket that
 * is refused here by then stays refused. Pure; knows nothing of sockets, or of who sits where now.
 */
import type { TicketClaims } from "../../protocol/ticket.ts";
import { failure, success, type Result } from "../../protocol/result.ts";

type Seen = { readonly player: string; readonly expiresAt: number };

export class TicketBook {
  /** By seat. */
  readonly #seen = new Map<string, Seen>();
  /** Connections on their way in, by seat. */
  readonly #entering = new Map<string, number>();

  /**
   * Whether the ticket's bearer may be asked in: its seat is theirs or kept here (`isHere`), or was
   * never taken and has not expired. From now on, until `entered`, the seat counts as taken.
   */
  enter(
    { seat, player, expiresAt }: TicketClaims,
    isHere: boolean,
    now: number,
  ): Result<null, "ticket-expired"> {
    const count = this.#entering.get(seat) ?? 0;
    if (!isHere && count === 0) {
      if (this.#seen.has(seat)) {
        return failure("ticket-expired", "the seat is free again: its grace is over");
      }
      if (expiresAt <= now) return failure("ticket-expired", "the seat was not taken in time");
    }
    this.#entering.set(seat, count + 1);
    if (!this.#seen.has(seat)) this.#seen.set(seat, { player, expiresAt });
    return success(null);
  }

  /** The connection has come in, or it came to nothing and the ticket is as good as before. */
  entered(seat: string, hasTaken: boolean, isHere: boolean): void {
    const count = (this.#entering.get(seat) ?? 1) - 1;
    if (count > 0) this.#entering.set(seat, count);
    else this.#entering.delete(seat);
    if (!hasTaken && !isHere && count === 0) this.#seen.delete(seat);
  }

  /** What the registry is told, of the seats that are taken or kept (`here`) at this moment. */
  report(here: readonly string[]): { readonly players: string[]; readonly seats: string[] } {
    const players = here.flatMap((seat) => this.#seen.get(seat)?.player ?? []);
    return { players, seats: [...new Set([...here, ...this.#entering.keys()])] };
  }

  /** Whether anybody is on the way in. */
  get isEntering(): boolean {
    return this.#entering.size > 0;
  }

  /** Forgets seats that are free again and whose tickets have expired. */
  forget(here: readonly string[], now: number): void {
    const kept = new Set([...here, ...this.#entering.keys()]);
    for (const [seat, { expiresAt }] of this.#seen) {
      if (expiresAt <= now && !kept.has(seat)) this.#seen.delete(seat);
    }
  }
}
