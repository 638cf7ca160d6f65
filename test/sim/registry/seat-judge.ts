/**
 * What must hold of seats, judged from outside: by the sockets that clients have, the tickets that
 * players were given, and the time at their shard. Nothing that a shard says of itself is believed.
 */
import type { RoomType } from "../../../src/core/rooms.ts";
import { roomOfShard, type RoomId, type ShardId } from "../../../src/protocol/names.ts";
import type { HeldSeats } from "../../../src/protocol/registry-calls.ts";
import type { Result } from "../../../src/protocol/result.ts";
import type { Entry } from "../../../src/shard/admission.ts";
import type { Client, Visitor } from "../client.ts";
import { Violation } from "../environment.ts";

/** A seat that somebody was promised, or was seen to have. */
type Known = {
  readonly id: string;
  readonly shard: ShardId;
  /** Until when its ticket may be used; `null` for a seat that came without one. */
  readonly expiresAt: number | null;
  /** The connection that the ticket worked for. */
  connection: string | null;
  session: string | null;
  /** The last socket that the shard welcomed to it. */
  client: Client | null;
  /** Whether that client saw that it was welcomed: until it did, a crash may take the welcome back. */
  wasOpen: boolean;
  droppedAt: number | null;
  /** Until when it is kept for a client before that one, which saw that it was welcomed. */
  keptBefore: number;
  /** Connections that tried the ticket. */
  readonly tried: Set<string>;
};

export type SeatScene = {
  readonly now: () => number;
  readonly graceMs: number;
  readonly typeOf: (room: RoomId) => RoomType | undefined;
};

export class SeatJudge {
  readonly #scene: SeatScene;
  readonly #seats = new Map<string, Known>();
  /** Seats that may take a place, by shard. */
  readonly #active = new Map<ShardId, Set<Known>>();
  readonly #seatOf = new Map<Client, Known>();
  readonly #unseated = new Map<ShardId, Set<Client>>();
  readonly #disposedAt = new Map<ShardId, number>();
  promises = 0;
  keptPromises = 0;

  constructor(scene: SeatScene) {
    this.#scene = scene;
  }

  /** A player was told of these seats, which are on a shard. */
  promised({ seats, server, expiresAt, room }: HeldSeats, players: number, askedAt: number): void {
    const shard = server as ShardId;
    if (seats.length !== players || roomOfShard(shard) !== room) {
      throw new Violation("SE1", `${players} asked and ${seats.length} got seats on ${shard}`);
    }
    for (const { id } of seats) {
      if (this.#seats.has(id)) throw new Violation("SE1", `seat ${id} was promised twice`);
      this.promises += 1;
      const known = this.#add(id, shard, expiresAt);
      // The room was disposed of while the answer was on its way.
      if ((this.#disposedAt.get(shard) ?? 0) >= askedAt) this.#active.get(shard)?.delete(known);
    }
  }

  /** Somebody asks a shard for a place. */
  asking({ connection, claim }: Visitor): void {
    if (claim === null || claim === undefined) return;
    this.#seats.get(claim.id)?.tried.add(connection);
  }

  /** A shard answered somebody who asked for a place. */
  asked(
    shard: ShardId,
    { connection, request, claim }: Visitor,
    admitted: Result<Entry>,
    at: number,
  ): void {
    const { session } = request;
    const promise = claim === null || claim === undefined ? undefined : this.#seats.get(claim.id);
    if (admitted.ok || admitted.code === "unavailable") return;
    // Seats end with the shard that gave them.
    if (admitted.code === "fenced" || admitted.code === "draining") return;
    const ticketed = promise !== undefined && this.#mustTake(promise, connection, at);
    const isTheirs = (seat: Known): boolean => {
      if (session !== undefined) return seat.session === session;
      // Who speaks the protocol has a session instead, or has not heard of it.
      const isPlain = seat.client?.visitor.request.speaksProtocol === false;
      return claim === null && isPlain && seat.expiresAt === null && seat.connection === connection;
    };
    const isBack = [...(this.#active.get(shard) ?? [])].some(
      (seat) => isTheirs(seat) && this.#isKept(seat, at),
    );
    if (!ticketed && !isBack) return;
    const who = ticketed ? `with the ticket of ${promise.id}` : "who came back in time";
    throw new Violation("SE3", `${shard} refused ${connection} ${who} as ${admitted.code}`);
  }

  /** The shard has made the socket a client. */
  welcomed(client: Client, { seat }: Entry): void {
    const { shard, visitor } = client;
    if (seat === null) {
      const clients = this.#unseated.get(shard) ?? new Set();
      this.#unseated.set(shard, clients.add(client));
      return;
    }
    const known = this.#seats.get(seat.id) ?? this.#add(seat.id, shard, seat.expiresAt);
    this.#activate(known);
    this.#seatOf.set(client, known);
    if (known.client !== null && known.wasOpen) {
      known.keptBefore = (known.droppedAt ?? this.#scene.now()) + this.#scene.graceMs;
    }
    known.client = client;
    known.wasOpen = false;
    known.droppedAt = null;
    if (visitor.request.session !== undefined) known.connection = visitor.connection;
  }

  /** The client has seen that it is in. */
  opened(client: Client): void {
    const seat = this.#seatOf.get(client);
    if (seat === undefined) return;
    const { connection } = client.visitor;
    const isFirst = seat.connection === null;
    if (!isFirst && seat.connection !== connection) {
      throw new Violation("SE3", `seat ${seat.id} is ${seat.connection}'s and ${connection}'s`);
    }
    if (isFirst && seat.expiresAt !== null) this.keptPromises += 1;
    seat.connection = connection;
    if (seat.client === client) seat.wasOpen = true;
    for (const [other, its] of this.#seatOf) {
      if (its !== seat || other === client || !isLive(other) || !isLive(client)) continue;
      throw new Violation(
        "SE4",
        `seat ${seat.id} has the clients ${other.number}, ${client.number}`,
      );
    }
  }

  /** The client was told its session. */
  told(client: Client, session: string): void {
    const seat = this.#seatOf.get(client);
    if (seat !== undefined) seat.session = session;
  }

  /** The shard was told that the room is disposed of: no promise holds any longer. */
  disposed(shard: ShardId): void {
    this.#active.delete(shard);
    this.#disposedAt.set(shard, this.#scene.now());
  }

  /** After every step. */
  check(): void {
    const now = this.#scene.now();
    for (const [shard, seats] of this.#active) {
      let taken = 0;
      for (const seat of seats) {
        if (this.#takesPlace(seat, now)) taken += 1;
        else if (this.#isOver(seat, now)) seats.delete(seat);
      }
      for (const client of this.#unseated.get(shard) ?? []) if (isLive(client)) taken += 1;
      const type = this.#scene.typeOf(roomOfShard(shard));
      const limit = type?.maxPlayers ?? type?.capacity ?? 0;
      if (taken > limit) throw new Violation("SE1", `${shard} sold ${taken} of ${limit} places`);
    }
  }

  #add(id: string, shard: ShardId, expiresAt: number | null): Known {
    const known: Known = {
      id,
      shard,
      expiresAt,
      connection: null,
      session: null,
      client: null,
      wasOpen: false,
      droppedAt: null,
      keptBefore: 0,
      tried: new Set(),
    };
    this.#seats.set(id, known);
    this.#activate(known);
    return known;
  }

  #activate(seat: Known): void {
    const seats = this.#active.get(seat.shard) ?? new Set();
    this.#active.set(seat.shard, seats.add(seat));
  }

  /** Whether the ticket's bearer has a right to come in. */
  #mustTake(seat: Known, connection: string, at: number): boolean {
    if (this.#active.get(seat.shard)?.has(seat) !== true) return false;
    if (seat.client !== null) return seat.connection === connection && this.#isKept(seat, at);
    const isAlone = [...seat.tried].every((other) => other === connection);
    return isAlone && at < (seat.expiresAt ?? 0);
  }

  /** Whether it is a client's still, or kept for one that was seen to be in. */
  #isKept(seat: Known, at: number): boolean {
    if (!seat.wasOpen) return at < seat.keptBefore;
    return seat.droppedAt === null || at < seat.droppedAt + this.#scene.graceMs;
  }

  #takesPlace(seat: Known, now: number): boolean {
    const { client } = seat;
    if (client === null) return now < (seat.expiresAt ?? 0);
    if (isLive(client)) return true;
    if (!client.isOpenAtShard) seat.droppedAt ??= now;
    return (!seat.wasOpen || seat.droppedAt !== null) && this.#isKept(seat, now);
  }

  #isOver(seat: Known, now: number): boolean {
    const { client, droppedAt } = seat;
    if (client === null) return now >= (seat.expiresAt ?? 0);
    return droppedAt !== null && now >= droppedAt + this.#scene.graceMs;
  }
}

/** Both ends think so. */
function isLive({ isOpen, isOpenAtShard }: Client): boolean {
  return isOpen && isOpenAtShard;
}
