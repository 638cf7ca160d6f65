/**
 * Rooms that take players, by how full they are, so that the fullest that fits is found without
 * looking at the others. Knows nothing of why a room is open.
 */
import type { Room } from "./room-record.ts";

/** Rooms of a type with more seats than this share a level with others that are about as full. */
const maxLevels = 64;

/** The level of so many free seats in rooms of so many: 1 is the fullest. */
export function levelOf(free: number, seats: number): number {
  return Math.ceil((Math.min(free, seats) * Math.min(maxLevels, seats)) / seats);
}

export class OpenRooms {
  readonly #levels = new Map<number, Set<Room>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(room: Room, level: number): void {
    const rooms = this.#levels.get(level);
    if (rooms === undefined) this.#levels.set(level, new Set([room]));
    else rooms.add(room);
    this.#size += 1;
  }

  remove(room: Room, level: number): void {
    if (this.#levels.get(level)?.delete(room) === true) this.#size -= 1;
  }

  /** Rooms from a level on, the fullest first; within a level in any order. */
  *from(level: number): Generator<Room, void> {
    for (let at = Math.max(1, level); at <= maxLevels; at += 1) {
      const rooms = this.#levels.get(at);
      if (rooms !== undefined) yield* rooms;
    }
  }
}
