/** Takes over rows of rooms from a former partition, as many times as they are sent. */
import { isRoomId } from "../protocol/names.ts";
import { failure, success, type Result } from "../protocol/result.ts";
import type { HostedRooms } from "./hosted-rooms.ts";
import type { Learning } from "./learning.ts";
import type { RegistryOwner, RequestOf } from "./part.ts";
import { rowPrefix, seatsPrefix, type RoomStore } from "./room-store.ts";

type Parts = {
  readonly store: RoomStore;
  readonly learning: Learning;
  readonly hosted: HostedRooms;
};

export class Adoption {
  readonly #owner: RegistryOwner;
  readonly #parts: Parts;

  constructor(owner: RegistryOwner, parts: Parts) {
    this.#owner = owner;
    this.#parts = parts;
  }

  adopt({ rows }: RequestOf<"adopt">): Result<null> {
    const { store, learning, hosted } = this.#parts;
    const { rooms, name } = this.#owner;
    for (const [key, value] of Object.entries(rows)) {
      const prefix = [rowPrefix, seatsPrefix].find((each) => key.startsWith(each));
      if (prefix === undefined) continue;
      const room = key.slice(prefix.length);
      if (!isRoomId(room)) continue;
      // The caller counts other partitions than this one: both must run the same code first.
      if (rooms.partitionOf(room) !== name) {
        return failure("unavailable", `"${room}" belongs to another partition`);
      }
      if (prefix === rowPrefix) store.adopt(room, value);
      else hosted.adopt(room, value);
    }
    learning.begin();
    return success(null);
  }
}
