/**
 * The partition's rooms: the directory in memory, their rows in storage, and what follows from a
 * change: events, totals, and when an empty room's time is over. Knows nothing of calls to others.
 *
 * A row is written when a room is entered, changed or gone, and when one that is kept for long
 * empties; loads live in memory.
 */
import { isRoomId, type RoomId } from "../protocol/names.ts";
import type { Metadata } from "../protocol/registry.ts";
import type { RoomType } from "../core/rooms.ts";
import { Deadlines } from "../core/deadlines.ts";
import { partPrefix } from "./snapshots.ts";
import { Directory } from "./directory.ts";
import { Layouts } from "./layouts.ts";
import type { RegistryOwner } from "./part.ts";
import {
  isEmpty,
  keepMsOf,
  parseRow,
  playerCount,
  roomOf,
  serverOf,
  toRow,
  type Departure,
  type Room,
  type RoomHost,
  type RoomRow,
} from "./room-record.ts";

export const rowPrefix = "room/";
/**
 * A timer for what is further away would keep an idle object from sleeping; an alarm, or the sweep
 * that comes every minute, wakes it then.
 */
const nearMs = 60_000;
/** Seats of rooms on servers outside, a row each: `seats/ROOM/SEAT`. */
export const seatsPrefix = "seats/";

export function seatKey(room: string, seat: string): string {
  return `${seatsPrefix}${room}/${seat}`;
}

function seatKeys({ id, seats }: Room): string[] {
  return [...(seats?.keys() ?? [])].map((seat) => seatKey(id, seat));
}

/** The room or lock that the row with this key goes with. */
export function namedByRow(key: string, prefix: string): string {
  const rest = key.slice(prefix.length);
  const end = rest.indexOf("/");
  // No room's id has a slash; a lock's key may have.
  const hasMore = prefix === seatsPrefix || prefix === partPrefix;
  return hasMore && end !== -1 ? rest.slice(0, end) : rest;
}

export class RoomStore {
  readonly directory: Directory;
  readonly layouts: Layouts;
  readonly #owner: RegistryOwner;
  /** Rooms that were created by hand, whose end must come even if this object dies. */
  readonly #kept = new Deadlines<Room>();
  readonly #used = new Deadlines<Room>();
  /** Rooms that are to leave their server outside. */
  readonly departing = new Set<Room>();
  #occupied = 0;
  #connections = 0;

  private constructor(owner: RegistryOwner, layouts: Layouts) {
    this.#owner = owner;
    this.layouts = layouts;
    this.directory = new Directory(owner.rooms);
  }

  static async start(owner: RegistryOwner): Promise<RoomStore> {
    const store = new RoomStore(owner, await Layouts.start(owner.ports.storage));
    for (const [key, value] of await owner.ports.storage.list(rowPrefix)) {
      store.load(key.slice(rowPrefix.length), value);
    }
    return store;
  }

  get totals(): { rooms: number; connections: number } {
    return { rooms: this.#occupied, connections: this.#connections };
  }

  get(id: RoomId): Room | undefined {
    return this.directory.get(id);
  }

  /**
   * A room that another life of this object, or another partition, has written down. Its load is not
   * known. Rows of types that are no longer declared, or of rooms that belong elsewhere, stay rows.
   */
  load(id: string, value: unknown): void {
    const type = isRoomId(id) ? this.#owner.rooms.typeOf(id) : undefined;
    const row = parseRow(value);
    if (!isRoomId(id) || type === undefined || row === null) return;
    if (this.#owner.rooms.partitionOf(id) !== this.#owner.name) return;
    const room = roomOf(id, type, row, false);
    this.directory.add(room);
    if (room.departure !== null) this.departing.add(room);
    if (room.emptySince !== null) this.lookAt(room, room.emptySince + keepMsOf(room));
  }

  /**
   * A row of another partition. A room that was used here before its row came has the row's metadata,
   * lock and time from now on; one that was created or changed here stays as it is. Returns whether the
   * row's limit, which the room's shard has been told, holds no more.
   */
  adopt(id: RoomId, value: unknown): boolean {
    const known = this.get(id);
    const row = parseRow(value);
    if (row === null) return false;
    if (known === undefined) {
      this.#owner.ports.storage.put({ [rowPrefix + id]: row });
      this.load(id, row);
      return false;
    }
    // Whoever has been there since before it was entered here may never have told this partition.
    if (known.host === null) known.isKnown = false;
    const isUntouched = known.keepMs === null && known.updatedAt === known.createdAt;
    if (!isUntouched || known.host?.server !== row.host?.server) {
      return row.maxPlayers !== null && known.maxPlayers === null && known.host === null;
    }
    const { metadata, isLocked, maxPlayers, keepMs, createdAt, updatedAt, emptySince } = row;
    // It stays the same object: seats may be on their way into it. Its time is set anew.
    const more = { createdAt, updatedAt, emptySince, dueAt: null };
    this.directory.remove(known);
    Object.assign(known, { metadata, isLocked, maxPlayers, keepMs, ...more });
    this.directory.add(known);
    this.#owner.ports.storage.put({ [rowPrefix + id]: row });
    this.#followUp(known);
    return false;
  }

  /** `isKnown`: nobody can be in it yet. */
  enter(id: RoomId, type: RoomType, row: RoomRow, isKnown = true): Room {
    const room = roomOf(id, type, row, isKnown);
    this.directory.add(room);
    this.#owner.ports.storage.put({ [rowPrefix + id]: row });
    const serverId = serverOf(room, this.layouts.of(room));
    this.#owner.emit({ type: "room:created", roomId: id, serverId });
    this.#followUp(room);
    return room;
  }

  change(room: Room, change: { isLocked?: boolean; metadata?: Metadata }): void {
    if (change.isLocked !== undefined) room.isLocked = change.isLocked;
    room.updatedAt = this.#owner.ports.clock.now();
    this.directory.setMetadata(room, change.metadata ?? room.metadata);
    this.#owner.ports.storage.put({ [rowPrefix + room.id]: toRow(room) });
    this.tellOfUpdate(room);
  }

  tellOfUpdate({ id: roomId, isLocked, metadata }: Room): void {
    this.#owner.emit({ type: "room:updated", roomId, isLocked, metadata });
  }

  /** Nobody is sent there from now on, or after all. */
  setClosing(room: Room, isClosing: boolean): void {
    room.isClosing = isClosing;
    this.directory.refresh(room);
  }

  /** Whether the room is to leave its server; it is sent nobody meanwhile. */
  setDeparture(room: Room, departure: Departure | null): void {
    room.departure = departure;
    if (departure === null) this.departing.delete(room);
    else this.departing.add(room);
    this.#owner.ports.storage.put({ [rowPrefix + room.id]: toRow(room) });
    this.setClosing(room, departure !== null);
  }

  /** What else is known of the room on the server that it is on. */
  setHost(room: Room, host: RoomHost): void {
    room.host = host;
    this.#owner.ports.storage.put({ [rowPrefix + room.id]: toRow(room) });
  }

  /** The room is on another server, and nobody there yet: seats of before hold no more. */
  move(room: Room, host: RoomHost, isKnown: boolean): void {
    const from = serverOf(room, this.layouts.of(room));
    this.departing.delete(room);
    this.#owner.ports.storage.delete(seatKeys(room));
    room.seats = null;
    room.departure = null;
    this.changeLoad(room, () => {
      const now = this.#owner.ports.clock.now();
      const load = { players: [], reserved: 0, isKnown };
      Object.assign(room, { host, ...load, isClosing: false, emptySince: null, updatedAt: now });
      this.#owner.ports.storage.put({ [rowPrefix + room.id]: toRow(room) });
    });
    this.#owner.emit({ type: "room:migrated", roomId: room.id, from, to: host.server });
  }

  forget(room: Room, reason: string): void {
    if (!this.has(room)) return;
    this.directory.remove(room);
    this.departing.delete(room);
    this.layouts.settle(room);
    this.#count(room, -1);
    this.#owner.ports.storage.delete([rowPrefix + room.id, ...seatKeys(room)]);
    this.#owner.emit({ type: "room:disposed", roomId: room.id, reason });
  }

  /** Whether this very room is in the directory still. */
  has(room: Room): boolean {
    return this.directory.get(room.id) === room;
  }

  /** Makes a change of the room's load, and does what follows from it. */
  changeLoad(room: Room, change: () => void): void {
    if (!this.has(room)) return change();
    const { isKnown, players } = room;
    const count = playerCount(room);
    this.#count(room, -1);
    change();
    this.#count(room, 1);
    if (isKnown) this.#tellOfPlayers(room, players ?? [], count);
    this.directory.refresh(room);
    this.#followUp(room);
  }

  /** The room is taken up by `takeDue` at that time, or before. */
  lookAt(room: Room, at: number): void {
    const deadlines = room.keepMs === null ? this.#used : this.#kept;
    deadlines.set(room, at);
    this.#owner.rearm();
  }

  nextDeadline(): number | null {
    const [used, kept] = [this.#used.next(), this.#kept.next()];
    const horizon = this.#owner.ports.clock.now() + nearMs;
    if (kept === null || kept > horizon) return used;
    return used === null ? kept : Math.min(used, kept);
  }

  /** The next deadline that must be kept even if this object is not in memory. */
  nextDurableDeadline(): number | null {
    return this.#kept.next();
  }

  /** The next room whose time has come; it is set anew when the room goes on being empty. */
  takeDue(now: number): Room | undefined {
    for (;;) {
      const room = this.#used.take(now) ?? this.#kept.take(now);
      if (room === undefined || this.has(room)) return room;
    }
  }

  /** An empty room's time begins, or has an end. */
  #followUp(room: Room): void {
    if (!isEmpty(room)) {
      // Until it is known, its row may be right.
      if (room.isKnown) room.emptySince = null;
      return;
    }
    if (room.emptySince === null) {
      room.emptySince = this.#owner.ports.clock.now();
      if (room.keepMs !== null) {
        this.#owner.ports.storage.put({ [rowPrefix + room.id]: toRow(room) });
      }
    }
    this.lookAt(room, room.emptySince + keepMsOf(room));
  }

  #count(room: Room, sign: 1 | -1): void {
    if (playerCount(room) > 0) this.#occupied += sign;
    this.#connections += sign * room.connections;
  }

  #tellOfPlayers(room: Room, before: readonly string[], countBefore: number): void {
    const roomId = room.id;
    const count = playerCount(room);
    if (room.players === null) {
      if (count === countBefore) return;
      const type = count > countBefore ? "player:joined" : "player:left";
      const by = Math.abs(count - countBefore);
      this.#owner.emit({ type, roomId, count: by, playerCount: count });
      return;
    }
    if (room.players === before) return;
    const [now, then] = [new Set(room.players), new Set(before)];
    for (const playerId of now) {
      if (then.has(playerId)) continue;
      this.#owner.emit({ type: "player:joined", roomId, playerId, playerCount: count });
    }
    for (const playerId of then) {
      if (now.has(playerId)) continue;
      this.#owner.emit({ type: "player:left", roomId, playerId, playerCount: count });
    }
  }
}
