/**
 * The rooms of a partition in memory, in order of their ids and, while they take players, by how full
 * they are and by their metadata. No operation looks at all rooms. Knows nothing of storage.
 */
import type { Rooms, RoomType } from "../core/rooms.ts";
import type { RoomId } from "../protocol/names.ts";
import type { Metadata, RoomQuery, Scalar } from "../protocol/registry.ts";
import { levelOf, OpenRooms } from "./open-rooms.ts";
import { freeSeats, type Room } from "./room-record.ts";
import { SortedIds } from "./sorted-ids.ts";

/** Rooms that one operation looks at. */
export const maxLooks = 1_000;
/** Metadata that open rooms are found by: so many scalars of a room, of so many characters. */
const maxIndexedKeys = 16;
const maxIndexedLength = 64;

export type Page = { readonly rooms: Room[]; readonly through: RoomId | null };

/** A type's rooms. */
class TypeRooms {
  readonly ids = new SortedIds();
  readonly open = new OpenRooms();
  /** A value that one room alone has costs no more than its entry. */
  readonly byTerm = new Map<string, Room | OpenRooms>();
  readonly seats: number;

  constructor(type: RoomType) {
    this.seats = type.maxPlayers ?? type.capacity * type.shards.max;
  }
}

export class Directory {
  readonly #rooms = new Map<RoomId, Room>();
  readonly #types = new Map<string, TypeRooms>();

  constructor(rooms: Rooms) {
    for (const name of rooms.names()) {
      const type = rooms.type(name);
      if (type !== undefined) this.#types.set(name, new TypeRooms(type));
    }
  }

  get size(): number {
    return this.#rooms.size;
  }

  get(id: RoomId): Room | undefined {
    return this.#rooms.get(id);
  }

  hasType(name: string): boolean {
    return this.#types.has(name);
  }

  /** How many rooms of the type there are. */
  count(type: RoomType): number {
    return this.#types.get(type.name)?.ids.size ?? 0;
  }

  add(room: Room): void {
    this.#rooms.set(room.id, room);
    this.#of(room.type).ids.add(room.id);
    this.refresh(room);
  }

  remove(room: Room): void {
    this.#rooms.delete(room.id);
    this.#of(room.type).ids.remove(room.id);
    this.#move(room, 0);
  }

  /** The room's load, lock or state has changed. */
  refresh(room: Room): void {
    // Players on a server outside are not known before it reports, and it cannot be asked.
    const isShut = room.isLocked || room.isClosing || (room.host !== null && !room.isKnown);
    const free = isShut ? 0 : freeSeats(room);
    this.#move(room, free <= 0 ? 0 : levelOf(free, this.#of(room.type).seats));
  }

  setMetadata(room: Room, metadata: Metadata): void {
    this.#move(room, 0);
    room.metadata = metadata;
    this.refresh(room);
  }

  /** Rooms after an id in the order of ids, of one type or of all. */
  *after(type: string | null, last: string | null): Generator<Room, void> {
    const heads = [...this.#types]
      .filter(([name]) => type === null || name === type)
      .map(([, { ids }]) => {
        const rest = ids.after(last);
        return { rest, next: rest.next() };
      });
    for (;;) {
      let first: (typeof heads)[number] | null = null;
      let id: RoomId | null = null;
      for (const head of heads) {
        if (head.next.done === true || (id !== null && id < head.next.value)) continue;
        id = head.next.value;
        first = head;
      }
      if (first === null || id === null) return;
      first.next = first.rest.next();
      const room = this.#rooms.get(id);
      if (room !== undefined) yield room;
    }
  }

  /** At most `limit` rooms after an id for which `fits`; looks at a bounded number. */
  page(type: string | null, id: string | null, limit: number, fits: (room: Room) => boolean): Page {
    const rooms: Room[] = [];
    let looks = 0;
    for (const room of this.after(type, id)) {
      looks += 1;
      if (fits(room)) rooms.push(room);
      if (rooms.length >= limit || looks >= maxLooks) return { rooms, through: room.id };
    }
    return { rooms, through: null };
  }

  /**
   * Open rooms of the type that have so many free seats and the metadata, the fullest first; looks at
   * a bounded number. Of a room's metadata the first 16 short scalars count.
   */
  *open(type: RoomType, seats: number, metadata: RoomQuery["metadata"]): Generator<Room, void> {
    const rooms = this.#of(type);
    const level = levelOf(seats, rooms.seats);
    let looks = 0;
    for (const room of narrowest(rooms, metadata, level)) {
      if (freeSeats(room) >= seats && hasMetadata(room, metadata)) yield room;
      looks += 1;
      if (looks >= maxLooks) return;
    }
  }

  #move(room: Room, level: number): void {
    if (level === room.level) return;
    const { open, byTerm } = this.#of(room.type);
    const before = room.level;
    room.level = level;
    if (before > 0) open.remove(room, before);
    if (level > 0) open.add(room, level);
    for (const term of termsOf(room.metadata)) {
      if (before > 0) removeTerm(byTerm, term, room, before);
      if (level > 0) addTerm(byTerm, term, room, level);
    }
  }

  #of(type: RoomType): TypeRooms {
    const known = this.#types.get(type.name);
    if (known === undefined) throw new Error(`no room type "${type.name}"`);
    return known;
  }
}

/** The fewest rooms among which all are that have the metadata, from a level on. */
function narrowest(
  { open, byTerm }: TypeRooms,
  metadata: RoomQuery["metadata"],
  level: number,
): Iterable<Room> {
  let fewest = open;
  for (const [key, value] of Object.entries(metadata ?? {})) {
    if (!isIndexed(key, value)) continue;
    const found = byTerm.get(termOf(key, value));
    if (found === undefined) return [];
    if (!(found instanceof OpenRooms)) return [found];
    if (found.size < fewest.size) fewest = found;
  }
  return fewest.from(level);
}

function addTerm(byTerm: TypeRooms["byTerm"], term: string, room: Room, level: number): void {
  const found = byTerm.get(term);
  if (found === undefined) return void byTerm.set(term, room);
  if (found instanceof OpenRooms) return found.add(room, level);
  const both = new OpenRooms();
  both.add(found, found.level);
  both.add(room, level);
  byTerm.set(term, both);
}

function removeTerm(byTerm: TypeRooms["byTerm"], term: string, room: Room, level: number): void {
  const found = byTerm.get(term);
  if (found instanceof OpenRooms) found.remove(room, level);
  if (found === room || (found instanceof OpenRooms && found.size === 0)) byTerm.delete(term);
}

/** Whether the room has these values at the top of its metadata. */
export function hasMetadata({ metadata }: Room, asked: RoomQuery["metadata"]): boolean {
  for (const [key, value] of Object.entries(asked ?? {})) {
    if (!Object.hasOwn(metadata, key) || metadata[key] !== value) return false;
  }
  return true;
}

function termsOf(metadata: Metadata): string[] {
  const terms: string[] = [];
  for (const [key, value] of Object.entries(metadata)) {
    if (!isScalar(value) || !isIndexed(key, value)) continue;
    terms.push(termOf(key, value));
    if (terms.length === maxIndexedKeys) break;
  }
  return terms;
}

function isScalar(value: unknown): value is Scalar {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean";
}

function isIndexed(key: string, value: Scalar): boolean {
  if (key.length > maxIndexedLength) return false;
  return typeof value !== "string" || value.length <= maxIndexedLength;
}

function termOf(key: string, value: Scalar): string {
  return JSON.stringify([key, value]);
}
