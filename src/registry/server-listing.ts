/**
 * The list of servers: the shards of this partition's rooms that have told of themselves, and what the
 * hub says of servers outside, in order of ids.
 */
import { mergePages } from "../core/listing.ts";
import { idOf, type Slot } from "../core/layout.ts";
import { placeOfSlot } from "../core/shard-regions.ts";
import { isRoomId } from "../protocol/names.ts";
import type { RegistryReplies } from "../protocol/registry-calls.ts";
import type { ServerRegistration } from "../protocol/registry.ts";
import { success } from "../protocol/result.ts";
import { maxLooks } from "./directory.ts";
import type { Learning } from "./learning.ts";
import type { RegistryOwner, RegistryReply, RequestOf } from "./part.ts";
import { unknownType } from "./room-life.ts";
import { limitOf, type Room } from "./room-record.ts";
import type { RoomStore } from "./room-store.ts";
import type { Services } from "./services.ts";

/** A page waits for shards no longer: what is known by then is told. */
const learnMs = 2_000;

type Shard = { readonly id: string; readonly room: Room; readonly slot: Slot };
type Shards = { readonly shards: readonly Shard[]; readonly through: string | null };
type Page = RegistryReplies["servers"];
type Parts = {
  readonly store: RoomStore;
  readonly learning: Learning;
  readonly services: Services;
};

export class ServerListing {
  readonly #owner: RegistryOwner;
  readonly #store: RoomStore;
  readonly #learning: Learning;
  readonly #services: Services;

  constructor(owner: RegistryOwner, { store, learning, services }: Parts) {
    this.#owner = owner;
    this.#store = store;
    this.#learning = learning;
    this.#services = services;
  }

  /** A page may be short, since a call looks at so many shards and no more. */
  async servers(request: RequestOf<"servers">): Promise<RegistryReply> {
    const { roomType, kind, limit } = request;
    if (roomType !== null && !this.#store.directory.hasType(roomType)) return unknownType(roomType);
    const pages: Page[] = [];
    if (kind !== "shard") pages.push(this.#services.outside(request));
    if (kind !== "server") pages.push(await this.#shards(request));
    const parts = pages.map(({ servers, through }) => ({ items: servers, through }));
    const { items, cursor } = mergePages(parts, ({ serverId }) => serverId, limit);
    return success({ servers: items, through: cursor });
  }

  async #shards({ roomType, after, limit }: RequestOf<"servers">): Promise<Page> {
    const { shards, through } = this.#find(roomType, after, limit);
    // After a restart they are asked first; those that were never used are left out.
    const rooms = new Set(shards.map(({ room }) => room));
    await this.#owner.within(
      learnMs,
      Promise.all([...rooms].map((room) => this.#learning.know(room))),
    );
    return { servers: shards.flatMap(registrationOf), through };
  }

  /**
   * Rooms come in the order of their ids, which is that of `ID-` as well, since no character of an id
   * is below the hyphen. Shards of a room come after its `ID-`, but those of `a-1` come between
   * `a-1` and `a-2`; so a room's shards wait until no later room can have one before them.
   */
  #find(roomType: string | null, after: string | null, limit: number): Shards {
    const found: Shard[] = [];
    let waiting: Shard[] = [];
    let looks = 0;
    for (const room of this.#rooms(roomType, after)) {
      const bound = `${room.id}-`;
      found.push(...waiting.filter(({ id }) => id < bound));
      waiting = waiting.filter(({ id }) => id >= bound);
      if (found.length >= limit) break;
      if (looks >= maxLooks && (after === null || bound > after)) {
        return { shards: found, through: bound };
      }
      const { slots } = this.#store.layouts.of(room);
      looks += slots.length;
      const shards = usedShards(room, slots).filter(({ id }) => after === null || id > after);
      if (shards.length > 0) waiting = [...waiting, ...shards].toSorted(byId);
    }
    const all = [...found, ...waiting];
    const shards = all.slice(0, limit);
    const isWhole = found.length < limit && all.length <= limit;
    return { shards, through: isWhole ? null : (shards.at(-1)?.id ?? after) };
  }

  /** Rooms that may have a shard after the id: those that it begins with, and all that come later. */
  *#rooms(roomType: string | null, after: string | null): Generator<Room, void> {
    const { directory } = this.#store;
    const start = after ?? "";
    for (let length = 1; length <= start.length; length += 1) {
      const id = start.slice(0, length);
      const room = isRoomId(id) ? directory.get(id) : undefined;
      if (room !== undefined && (roomType === null || room.type.name === roomType)) yield room;
    }
    yield* directory.after(roomType, after);
  }
}

/** The room's shards that may have been used; none of a room on a server outside. */
function usedShards(room: Room, slots: readonly Slot[]): Shard[] {
  if (room.host !== null) return [];
  return slots.flatMap((slot) => {
    const isSeen = !room.isKnown || (room.counts?.reportedAt(slot) ?? 0) > 0;
    return isSeen ? [{ id: idOf(room.id, slot), room, slot }] : [];
  });
}

function byId(one: Shard, other: Shard): number {
  return one.id < other.id ? -1 : 1;
}

/** Its address is the gate's to fill in. */
function registrationOf({ id, room, slot }: Shard): ServerRegistration[] {
  const { type, counts } = room;
  const lastHeartbeat = counts?.reportedAt(slot) ?? 0;
  if (lastHeartbeat === 0) return [];
  const state = { kind: "shard", address: "", status: slot.status, metadata: {} } as const;
  return [
    {
      serverId: id,
      ...state,
      roomTypes: [type.name],
      roomCount: 1,
      playerCount: counts?.at(slot).connections ?? 0,
      capacity: type.shards.max === 1 ? limitOf(room) : type.capacity,
      lastHeartbeat,
      ...placeOfSlot(type, slot.number),
    },
  ];
}
