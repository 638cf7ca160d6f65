/**
 * The seats of one shard in use: which socket sits where, how many there may be, and their rows.
 * Knows nothing of who else takes a place, or of messages.
 *
 *   seat/ID    a seat that is held, taken, or kept for its player
 *   limit      the players that this room takes, when that is not its type's number, and when that
 *              was decided
 */
import * as v from "valibot";
import type { Entropy, Socket, Storage } from "../core/ports.ts";
import type { RoomType } from "../core/rooms.ts";
import { Seats, type Seat } from "../core/seats.ts";
import type { TicketRefusal } from "../core/used-seats.ts";
import type { SeatClaim } from "../protocol/calls.ts";
import { roomOfShard, type ShardId } from "../protocol/names.ts";
import { failure, success, type Result } from "../protocol/result.ts";
import { newSession, shardOfSession } from "../protocol/session.ts";

const rowSchema = v.object({
  player: v.string(),
  expiresAt: v.nullable(v.number()),
  connection: v.nullable(v.string()),
  session: v.nullable(v.string()),
  graceUntil: v.nullable(v.number()),
});
const limitSchema = v.object({ maxPlayers: v.number(), at: v.optional(v.number(), 0) });

export type SeatingOwner = {
  readonly shard: ShardId;
  readonly type: RoomType;
  readonly storage: Storage;
  readonly entropy: Entropy;
  /** Somebody got, took, dropped or lost a seat. */
  readonly onChange: () => void;
};

/** Who asks for a seat, and by what right. */
export type Applicant = {
  readonly connection: string;
  readonly session: string | null;
  readonly claim: SeatClaim | null;
};

/** A client that has sat down. */
export type Seated = {
  /** Whose place it took: a socket of the same player that seemed to be open. */
  readonly former: Socket | null;
  /** Of a client of protocol 1. */
  readonly session: string | null;
};

/** A socket that outlived the object's memory. Its connection is read only where it matters. */
type Survivor = { readonly socket: Socket; readonly connection: string };

export class Seating {
  readonly #owner: SeatingOwner;
  readonly #seats: Seats;
  readonly #seatOf = new Map<Socket, Seat>();
  readonly #socketOf = new Map<Seat, Socket>();
  /** Who sits or has sat there, by a ticket: asked for while a socket's end is told, too. */
  readonly #playerOf = new WeakMap<Socket, string>();
  #ownLimit: number | null = null;
  /** When the newest limit was decided that this life was told of, or has from a former one. */
  #limitedAt = 0;

  constructor(owner: SeatingOwner) {
    this.#owner = owner;
    this.#seats = new Seats(owner.type.seatTtlMs);
  }

  /** Whether every client must have a seat. */
  get isLimited(): boolean {
    return this.#ownLimit !== null || this.#owner.type.maxPlayers !== null;
  }

  /** Places in all. */
  get limit(): number {
    const { capacity, maxPlayers } = this.#owner.type;
    return Math.min(capacity, this.#ownLimit ?? maxPlayers ?? capacity);
  }

  /** Places that seats take, whether anybody sits there or not. */
  get size(): number {
    return this.#seats.size;
  }

  /** Clients that have a seat. */
  get seated(): number {
    return this.#seatOf.size;
  }

  /** As the registry is told. */
  get load(): { readonly players: readonly string[] | null; readonly reserved: number } {
    return { players: this.isLimited ? this.#seats.players : null, reserved: this.#seats.reserved };
  }

  /**
   * The player whose ticket the socket came with, or `null`. One whose end woke the object up is known
   * by its connection alone, while its seat is kept.
   */
  playerOf(socket: Socket, connection: string | null): string | null {
    const known = this.#playerOf.get(socket) ?? null;
    if (known !== null || connection === null) return known;
    return this.#seats.absentPlayer(connection);
  }

  /** The seat that the applicant has a right to; `null` for one that brings no such right. */
  find(applicant: Applicant, now: number): Result<Seat | null, TicketRefusal> {
    const { connection, session, claim } = applicant;
    this.expire(now);
    const former = session === null ? null : this.#seats.ofSession(session, now);
    if (former !== null && (claim === null || claim.id === former.id)) return success(former);
    if (claim !== null) return this.#seats.find(claim, connection, now);
    // Another shard may have the seat. Where none can, a session that is not known opens nothing.
    if (session !== null && this.#isOwn(session)) {
      return failure("ticket-expired", "no seat is kept for this session");
    }
    return success(this.isLimited ? this.#seats.ofConnection(connection, now) : null);
  }

  reserve(
    asked: readonly { readonly id: string; readonly player: string }[],
    ttlMs: number,
    places: number,
    now: number,
  ): Result<number, "full"> {
    const reserved = this.#seats.reserve(asked, ttlMs, places, now);
    this.#store();
    return reserved;
  }

  /** Until `take` or `release` the seat cannot be freed. */
  enter(seat: Seat, connection: string): void {
    this.#seats.enter(seat, connection);
  }

  prolong(seat: Seat, until: number): void {
    this.#seats.prolong(seat, until);
  }

  /** A new seat for a connection that is on its way in without a ticket; `null` when none is free. */
  give(connection: string, places: number, now: number): Seat | null {
    return this.#seats.give(this.#owner.entropy.id(), connection, places, now);
  }

  /** The connection is open and sits down; `null` when the seat is no more. */
  take(seat: Seat, socket: Socket, connection: string, speaksProtocol: boolean): Seated | null {
    const { shard, entropy } = this.#owner;
    const session = speaksProtocol ? newSession(shard, entropy.id()) : null;
    if (!this.#seats.take(seat, connection, session)) return null;
    const former = this.#socketOf.get(seat) ?? null;
    if (former !== null) this.#seatOf.delete(former);
    this.#sit(seat, socket);
    this.#store();
    return { former, session: speaksProtocol ? seat.session : null };
  }

  release(seat: Seat, now: number): void {
    this.#seats.release(seat, now);
    this.#store();
  }

  /** The socket has closed: its seat is kept for a while. */
  drop(socket: Socket, now: number): void {
    const seat = this.#seatOf.get(socket);
    if (seat === undefined) return;
    this.#seatOf.delete(socket);
    this.#socketOf.delete(seat);
    this.#seats.drop(seat, now);
    this.#store();
  }

  /** Its client has to go: nothing is kept for it. */
  free(socket: Socket, now: number): void {
    const seat = this.#seatOf.get(socket);
    if (seat === undefined) return;
    this.#seatOf.delete(socket);
    this.#socketOf.delete(seat);
    this.#seats.free(seat, now);
    this.#store();
  }

  /** Frees the seats that are held, or kept for players who are away. */
  vacate(now: number): void {
    this.#seats.vacate(now);
    this.#store();
  }

  /** Drops the sockets that are no clients any more. */
  dropOthers(isClient: (socket: Socket) => boolean, now: number): void {
    for (const socket of this.#seatOf.keys()) if (!isClient(socket)) this.drop(socket, now);
  }

  expire(now: number): void {
    if (this.#seats.expire(now) > 0) this.#store();
  }

  nextDeadline(): number | null {
    return this.#seats.nextDeadline();
  }

  /** From now on the room takes so many; `null`: as many as its type says. Who is there stays. */
  setLimit(maxPlayers: number | null, decidedAt: number): void {
    if (decidedAt < this.#limitedAt) return;
    this.#limitedAt = decidedAt;
    this.#ownLimit = maxPlayers;
    if (maxPlayers === null) this.#owner.storage.delete(["limit"]);
    else this.#owner.storage.put({ limit: { maxPlayers, at: decidedAt } });
    this.#owner.onChange();
  }

  /**
   * Takes up what a former life left. Seats whose connection is gone begin their grace. Returns the
   * sockets that have to come again: those of whom nobody knows which one a seat is, and those without
   * a seat where there is none for them.
   */
  async restore(survivors: readonly Survivor[], now: number): Promise<ReadonlySet<Socket>> {
    const { storage } = this.#owner;
    const [rows, limits] = [await storage.list("seat/"), await storage.list("limit")];
    const limit = v.safeParse(limitSchema, limits.get("limit"));
    if (limit.success) {
      this.#ownLimit = limit.output.maxPlayers;
      this.#limitedAt = limit.output.at;
    }
    const refused = new Set<Socket>();
    if (rows.size === 0 && !this.isLimited) return refused;
    const unseated = byConnection(survivors);
    for (const [connection, sockets] of unseated) {
      if (sockets.length === 1) continue;
      for (const socket of sockets) refused.add(socket);
      unseated.delete(connection);
    }
    for (const [key, value] of rows) {
      const row = v.parse(rowSchema, value);
      const [socket] = (row.connection !== null && unseated.get(row.connection)) || [];
      const seat = this.#seats.restore(key.slice("seat/".length), row, socket !== undefined, now);
      if (socket === undefined || row.connection === null) continue;
      this.#sit(seat, socket);
      unseated.delete(row.connection);
    }
    this.#seats.expire(now);
    if (this.isLimited) this.#seatRest(unseated, refused, now);
    this.#store();
    return refused;
  }

  /** The room is disposed. */
  clear(): void {
    this.#seats.clear();
    this.#seatOf.clear();
    this.#socketOf.clear();
    this.#ownLimit = null;
    this.#owner.storage.delete(["limit"]);
    this.#store();
  }

  /** Whether no other shard can have given it. */
  #isOwn(session: string): boolean {
    const { shard, type } = this.#owner;
    const giver = shardOfSession(session, roomOfShard(shard));
    return giver === shard || (giver === null && type.shards.max === 1);
  }

  /** Clients that were there before the room had a limit get a seat now. */
  #seatRest(unseated: ReadonlyMap<string, Socket[]>, refused: Set<Socket>, now: number): void {
    for (const [connection, [socket]] of unseated) {
      if (socket === undefined) continue;
      const seat = this.give(connection, this.limit, now);
      if (seat === null) refused.add(socket);
      else this.take(seat, socket, connection, false);
    }
  }

  #sit(seat: Seat, socket: Socket): void {
    this.#seatOf.set(socket, seat);
    this.#socketOf.set(seat, socket);
    if (seat.expiresAt !== null) this.#playerOf.set(socket, seat.player);
  }

  #store(): void {
    const { put, delete: gone } = this.#seats.takeChanges();
    const rows = Object.entries(put).map(([id, row]) => [`seat/${id}`, row] as const);
    if (rows.length === 0 && gone.length === 0) return;
    if (rows.length > 0) this.#owner.storage.put(Object.fromEntries(rows));
    if (gone.length > 0) this.#owner.storage.delete(gone.map((id) => `seat/${id}`));
    this.#owner.onChange();
  }
}

function byConnection(survivors: readonly Survivor[]): Map<string, Socket[]> {
  const sockets = new Map<string, Socket[]>();
  for (const { socket, connection } of survivors) {
    const all = sockets.get(connection) ?? [];
    all.push(socket);
    sockets.set(connection, all);
  }
  return sockets;
}
