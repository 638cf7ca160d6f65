/** Rooms that a server outside has, as far as it has said, and how many players are in them. */
import type { RoomId } from "../protocol/names.ts";

export class NamedRooms {
  readonly #players = new Map<RoomId, number>();
  #total = 0;

  /** In all of them. */
  get players(): number {
    return this.#total;
  }

  has(room: RoomId): boolean {
    return this.#players.has(room);
  }

  set(room: RoomId, players: number): void {
    this.#total += players - (this.#players.get(room) ?? 0);
    this.#players.set(room, players);
  }

  /** None but these. */
  replace(by: Iterable<readonly [room: RoomId, players: number]> = []): void {
    const rooms = [...by];
    this.#players.clear();
    this.#total = 0;
    for (const [room, players] of rooms) this.set(room, players);
  }

  [Symbol.iterator](): Iterator<[RoomId, number]> {
    return this.#players[Symbol.iterator]();
  }
}
