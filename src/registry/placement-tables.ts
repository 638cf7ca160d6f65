/**
 * What gates place sockets by, and what shards report: the load of each shard of a room. Knows
 * nothing of messages.
 */
import { findSlot, idOf, nextGeneration, type Layout, type Slot } from "../core/layout.ts";
import { placeOfSlot } from "../core/shard-regions.ts";
import { generationOf, roomOfShard, slotOf, type RoomId, type ShardId } from "../protocol/names.ts";
import type { ShardLoad } from "../protocol/registry-calls.ts";
import { failure, success } from "../protocol/result.ts";
import type { Failover } from "./failover.ts";
import type { Learning } from "./learning.ts";
import { asProblem, type RegistryOwner, type RegistryReply, type RequestOf } from "./part.ts";
import { limitOf, newRow, roomOf, type Room } from "./room-record.ts";
import type { OwedCalls } from "./owed-calls.ts";
import { isMoving } from "./relocation.ts";
import { unknownType, type RoomLife } from "./room-life.ts";
import type { RoomStore } from "./room-store.ts";
import type { Scaling } from "./scaling.ts";
import type { ShardLife } from "./shard-life.ts";

/** A table waits so long for a shard that is being told the room's own limit. */
const limitMs = 1_000;

type Parts = {
  readonly store: RoomStore;
  readonly learning: Learning;
  readonly life: RoomLife;
  readonly shards: ShardLife;
  readonly scaling: Scaling;
  readonly failover: Failover;
  readonly owed: OwedCalls;
};

export class PlacementTables {
  readonly #owner: RegistryOwner;
  readonly #parts: Parts;
  /** What the former life was told since a report is not known. */
  readonly #startedAt: number;

  constructor(owner: RegistryOwner, parts: Parts) {
    this.#owner = owner;
    this.#startedAt = owner.ports.clock.now();
    this.#parts = parts;
  }

  handle(
    request: RequestOf<"table" | "layout" | "report" | "reports">,
  ): RegistryReply | Promise<RegistryReply> {
    switch (request.type) {
      case "table":
        return this.#table(request);
      case "layout":
        return this.#layout(request);
      case "report":
        return this.#report(request);
      case "reports":
        return this.#reports(request);
    }
  }

  async #table({ room: id, isRefusing = false }: RequestOf<"table">): Promise<RegistryReply> {
    const { life, learning, scaling } = this.#parts;
    const found = await life.lookUp(id);
    if (!found.ok) return asProblem(found);
    const room = found.value;
    const { isLocked, host } = room;
    if (room.departure !== null) return isMoving(room);
    if (host !== null) {
      return success({ shards: [], isLocked, redirect: host.url, instance: host.instance });
    }
    await learning.know(room);
    await this.#tellLimit(room);
    if (isRefusing) scaling.refused(room);
    else scaling.look(room);
    return success({ shards: this.#taking(room), isLocked, redirect: null });
  }

  /** Every shard of a room, whether anybody has used it or not. */
  #layout({ room: id }: RequestOf<"layout">): RegistryReply {
    const { store } = this.#parts;
    const type = this.#owner.rooms.typeOf(id);
    if (type === undefined) return unknownType(id);
    const room = store.get(id) ?? roomOf(id, type, newRow(0), true);
    return success({ shards: room.host === null ? shardLoads(room, store.layouts.of(room)) : [] });
  }

  #report(request: RequestOf<"report">): RegistryReply {
    const { shard, connections, players, reserved, status = "online", at } = request;
    const { store, life, learning, scaling, failover } = this.#parts;
    const id = roomOfShard(shard);
    const type = this.#owner.rooms.typeOf(id);
    if (type === undefined) return unknownType(id);
    const layout = store.layouts.of({ id, type });
    const isPresent = findSlot(layout, shard) !== undefined;
    if (!isPresent && generationOf(shard) < nextGeneration(layout, slotOf(shard))) {
      return failure("fenced", `"${shard}" does not serve "${id}" any more`);
    }
    // Nobody uses a room that is only told to be empty.
    const isIdle = connections === 0 && reserved === 0 && (players?.length ?? 0) === 0;
    const isUnknown = store.get(id) === undefined;
    if (isIdle && (!isPresent || isUnknown)) return success(null);
    const room = life.useOnShards(id, type);
    // Sockets that were there before the room went to a server outside.
    if (room.host !== null) return success(null);
    // Whoever came since it ended is told of again when it has left, and brings it in anew.
    if (room.isClosing && !isIdle) return failure("unavailable", `"${id}" is being disposed of`);
    const slot = this.#present(room, shard);
    failover.heard(room, slot, connections);
    learning.takeReport(room, slot, { connections, players, reserved, at });
    // It may be of a time before the room was given up, and nothing newer may follow it. Answers of
    // shards that tell no time cannot be told from older ones.
    const isOld = at !== undefined && at < Math.max(room.createdAt, this.#startedAt);
    if (isOld || (isUnknown && at !== undefined)) void learning.confirm(room, slot);
    if (!room.isKnown) void learning.ask(room, true);
    if (slot.status === "draining" && status === "draining" && connections === 0) {
      scaling.emptied(room, slot);
    } else if (slot.status === "online" && status === "draining") scaling.drain(room, slot);
    else scaling.look(room);
    return success(null);
  }

  /** What the sequencer has gathered: as if each had reported. */
  #reports({ room: id, loads }: RequestOf<"reports">): RegistryReply {
    const again: ShardId[] = [];
    for (const load of loads) {
      if (roomOfShard(load.shard) !== id) continue;
      const taken = this.#report({ ...load, type: "report", players: null, counters: {} });
      if (taken.ok) continue;
      if (taken.code === "fenced") this.#fenceAgain(id, load.shard);
      else again.push(load.shard);
    }
    return success({ again });
  }

  /** A sequencer that still has a link to it has lost what it was told, or heard of it before that. */
  #fenceAgain(id: RoomId, shard: ShardId): void {
    const type = this.#owner.rooms.typeOf(id);
    if (type !== undefined) this.#parts.shards.fence({ id, type }, slotOf(shard));
  }

  /** The slot of a shard that serves, which the layout has from now on. */
  #present(room: Room, shard: ShardId): Slot {
    const { store, shards, scaling } = this.#parts;
    const slot = store.layouts.slot(room, shard);
    if (slot === undefined) {
      const joined = shards.join(room, shard);
      if (joined.status === "draining") scaling.follow(room);
      return joined;
    }
    return slot.status === "offline" ? shards.markOnline(room, slot) : slot;
  }

  /** Nobody comes to a fresh shard before it knows the room's own limit. */
  async #tellLimit(room: Room): Promise<void> {
    const { store, owed } = this.#parts;
    const { slots } = store.layouts.of(room);
    if (!slots.some((slot) => owed.owesLimit(idOf(room.id, slot)))) return;
    owed.wake(this.#owner.ports.clock.now());
    await this.#owner.within(limitMs, owed.idle(room.id));
  }

  /** What gates place by: shards that have too much to do are left out, unless all have. */
  #taking(room: Room): ShardLoad[] {
    const { store, failover, owed } = this.#parts;
    const layout = store.layouts.of(room);
    for (const slot of layout.slots) {
      const isUntold = owed.owesLimit(idOf(room.id, slot));
      if (slot.status === "offline" || isUntold) failover.lookFor(room, slot);
    }
    const loads = shardLoads(room, layout).map((load) =>
      owed.owesLimit(load.id) ? { ...load, status: "offline" as const } : load,
    );
    const rested = loads.filter(({ id }) => !failover.isResting(id));
    return rested.some(({ status }) => status === "online") ? rested : loads;
  }
}

/** Load of every shard, in order. */
function shardLoads(room: Room, { slots }: Layout): ShardLoad[] {
  const { id, type, counts } = room;
  return slots.map((slot) => ({
    id: idOf(id, slot),
    status: slot.status,
    connections: counts?.at(slot).connections ?? 0,
    capacity: type.shards.max === 1 ? limitOf(room) : type.capacity,
    generation: slot.generation,
    reportedAt: counts?.reportedAt(slot) ?? 0,
    ...placeOfSlot(type, slot.number),
  }));
}
