/**
 * Rooms on servers outside, which cannot be asked: their players, and the seats that this partition
 * holds for them. A seat is freed on the server's word alone: a report names the seats that were
 * taken, and the registry's time that the server judged by. One that had expired by then and is not
 * named was never taken and never will be.
 */
import * as v from "valibot";
import { isRoomId, type RoomId } from "../protocol/names.ts";
import type { HeldSeats, RegistryReplies } from "../protocol/registry-calls.ts";
import { failure, success, type Result } from "../protocol/result.ts";
import type { RegistryOwner, RequestOf } from "./part.ts";
import { freeSeats, type Room } from "./room-record.ts";
import type { RoomLife } from "./room-life.ts";
import { seatsPrefix, type RoomStore } from "./room-store.ts";

/** A room's row: its seats by id. */
const seatsSchema = v.record(v.string(), v.object({ player: v.string(), expiresAt: v.number() }));
type Seats = v.InferOutput<typeof seatsSchema>;
type Report = RequestOf<"hosted">["rooms"][number];

export class HostedRooms {
  readonly #owner: RegistryOwner;
  readonly #store: RoomStore;
  readonly #life: RoomLife;
  readonly #seats = new WeakMap<Room, Seats>();

  private constructor(owner: RegistryOwner, store: RoomStore, life: RoomLife) {
    this.#owner = owner;
    this.#store = store;
    this.#life = life;
  }

  static async start(
    owner: RegistryOwner,
    { store, life }: { store: RoomStore; life: RoomLife },
  ): Promise<HostedRooms> {
    const rooms = new HostedRooms(owner, store, life);
    for (const [key, value] of await owner.ports.storage.list(seatsPrefix)) {
      rooms.load(key.slice(seatsPrefix.length), value);
    }
    return rooms;
  }

  /** Seats that another life of this object, or another partition, has written down. */
  load(id: string, value: unknown): void {
    const seats = v.safeParse(seatsSchema, value);
    const room = isRoomId(id) ? this.#store.get(id) : undefined;
    if (!seats.success || room === undefined) return;
    this.#seats.set(room, seats.output);
    this.#count(room, []);
  }

  /** Seats of another partition; those that were promised here stay. */
  adopt(id: RoomId, value: unknown): void {
    const room = this.#store.get(id);
    const seats = v.safeParse(seatsSchema, value);
    if (!seats.success || room?.host === undefined || room.host === null) return;
    this.#keep(room, { ...seats.output, ...this.#seats.get(room) });
    this.#count(room, []);
  }

  /** Holds a seat for each, or for none. */
  hold(room: Room, wanted: HeldSeats["seats"], ttlMs: number): Result<HeldSeats> {
    if (room.host === null) return failure("unavailable", `"${room.id}" is on shards`);
    // Until its server has reported, its players are not known, and a seat might be sold twice.
    if (!room.isKnown) return failure("unavailable", `"${room.host.server}" has yet to report`);
    if (freeSeats(room) < wanted.length) {
      return failure("room-full", `"${room.id}" has too few free seats`);
    }
    const expiresAt = this.#owner.ports.clock.now() + ttlMs;
    const seats = { ...this.#seats.get(room) };
    for (const { id, player } of wanted) seats[id] = { player, expiresAt };
    this.#keep(room, seats);
    this.#store.changeLoad(room, () => (room.reserved += wanted.length));
    const { server, url: redirect } = room.host;
    return success({ room: room.id, server, redirect, expiresAt, seats: wanted });
  }

  /** What a server says of its rooms here. */
  hosted({ server, asOf, rooms }: RequestOf<"hosted">): Result<RegistryReplies["hosted"]> {
    const unknown: RoomId[] = [];
    for (const report of rooms) {
      const room = this.#store.get(report.room);
      if (room?.host?.server === server) this.#takeReport(room, report, asOf);
      else unknown.push(report.room);
    }
    return success({ unknown });
  }

  /** The server is gone, and its rooms with it. */
  gone({ server, rooms }: RequestOf<"gone">): Result<null> {
    for (const id of rooms) {
      const room = this.#store.get(id);
      if (room?.host?.server === server) this.#life.lose(room, "server-offline");
    }
    return success(null);
  }

  #takeReport(room: Room, { players, seats: taken }: Report, asOf: number): void {
    const seats = this.#seats.get(room) ?? {};
    const named = new Set(taken);
    const kept = Object.entries(seats).filter(
      ([id, { expiresAt }]) => named.has(id) || expiresAt > asOf,
    );
    if (kept.length < Object.keys(seats).length) this.#keep(room, Object.fromEntries(kept));
    this.#store.changeLoad(room, () => {
      room.players = players;
      room.isKnown = true;
    });
    this.#count(room, taken);
  }

  /** Seats beyond the players who are there: held, or kept for somebody whose connection dropped. */
  #count(room: Room, taken: readonly string[]): void {
    const named = new Set(taken);
    const present = new Map<string, number>();
    for (const player of room.players ?? []) present.set(player, (present.get(player) ?? 0) + 1);
    let unseated = room.players?.length ?? 0;
    let away = 0;
    for (const [id, { player }] of Object.entries(this.#seats.get(room) ?? {})) {
      const left = present.get(player) ?? 0;
      if (!named.delete(id) || left === 0) {
        away += 1;
        continue;
      }
      present.set(player, left - 1);
      unseated -= 1;
    }
    // What is left are seats that this partition knows nothing of, of players without another.
    const strangers = Math.max(0, named.size - unseated);
    this.#store.changeLoad(room, () => (room.reserved = away + strangers));
  }

  #keep(room: Room, seats: Seats): void {
    const isEmpty = Object.keys(seats).length === 0;
    this.#seats.set(room, seats);
    if (isEmpty) this.#owner.ports.storage.delete([seatsPrefix + room.id]);
    else this.#owner.ports.storage.put({ [seatsPrefix + room.id]: seats });
  }
}
