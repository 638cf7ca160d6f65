/**
 * What gates place sockets by, and what shards report: the load of each shard of a room. Knows
 * nothing of messages.
 */
import type { RoomType } from "../core/rooms.ts";
import { roomOfShard, shardId } from "../protocol/names.ts";
import type { ShardLoad } from "../protocol/registry-calls.ts";
import { failure, success } from "../protocol/result.ts";
import type { Learning } from "./learning.ts";
import { asProblem, type RegistryOwner, type RegistryReply, type RequestOf } from "./part.ts";
import { limitOf, type Room } from "./room-record.ts";
import { unknownType, type RoomLife } from "./room-life.ts";
import type { RoomStore } from "./room-store.ts";

type Parts = { readonly store: RoomStore; readonly learning: Learning; readonly life: RoomLife };

export class PlacementTables {
  readonly #owner: RegistryOwner;
  readonly #store: RoomStore;
  readonly #learning: Learning;
  readonly #life: RoomLife;
  /** What the former life was told since a report is not known. */
  readonly #startedAt: number;

  constructor(owner: RegistryOwner, { store, learning, life }: Parts) {
    this.#owner = owner;
    this.#startedAt = owner.ports.clock.now();
    this.#store = store;
    this.#learning = learning;
    this.#life = life;
  }

  async table({ room: id }: RequestOf<"table">): Promise<RegistryReply> {
    const found = await this.#life.lookUp(id);
    if (!found.ok) return asProblem(found);
    const { isLocked, host } = found.value;
    if (host !== null) return success({ shards: [], isLocked, redirect: host.url });
    await this.#learning.know(found.value);
    return success({ shards: shardLoads(found.value), isLocked, redirect: null });
  }

  report(request: RequestOf<"report">): RegistryReply {
    const { shard, connections, players, reserved, at } = request;
    const id = roomOfShard(shard);
    const type = this.#owner.rooms.typeOf(id);
    if (type === undefined) return unknownType(id);
    const index = shardIndex(shard, type);
    if (index === null) return failure("not-found", `"${id}" has no shard "${shard}"`);
    // Nobody uses a room that is only told to be empty.
    const isIdle = connections === 0 && reserved === 0 && (players?.length ?? 0) === 0;
    if (isIdle && this.#store.get(id) === undefined) return success(null);
    const isUnknown = this.#store.get(id) === undefined;
    const room = this.#life.useOnShards(id, type);
    // Sockets that were there before the room went to a server outside.
    if (room.host !== null) return success(null);
    // Whoever came since it ended is told of again when it has left, and brings it in anew.
    if (room.isClosing && !isIdle) return failure("unavailable", `"${id}" is being disposed of`);
    this.#learning.takeReport(room, index, { connections, players, reserved, at });
    // It may be of a time before the room was given up, and nothing newer may follow it. Answers of
    // shards that tell no time cannot be told from older ones.
    const isOld = at !== undefined && at < Math.max(room.createdAt, this.#startedAt);
    if (isOld || (isUnknown && at !== undefined)) void this.#learning.confirm(room, index);
    if (!room.isKnown) void this.#learning.ask(room, true);
    return success(null);
  }
}

/** Load of every shard, in order. */
function shardLoads(room: Room): ShardLoad[] {
  const { id, type, counts } = room;
  return Array.from({ length: type.shards }, (_, index) => ({
    id: shardId(id, index + 1),
    status: "online",
    connections: counts?.at(index).connections ?? 0,
    capacity: type.shards === 1 ? limitOf(room) : type.capacity,
    generation: 1,
    reportedAt: counts?.reportedAt(index) ?? 0,
  }));
}

/** The shard's place from 0, or `null` when the room has no such shard. */
function shardIndex(shard: string, { shards }: RoomType): number | null {
  const number = Number(shard.slice(shard.lastIndexOf("-") + 1));
  return number <= shards ? number - 1 : null;
}
