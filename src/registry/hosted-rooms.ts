/**
 * Rooms on servers outside, which cannot be asked: their players, and the seats that this partition
 * holds for them. A seat is freed on the server's word alone: a report names the seats that were
 * taken, and the registry's time that the server judged by. One that had expired by then and is not
 * named was never taken and never will be.
 */
import * as v from "valibot";
import { isRoomId, type RoomId } from "../protocol/names.ts";
import type { HeldSeats, RegistryReplies, RoomOrder } from "../protocol/registry-calls.ts";
import { failure, success, type Result } from "../protocol/result.ts";
import type { HostedStates } from "./hosted-states.ts";
import type { RegistryOwner, RequestOf } from "./part.ts";
import { freeSeats, type HeldSeat, type Room } from "./room-record.ts";
import { isMoving, isOn, type Relocation } from "./relocation.ts";
import type { RoomLife } from "./room-life.ts";
import { namedByRow, seatKey, seatsPrefix, type RoomStore } from "./room-store.ts";

const seatSchema = v.object({ player: v.string(), expiresAt: v.number() });
type Report = RequestOf<"hosted">["rooms"][number];

type Parts = {
  readonly store: RoomStore;
  readonly life: RoomLife;
  readonly relocation: Relocation;
  readonly states: HostedStates;
};

export class HostedRooms {
  readonly #owner: RegistryOwner;
  readonly #store: RoomStore;
  readonly #life: RoomLife;
  readonly #relocation: Relocation;
  readonly #states: HostedStates;

  private constructor(owner: RegistryOwner, { store, life, relocation, states }: Parts) {
    this.#owner = owner;
    this.#store = store;
    this.#life = life;
    this.#relocation = relocation;
    this.#states = states;
  }

  static async start(owner: RegistryOwner, parts: Parts): Promise<HostedRooms> {
    const rooms = new HostedRooms(owner, parts);
    const changed = new Set<Room>();
    for (const [key, value] of await owner.ports.storage.list(seatsPrefix)) {
      const room = rooms.#load(key, value);
      if (room !== null) changed.add(room);
    }
    for (const room of changed) rooms.#count(room, []);
    return rooms;
  }

  /** A seat of another partition, by its row; one that was promised here stays. */
  adopt(key: string, value: unknown): void {
    const room = this.#load(key, value);
    if (room === null) return;
    this.#owner.ports.storage.put({ [key]: value });
    this.#count(room, []);
  }

  /** The room that the seat is in; `null` when it is in none, or there already. */
  #load(key: string, value: unknown): Room | null {
    const id = namedByRow(key, seatsPrefix);
    const seat = key.slice(seatKey(id, "").length);
    const parsed = v.safeParse(seatSchema, value);
    const room = isRoomId(id) ? this.#store.get(id) : undefined;
    if (!parsed.success || seat === "" || room === undefined || room.host === null) return null;
    room.seats ??= new Map();
    if (room.seats.has(seat)) return null;
    room.seats.set(seat, parsed.output);
    return room;
  }

  /** Holds a seat for each, or for none. */
  hold(room: Room, wanted: HeldSeats["seats"], ttlMs: number): Result<HeldSeats> {
    if (room.host === null) return failure("unavailable", `"${room.id}" is on shards`);
    if (room.departure !== null) return isMoving(room);
    // Until its server has reported, its players are not known, and a seat might be sold twice.
    if (!room.isKnown) return failure("unavailable", `"${room.host.server}" has yet to report`);
    if (freeSeats(room) < wanted.length) {
      return failure("room-full", `"${room.id}" has too few free seats`);
    }
    const expiresAt = this.#owner.ports.clock.now() + ttlMs;
    const seats = (room.seats ??= new Map<string, HeldSeat>());
    const rows: Record<string, HeldSeat> = {};
    for (const { id, player } of wanted) {
      seats.set(id, { player, expiresAt });
      rows[seatKey(room.id, id)] = { player, expiresAt };
    }
    this.#owner.ports.storage.put(rows);
    this.#store.changeLoad(room, () => (room.reserved += wanted.length));
    const { server, instance, url: redirect } = room.host;
    return success({ room: room.id, server, instance, redirect, expiresAt, seats: wanted });
  }

  /** What a server says of its rooms here. */
  hosted({ asOf, rooms, ...from }: RequestOf<"hosted">): Result<RegistryReplies["hosted"]> {
    const unknown: RoomId[] = [];
    const orders: RoomOrder[] = [];
    for (const report of rooms) {
      const room = this.#store.get(report.room);
      if (room === undefined || !isOn(room, from)) {
        unknown.push(report.room);
        continue;
      }
      this.#takeReport(room, report, asOf);
      orders.push(...this.#states.ordersOf(room));
    }
    return success({ unknown, ...(orders.length === 0 ? {} : { orders }) });
  }

  /** The server is gone: its rooms go elsewhere, or with it. */
  gone({ rooms, ...from }: RequestOf<"gone">): Result<null> {
    for (const id of rooms) {
      const room = this.#store.get(id);
      if (room !== undefined && isOn(room, from)) this.#relocation.lose(room);
    }
    const isComing = rooms.some((id) => this.#life.isEntering(id));
    if (isComing) return failure("unavailable", "a room may be on its way to that server");
    return success(null);
  }

  #takeReport(room: Room, { players, seats: taken }: Report, asOf: number): void {
    const named = new Set(taken);
    const freed = [...(room.seats ?? [])].flatMap(([id, { expiresAt }]) =>
      named.has(id) || expiresAt > asOf ? [] : [id],
    );
    for (const id of freed) room.seats?.delete(id);
    if (freed.length > 0) {
      this.#owner.ports.storage.delete(freed.map((id) => seatKey(room.id, id)));
    }
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
    for (const [id, { player }] of room.seats ?? []) {
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
}
