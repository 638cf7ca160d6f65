/** The directory as callers see it: pages of rooms, one room, and changes of what is told of it. */
import type { RoomQuery } from "../protocol/registry.ts";
import { success, type Result } from "../protocol/result.ts";
import type { RegistryReplies, RoomListing } from "../protocol/registry-calls.ts";
import { hasMetadata } from "./directory.ts";
import type { Learning } from "./learning.ts";
import type { RegistryOwner, RegistryReply, RequestOf } from "./part.ts";
import { freeSeats, isEmpty, listing, type Room } from "./room-record.ts";
import { unknownRoom, unknownType } from "./room-life.ts";
import type { RoomStore } from "./room-store.ts";

/** Rooms that one page holds at most. */
const maxPage = 1_000;
/** A page waits for shards no longer: what is known by then is told. */
const learnMs = 2_000;

export class RoomQueries {
  readonly #owner: RegistryOwner;
  readonly #store: RoomStore;
  readonly #learning: Learning;

  constructor(owner: RegistryOwner, { store, learning }: { store: RoomStore; learning: Learning }) {
    this.#owner = owner;
    this.#store = store;
    this.#learning = learning;
  }

  /** A page may be short, since a call looks at so many rooms and no more. */
  async rooms(request: RequestOf<"rooms">): Promise<RegistryReply> {
    const { roomType, query, after, limit } = request;
    const { directory } = this.#store;
    if (roomType !== null && !directory.hasType(roomType)) return unknownType(roomType);
    const size = Math.max(1, Math.min(limit, maxPage));
    const { rooms, through } = directory.page(roomType, after, size, (room) => fits(room, query));
    // After a restart their counts come first; those that have no space after all are left out.
    await this.#owner.within(learnMs, Promise.all(rooms.map((room) => this.#learning.know(room))));
    const found = rooms.filter((room) => fits(room, query));
    return success({ rooms: found.map((room) => this.#listing(room)), through });
  }

  async room({ room: id }: RequestOf<"room">): Promise<RegistryReply> {
    const room = this.#store.get(id);
    if (room === undefined) return unknownRoom(id);
    await this.#learning.know(room);
    return success(this.#listing(room));
  }

  async change(request: RequestOf<"change">): Promise<RegistryReply> {
    const { room: id, isLocked, metadata } = request;
    const room = this.#store.get(id);
    if (room === undefined) return unknownRoom(id);
    if (isLocked !== undefined || metadata !== undefined) {
      this.#store.change(room, {
        ...(isLocked === undefined ? {} : { isLocked }),
        ...(metadata === undefined ? {} : { metadata }),
      });
    }
    await this.#learning.know(room);
    return success(this.#listing(room));
  }

  /** Rooms on shards that may owe something to clients, for the host's sweep; a page of them. */
  sweep({ after = null }: RequestOf<"sweep">): Result<RegistryReplies["sweep"]> {
    const { rooms, through } = this.#store.directory.page(
      null,
      after,
      maxPage,
      (room) => room.host === null && !isEmpty(room),
    );
    return success({ rooms: rooms.map(({ id }) => id), through });
  }

  #listing(room: Room): RoomListing {
    return listing(room, this.#store.layouts.of(room));
  }
}

function fits(room: Room, { hasSpace, notLocked, metadata }: RoomQuery): boolean {
  if (hasSpace === true && freeSeats(room) <= 0) return false;
  if (notLocked === true && room.isLocked) return false;
  return hasMetadata(room, metadata);
}
