/**
 * How many shards a room has: more and fewer as its audience asks, as many as were asked for by hand;
 * and emptying those that are to leave. Knows nothing of shards that die.
 */
import { Autoscale, emptiestOf, type ScaledShard } from "../core/autoscale.ts";
import { idOf, servingSlots, type Slot } from "../core/layout.ts";
import { placeOfSlot } from "../core/shard-regions.ts";
import { generationOf, roomOfShard, slotOf, type ShardId } from "../protocol/names.ts";
import { failure, success, type Failure, type Result } from "../protocol/result.ts";
import type { Learning } from "./learning.ts";
import type { RegistryOwner, RegistryReply, RequestOf } from "./part.ts";
import { listing, type Room } from "./room-record.ts";
import { unknownRoom } from "./room-life.ts";
import type { RoomStore } from "./room-store.ts";
import type { ShardLife } from "./shard-life.ts";

/** A shard that drains is told so again after this. */
const tellAgainMs = 2_000;
/** One that was not empty when its time was over has closed its sockets by then. */
const lateMs = 5_000;
/** Refusals that come before gates can have used new shards say nothing. */
const settlingMs = 1_000;

type Parts = {
  readonly store: RoomStore;
  readonly learning: Learning;
  readonly shards: ShardLife;
};

export class Scaling {
  readonly #owner: RegistryOwner;
  readonly #parts: Parts;
  /** Of rooms that have more shards than they need at least. */
  readonly #autoscales = new Map<Room, Autoscale>();
  readonly #grownAt = new WeakMap<Room, number>();
  /** Shards that are being emptied, by when they are told again; `null` while they are being told. */
  readonly #drains = new Map<ShardId, number | null>();

  constructor(owner: RegistryOwner, parts: Parts) {
    this.#owner = owner;
    this.#parts = parts;
    for (const id of parts.store.layouts.rooms()) {
      const room = parts.store.get(id);
      if (room !== undefined) this.follow(room);
    }
  }

  /** The room's load has changed. */
  look(room: Room): void {
    this.#scale(room, false);
  }

  /** A client found no place. Returns whether there is one now. */
  refused(room: Room): boolean {
    const now = this.#owner.ports.clock.now();
    if (now < (this.#grownAt.get(room) ?? 0) + settlingMs) return true;
    const before = servingSlots(this.#parts.shards.layout(room)).length;
    this.#scale(room, true);
    return servingSlots(this.#parts.shards.layout(room)).length > before;
  }

  /** A shard that drains is empty, as it says. */
  emptied(room: Room, slot: Slot): void {
    this.#drains.delete(idOf(room.id, slot));
    this.#parts.shards.leave(room, slot, "drained");
    this.follow(room);
  }

  /** Has the slot emptied, whoever asks for it. */
  drain(room: Room, slot: Slot): void {
    this.#parts.shards.drain(room, slot);
    const missing = this.#boundsOf(room).min - servingSlots(this.#parts.shards.layout(room)).length;
    if (missing > 0) this.#grow(room, missing);
    this.follow(room);
  }

  /** Tells every shard of the room that drains and has not been told. */
  follow(room: Room): void {
    const now = this.#owner.ports.clock.now();
    for (const slot of this.#parts.shards.layout(room).slots) {
      const shard = idOf(room.id, slot);
      if (slot.status !== "draining" || this.#drains.has(shard)) continue;
      this.#drains.set(shard, now);
    }
    this.#owner.rearm();
  }

  resize({ room: id, shards: wanted }: RequestOf<"resize">): RegistryReply {
    const found = this.#onShards(id);
    if (!found.ok) return found;
    const room = found.value;
    const { min, max } = room.type.shards;
    if (wanted !== null && (wanted < min || wanted > max)) {
      const rule = `shards must be from ${min} to ${max} in rooms of type "${room.type.name}"`;
      return failure("malformed-body", `${rule}, or null to follow the audience`);
    }
    this.#parts.shards.pin(room, wanted);
    this.#scale(room, false);
    return success(listing(room, this.#parts.shards.layout(room)));
  }

  migrate({ shard }: RequestOf<"migrate">): RegistryReply {
    const found = this.#named(shard);
    if (!found.ok) return found;
    const { room, slot } = found.value;
    // The answer to a first call may have been lost.
    if (slot.status !== "draining") {
      this.#parts.shards.migrate(room, slot);
      this.follow(room);
    }
    return success(listing(room, this.#parts.shards.layout(room)));
  }

  drainShard({ shard }: RequestOf<"drainShard">): RegistryReply {
    const found = this.#named(shard);
    if (!found.ok) return found;
    const { room, slot } = found.value;
    if (slot.status !== "draining") this.drain(room, slot);
    return success(null);
  }

  nextDeadline(): number | null {
    let next = this.nextDurableDeadline();
    for (const autoscale of this.#autoscales.values()) {
      const at = autoscale.nextDeadline();
      if (at !== null && (next === null || at < next)) next = at;
    }
    return next;
  }

  /** A drain goes on though this object dies. */
  nextDurableDeadline(): number | null {
    let next: number | null = null;
    for (const at of this.#drains.values()) {
      if (at !== null && (next === null || at < next)) next = at;
    }
    return next;
  }

  wake(now: number): void {
    for (const [room, autoscale] of this.#autoscales) {
      const at = autoscale.nextDeadline();
      if (!this.#parts.store.has(room)) this.#autoscales.delete(room);
      else if (at !== null && at <= now) this.#scale(room, false);
    }
    for (const [shard, at] of this.#drains) {
      if (at !== null && at <= now) void this.#tell(shard, now);
    }
  }

  #scale(room: Room, isRefusing: boolean): void {
    const { store, shards } = this.#parts;
    if (!store.has(room) || room.host !== null) return;
    const bounds = this.#boundsOf(room);
    const serving = servingSlots(shards.layout(room));
    if (serving.length > bounds.max) this.#drainSurplus(room, bounds.max);
    if (serving.length <= bounds.min && bounds.min === bounds.max) {
      if (serving.length < bounds.min) this.#grow(room, bounds.min - serving.length);
      this.#autoscales.delete(room);
      return;
    }
    const autoscale = this.#autoscales.get(room) ?? new Autoscale();
    const now = this.#owner.ports.clock.now();
    const decided = autoscale.decide(this.#scaled(room), bounds, isRefusing, now);
    if (decided.type === "grow") this.#grow(room, decided.by);
    if (decided.type === "drain") {
      const slot = store.layouts.slot(room, decided.shard);
      if (slot !== undefined) this.drain(room, slot);
    }
    if (autoscale.nextDeadline() === null) this.#autoscales.delete(room);
    else this.#autoscales.set(room, autoscale);
    this.#owner.rearm();
  }

  /** After a resize, or with a type that has become smaller. */
  #drainSurplus(room: Room, max: number): void {
    let serving = this.#scaled(room).filter(({ isDraining }) => !isDraining);
    while (serving.length > max) {
      const surplus = emptiestOf(serving);
      const slot = surplus && this.#parts.store.layouts.slot(room, surplus.id);
      if (slot === undefined) return;
      this.drain(room, slot);
      serving = serving.filter((shard) => shard !== surplus);
    }
  }

  #grow(room: Room, by: number): void {
    this.#grownAt.set(room, this.#owner.ports.clock.now());
    this.#parts.shards.grow(room, by);
  }

  #scaled(room: Room): ScaledShard[] {
    return this.#parts.shards.layout(room).slots.map((slot) => ({
      id: idOf(room.id, slot),
      isDraining: slot.status === "draining",
      connections: connectionsOf(room, slot),
      // What is offline takes nobody until it is back.
      capacity: slot.status === "offline" ? 0 : room.type.capacity,
      ...placeOfSlot(room.type, slot.number),
    }));
  }

  #boundsOf(room: Room): { readonly min: number; readonly max: number } {
    const { pinned } = this.#parts.shards.layout(room);
    return pinned === null ? room.type.shards : { min: pinned, max: pinned };
  }

  async #tell(shard: ShardId, now: number): Promise<void> {
    const found = this.#draining(shard);
    if (found === null) {
      this.#drains.delete(shard);
      return;
    }
    const until = found.slot.until ?? now;
    if (now >= until + lateMs) return this.emptied(found.room, found.slot);
    this.#drains.set(shard, null);
    const request = { type: "drain", limitMs: Math.max(0, until - now) } as const;
    const reply = await this.#owner.ports.calls.call({ role: "shard", id: shard }, request);
    this.#drains.set(shard, this.#owner.ports.clock.now() + tellAgainMs);
    const still = this.#draining(shard);
    if (still === null) this.#drains.delete(shard);
    else if (reply.ok) {
      this.#parts.learning.takeReport(still.room, still.slot, reply.value);
      if (reply.value.connections === 0) this.emptied(still.room, still.slot);
    } else if (reply.code === "fenced") this.emptied(still.room, still.slot);
    this.#owner.rearm();
  }

  #draining(shard: ShardId): { readonly room: Room; readonly slot: Slot } | null {
    const room = this.#parts.store.get(roomOfShard(shard));
    const slot = room === undefined ? undefined : this.#parts.store.layouts.slot(room, shard);
    if (room === undefined || slot?.status !== "draining") return null;
    return { room, slot };
  }

  #onShards(id: Room["id"]): Result<Room> {
    const room = this.#parts.store.get(id);
    if (room === undefined) return unknownRoom(id);
    if (room.host === null) return success(room);
    return failure("malformed-body", `"${id}" is on a server outside and has no shards`);
  }

  /** A shard by its own name, or by its slot's. */
  #named(shard: ShardId): Result<{ readonly room: Room; readonly slot: Slot }> {
    const found = this.#onShards(roomOfShard(shard));
    if (!found.ok) return found;
    const room = found.value;
    const slot = this.#parts.shards
      .layout(room)
      .slots.find(
        (each) =>
          each.number === slotOf(shard) && [each.generation, 1].includes(generationOf(shard)),
      );
    return slot === undefined ? notServing(shard) : success({ room, slot });
  }
}

function connectionsOf({ counts }: Room, slot: Slot): number {
  return counts?.at(slot).connections ?? 0;
}

function notServing(shard: ShardId): Failure {
  return failure("unknown-server", `no shard "${shard}" serves its room`);
}
