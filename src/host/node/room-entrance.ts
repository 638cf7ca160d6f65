/**
 * Who may come into a room on a game server: whoever has a good ticket, or the session of a seat that is
 * kept. Knows nothing of what happens in the room.
 */
import type { Socket } from "../../core/ports.ts";
import type { ClientRequest } from "../../protocol/client-request.ts";
import { closeCodes } from "../../protocol/close-codes.ts";
import { failure, success, type Result } from "../../protocol/result.ts";
import type { TicketClaims } from "../../protocol/ticket.ts";
import type { Entry } from "../../shard/admission.ts";
import type { Shard } from "../../shard/shard.ts";
import { endOf } from "./player-socket.ts";
import type { ServerSocket } from "./server-socket.ts";
import { TicketBook } from "./ticket-book.ts";

/** How long a seat is held between the check of its ticket and the open socket. */
const enteringMs = 60_000;

/** A connection that may come in: its socket is accepted, or it comes to nothing. */
export type Admission = {
  accept(socket: ServerSocket): void;
  abandon(): void;
};

/** Whose socket has been welcomed. */
export type Arrived = {
  readonly socket: ServerSocket;
  readonly end: Socket;
  readonly player: string;
  readonly connection: string;
  readonly request: ClientRequest;
};

export type EntranceOwner = {
  /** `null` when the room is over. */
  readonly shard: () => Shard | null;
  /** Whether the room holds still. */
  readonly isHeld: () => boolean;
  /** The registry's time, as far as it is known. */
  readonly registryTime: () => number;
  /** Players have come or gone. */
  readonly onChange: () => void;
  readonly onArrived: (arrived: Arrived) => void;
};

/** Of who brings a session. */
export const noSeat = failure("ticket-expired", "no seat is kept here for this session");
const isOver = failure("unavailable", "the room is over");

/** What the shard may say. */
type Refusal = Extract<Awaited<ReturnType<Shard["admit"]>>, { ok: false }>["code"];
type Refused = "ticket-expired" | "ticket-used" | "room-full" | "unavailable";
/** Who comes, to which seat. */
type Comer = Omit<Arrived, "socket" | "end"> & { readonly seat: string; readonly entry: Entry };

export class RoomEntrance {
  readonly #owner: EntranceOwner;
  readonly #tickets = new TicketBook();

  constructor(owner: EntranceOwner) {
    this.#owner = owner;
  }

  /** Nobody is on the way in, and no seat is kept. */
  get isEmpty(): boolean {
    return !this.#tickets.isEntering && this.#seats().length === 0;
  }

  report(): { readonly players: string[]; readonly seats: string[] } {
    const here = this.#seats();
    this.#tickets.forget(here, this.#owner.registryTime());
    return this.#tickets.report(here);
  }

  /** Whether the bearer of a ticket that is genuine, and for this room, may come in. */
  async admit(
    claims: TicketClaims,
    connection: string,
    request: ClientRequest,
  ): Promise<Result<Admission, Refused>> {
    const shard = this.#owner.shard();
    if (shard === null) return isOver;
    if (this.#owner.isHeld()) return failure("unavailable", "the room holds still; try again");
    const { seat, player } = claims;
    const isHere = this.#seats().includes(seat);
    const asked = this.#tickets.enter(claims, isHere, this.#owner.registryTime());
    if (!asked.ok) return asked;
    // The shard knows seats, not players: a seat is its own player there.
    const seats = [{ id: seat, player: seat }];
    const reserve = { type: "reserve", seats, ttlMs: enteringMs } as const;
    const hasPlace = isHere || shard.handle(reserve).ok;
    const claim = { id: seat, player: seat, expiresAt: Date.now() + enteringMs };
    const admitted = await shard.admit(connection, request, claim);
    if (!admitted.ok || this.#owner.shard() === null) {
      this.#entered(seat, false);
      if (admitted.ok) return isOver;
      // Without a place for it the shard does not know the seat.
      if (!hasPlace && admitted.code === "ticket-expired") {
        return failure("room-full", "every place is taken");
      }
      return failure(refusalOf(admitted.code), admitted.detail);
    }
    const entry = admitted.value;
    return success(this.#admission(shard, { seat, player, connection, request, entry }));
  }

  /** Whether who brings the session of a seat that is kept here may come back to it. */
  async admitBack(connection: string, request: ClientRequest): Promise<Result<Admission, Refused>> {
    const shard = this.#owner.shard();
    if (shard === null || request.session === undefined) return noSeat;
    const admitted = await shard.admit(connection, request, null);
    if (!admitted.ok) return noSeat;
    const entry = admitted.value;
    const seat = entry.seat?.id ?? "";
    const player = this.#tickets.enterAgain(seat);
    if (player !== undefined && this.#owner.shard() !== null) {
      return success(this.#admission(shard, { seat, player, connection, request, entry }));
    }
    shard.release(entry);
    return noSeat;
  }

  /** For who was admitted to a seat. */
  #admission(shard: Shard, { seat, entry, ...comer }: Comer): Admission {
    const { connection, request } = comer;
    let isOpen = true;
    const once = (act: () => void): void => {
      if (!isOpen) return;
      isOpen = false;
      act();
    };
    return {
      accept: (socket) =>
        once(() => {
          if (this.#owner.shard() === null || this.#owner.isHeld()) {
            shard.release(entry);
            this.#entered(seat, false);
            return socket.close(closeCodes.moved, "the room is over");
          }
          const end = endOf(socket);
          const isWelcome = shard.welcome(end, connection, request, entry);
          this.#entered(seat, isWelcome);
          if (isWelcome) this.#owner.onArrived({ socket, end, ...comer });
        }),
      abandon: () =>
        once(() => {
          shard.release(entry);
          this.#entered(seat, false);
        }),
    };
  }

  /** Seats that are taken, or kept for players whose connection dropped. */
  #seats(): readonly string[] {
    const load = this.#owner.shard()?.handle({ type: "load" });
    return load?.ok === true && load.value !== null && "players" in load.value
      ? (load.value.players ?? [])
      : [];
  }

  #entered(seat: string, hasTaken: boolean): void {
    this.#tickets.entered(seat, hasTaken, this.#seats().includes(seat));
    this.#owner.onChange();
  }
}

function refusalOf(code: Refusal): Refused {
  switch (code) {
    case "full":
      return "room-full";
    case "draining":
    case "fenced":
      return "unavailable";
    default:
      return code;
  }
}
