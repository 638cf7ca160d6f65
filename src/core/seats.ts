/**
 * The seats of one shard: promised to a player, taken by a connection, kept for a player whose
 * connection dropped. Pure: time comes in, and what must outlive the object's memory is handed out by
 * `takeChanges`. Knows nothing of sockets or of places that are no seats.
 */
import type { SeatClaim } from "../protocol/calls.ts";
import { failure, success, type Result } from "../protocol/result.ts";
import { Deadlines } from "./deadlines.ts";
import { UsedSeats, type TicketRefusal } from "./used-seats.ts";

type Phase =
  /** Nobody has taken it yet. */
  | { readonly name: "held"; readonly until: number }
  | { readonly name: "taken" }
  /** Its connection dropped; it is kept for its player. */
  | { readonly name: "grace"; readonly until: number };

/** What outlives the object's memory. */
export type SeatRow = {
  readonly player: string;
  /** When the ticket expires, epoch milliseconds; `null` for a seat that was given without one. */
  readonly expiresAt: number | null;
  /** The connection that took it. */
  readonly connection: string | null;
  /** Secret with which a client of protocol 1 comes back. */
  readonly session: string | null;
  /** Until when it is kept for a player whose connection dropped. */
  readonly graceUntil: number | null;
};

export type Seat = {
  readonly id: string;
  readonly player: string;
  readonly expiresAt: number | null;
  readonly connection: string | null;
  readonly session: string | null;
  readonly phase: Phase;
  /** Connections on their way in to it: admitted, and not welcomed yet. */
  readonly entering: number;
};

/** `dueAt`: when it is looked at, by then or before its time is over; `null` when it cannot be over. */
type MutableSeat = { -readonly [Field in keyof Seat]: Seat[Field] } & { dueAt: number | null };

export type SeatChanges = {
  readonly put: Readonly<Record<string, SeatRow>>;
  readonly delete: readonly string[];
};

export class Seats {
  readonly #graceMs: number;
  readonly #seats = new Map<string, MutableSeat>();
  readonly #bySession = new Map<string, MutableSeat>();
  /** Seats without a ticket, whose player is known by its connection alone. */
  readonly #byConnection = new Map<string, MutableSeat>();
  readonly #used = new UsedSeats();
  readonly #changed = new Set<string>();
  readonly #deadlines = new Deadlines<MutableSeat>();

  /** `graceMs`: how long a seat is kept for a player whose connection dropped. */
  constructor(graceMs: number) {
    this.#graceMs = graceMs;
  }

  /** Seats that are held, taken or kept: each takes a place. */
  get size(): number {
    return this.#seats.size;
  }

  /** Players that have taken a seat, also those whose connection dropped a moment ago. */
  get players(): string[] {
    return [...this.#seats.values()]
      .filter((seat) => seat.phase.name !== "held")
      .map((seat) => seat.player);
  }

  /** Seats that are promised and not taken yet. */
  get reserved(): number {
    let count = 0;
    for (const seat of this.#seats.values()) {
      if (seat.phase.name === "held" && seat.expiresAt !== null) count += 1;
    }
    return count;
  }

  /**
   * Promises a seat to each, or to none. `places` is what the room has for seats of any kind. One that
   * is held already under the same id is held on. Returns when the promise ends.
   */
  reserve(
    asked: readonly { readonly id: string; readonly player: string }[],
    ttlMs: number,
    places: number,
    now: number,
  ): Result<number, "full"> {
    this.expire(now);
    const wanted = new Map(asked.map((each) => [each.id, each.player]));
    const isFree = [...wanted].every(([id, player]) => this.#canHold(id, player));
    const added = [...wanted.keys()].filter((id) => !this.#seats.has(id)).length;
    if (!isFree || this.size + added > places) {
      return failure("full", `there is no space for ${wanted.size} more`);
    }
    const expiresAt = now + ttlMs;
    for (const [id, player] of wanted) {
      const seat = { id, player, expiresAt, connection: null, session: null, entering: 0 };
      const known = this.#seats.get(id);
      if (known !== undefined) known.dueAt = null;
      this.#add({ ...seat, dueAt: null, phase: { name: "held", until: expiresAt } });
    }
    return success(expiresAt);
  }

  /** The seat that a ticket promises to this connection. */
  find(claim: SeatClaim, connection: string, now: number): Result<Seat, TicketRefusal> {
    this.expire(now);
    const seat = this.#seats.get(claim.id);
    if (seat === undefined) return this.#used.refuse(claim, connection, now);
    const isTheirs = seat.connection === null || seat.connection === connection;
    if (isTheirs && seat.player === claim.player && seat.expiresAt !== null) return success(seat);
    return failure("ticket-used", "another connection has taken the seat");
  }

  /** The seat of a client that comes back with its session. */
  ofSession(session: string, now: number): Seat | null {
    this.expire(now);
    return this.#bySession.get(session) ?? null;
  }

  /** The seat without ticket that this connection has, or had when it dropped. */
  ofConnection(connection: string, now: number): Seat | null {
    this.expire(now);
    return this.#byConnection.get(connection) ?? null;
  }

  /** Whose seat, by a ticket, is kept since this connection dropped. */
  absentPlayer(connection: string): string | null {
    for (const seat of this.#seats.values()) {
      const isTheirs = seat.connection === connection && seat.phase.name === "grace";
      if (isTheirs && seat.expiresAt !== null) return seat.player;
    }
    return null;
  }

  /** A connection is on its way in to the seat: until `take` or `release` it cannot be freed. */
  enter(seat: Seat, connection: string): void {
    const own = this.#own(seat);
    if (own === undefined) return;
    own.entering += 1;
    own.dueAt = null;
    if (own.phase.name === "held") own.connection = connection;
  }

  /** A new seat for a connection without ticket, which is on its way in; `null` when none is free. */
  give(id: string, connection: string, places: number, now: number): Seat | null {
    this.expire(now);
    if (this.size >= places) return null;
    const who = { player: connection, connection, session: null, expiresAt: null };
    const phase = { name: "held", until: now } as const;
    return this.#add({ id, ...who, entering: 1, dueAt: null, phase });
  }

  /**
   * The connection is a client now. `session` is for a seat that has none yet. False when the seat is
   * no more: the room was disposed meanwhile.
   */
  take(seat: Seat, connection: string, session: string | null): boolean {
    const own = this.#own(seat);
    if (own === undefined) return false;
    own.entering -= 1;
    own.phase = { name: "taken" };
    own.dueAt = null;
    own.connection = connection;
    own.session ??= session;
    this.#changed.add(own.id);
    this.#index(own);
    return true;
  }

  /** The connection that was on its way in came to nothing. */
  release(seat: Seat, now: number): void {
    const own = this.#own(seat);
    if (own === undefined) return;
    own.entering -= 1;
    if (own.entering > 0) return;
    if (own.phase.name === "held" && own.expiresAt !== null) own.connection = null;
    this.#expect(own);
    this.expire(now);
  }

  /** The client's connection dropped: its seat is kept for a while. */
  drop(seat: Seat, now: number): void {
    const own = this.#own(seat);
    if (own?.phase.name !== "taken") return;
    own.phase = { name: "grace", until: now + this.#graceMs };
    this.#expect(own);
    this.#changed.add(own.id);
  }

  /** Its player has to go: nothing is kept. */
  free(seat: Seat, now: number): void {
    const own = this.#own(seat);
    if (own !== undefined) this.#free(own, now);
  }

  /** Frees the seats that nobody sits in. */
  vacate(now: number): void {
    for (const seat of this.#seats.values()) {
      if (seat.phase.name !== "taken") this.#free(seat, now);
    }
  }

  /** A held seat stays so at least until then, for a connection that was told to come. */
  prolong(seat: Seat, until: number): void {
    const own = this.#own(seat);
    if (own?.phase.name === "held" && own.phase.until < until) own.phase = { name: "held", until };
  }

  /** Frees the seats whose time is over; how many. */
  expire(now: number): number {
    const before = this.size;
    for (;;) {
      const seat = this.#deadlines.take(now);
      if (seat === undefined) return before - this.size;
      // A held one may have got more time.
      if (seat.phase.name !== "taken" && seat.phase.until <= now) this.#free(seat, now);
      else this.#expect(seat);
    }
  }

  nextDeadline(): number | null {
    return this.#deadlines.next();
  }

  /** Takes a row of a former life. A taken seat is dropped unless `isThere` says that its client lives. */
  restore(id: string, row: SeatRow, isThere: boolean, now: number): Seat {
    const { player, expiresAt, connection, session, graceUntil } = row;
    const held = { name: "held", until: expiresAt ?? 0 } as const;
    const seat: MutableSeat = {
      id,
      player,
      expiresAt,
      connection,
      session,
      phase: held,
      entering: 0,
      dueAt: null,
    };
    if (connection !== null) {
      // One whose grace had begun is there again when the end of its socket was not final.
      if (isThere || graceUntil === null) seat.phase = { name: "taken" };
      else seat.phase = { name: "grace", until: graceUntil };
      if (isThere && graceUntil !== null) this.#changed.add(id);
    }
    this.#seats.set(id, seat);
    this.#index(seat);
    this.#expect(seat);
    if (!isThere) this.drop(seat, now);
    return seat;
  }

  /** The room is disposed. */
  clear(): void {
    for (const seat of this.#seats.values()) {
      seat.dueAt = null;
      this.#changed.add(seat.id);
    }
    this.#seats.clear();
    this.#bySession.clear();
    this.#byConnection.clear();
  }

  /** What has changed since the last call, to be written at once. */
  takeChanges(): SeatChanges {
    const put: Record<string, SeatRow> = {};
    const gone: string[] = [];
    for (const id of this.#changed) {
      const seat = this.#seats.get(id);
      if (seat === undefined) gone.push(id);
      else put[id] = rowOf(seat);
    }
    this.#changed.clear();
    return { put, delete: gone };
  }

  #own(seat: Seat): MutableSeat | undefined {
    const own = this.#seats.get(seat.id);
    return own === seat ? own : undefined;
  }

  #canHold(id: string, player: string): boolean {
    const known = this.#seats.get(id);
    if (known === undefined) return !this.#used.has(id);
    return known.player === player && known.phase.name === "held" && known.entering === 0;
  }

  #add(seat: MutableSeat): Seat {
    this.#seats.set(seat.id, seat);
    // Without a ticket nothing is promised before it is taken.
    if (seat.expiresAt !== null) this.#changed.add(seat.id);
    this.#index(seat);
    this.#expect(seat);
    return seat;
  }

  #index(seat: MutableSeat): void {
    if (seat.session !== null) {
      this.#bySession.set(seat.session, seat);
      // From now on its secret tells who it is, not a name that others may know.
      if (seat.connection !== null) this.#dropConnection(seat);
    } else if (seat.expiresAt === null && seat.connection !== null) {
      this.#byConnection.set(seat.connection, seat);
    }
  }

  #dropConnection(seat: MutableSeat): void {
    for (const name of [seat.connection, seat.player]) {
      if (name !== null && this.#byConnection.get(name) === seat) this.#byConnection.delete(name);
    }
  }

  #expect(seat: MutableSeat): void {
    if (seat.phase.name === "taken" || seat.entering > 0) return;
    this.#deadlines.set(seat, seat.phase.until);
  }

  #free(seat: MutableSeat, now: number): void {
    this.#seats.delete(seat.id);
    seat.dueAt = null;
    this.#changed.add(seat.id);
    if (seat.session !== null) this.#bySession.delete(seat.session);
    this.#dropConnection(seat);
    this.#used.add(seat, now);
  }
}

function rowOf({ player, expiresAt, connection, session, phase }: Seat): SeatRow {
  // A connection on its way in has not taken it yet.
  const isHeld = phase.name === "held";
  return {
    player,
    expiresAt,
    connection: isHeld ? null : connection,
    session,
    graceUntil: phase.name === "grace" ? phase.until : null,
  };
}
