/**
 * Changes of a room's layout, and all that follows from one: its row, what is counted, the
 * sequencer's fence, the room's own limit, events. Decides nothing of when.
 */
import {
  draining,
  findSlot,
  grown,
  idOf,
  joined,
  migrating,
  nextGeneration,
  replaced,
  servingSlots,
  without,
  withoutUnnamed,
  withStatus,
  type Layout,
  type Slot,
} from "../core/layout.ts";
import { generationOf, roomOfShard, shardId, slotOf, type ShardId } from "../protocol/names.ts";
import type { Fences } from "./fences.ts";
import type { Laid } from "./layouts.ts";
import type { Learning } from "./learning.ts";
import type { OwedCalls } from "./owed-calls.ts";
import type { RegistryOwner } from "./part.ts";
import type { Room } from "./room-record.ts";
import type { RoomStore } from "./room-store.ts";

/** A shard is emptied within this. */
const drainLimitMs = 60_000;

type Parts = {
  readonly store: RoomStore;
  readonly learning: Learning;
  readonly owed: OwedCalls;
  readonly fences: Fences;
};

export class ShardLife {
  readonly #owner: RegistryOwner;
  readonly #parts: Parts;

  constructor(owner: RegistryOwner, parts: Parts) {
    this.#owner = owner;
    this.#parts = parts;
  }

  layout(room: Room): Layout {
    return this.#parts.store.layouts.of(room);
  }

  pin(room: Room, pinned: number | null): void {
    this.#set(room, { ...this.layout(room), pinned });
  }

  grow(room: Room, by: number): void {
    const before = new Set(this.layout(room).slots);
    this.#set(room, grown(this.layout(room), by, room.type));
    for (const slot of this.layout(room).slots) {
      if (!before.has(slot)) this.#tellOnline(room, slot);
    }
    // The only one that had it may be draining.
    this.#sendLimit(room);
    this.#parts.store.tellOfUpdate(room);
  }

  /** An object with clients, which the layout does not have. */
  join(room: Room, shard: ShardId): Slot {
    const { max } = room.type.shards;
    const before = this.layout(room).slots;
    const { layout, slot } = joined(this.layout(room), shard, max, this.#drainEnd);
    this.#set(room, layout);
    // A former object of the slot has left unseen.
    for (const each of before)
      if (!layout.slots.includes(each)) this.#parts.learning.drop(room, each);
    return slot;
  }

  /** The shard takes no new sockets; it must be told to let go of those it has. */
  drain(room: Room, slot: Slot): void {
    this.#set(room, draining(this.layout(room), slot, this.#drainEnd));
    this.#owner.emit({ type: "server:draining", serverId: idOf(room.id, slot) });
    this.#sendLimit(room);
  }

  /** Its clients go to a fresh object, of another slot. */
  migrate(room: Room, slot: Slot): void {
    const before = new Set(this.layout(room).slots.map(({ number }) => number));
    this.#set(room, migrating(this.layout(room), slot, this.#drainEnd, room.type));
    const from = idOf(room.id, slot);
    this.#owner.emit({ type: "server:draining", serverId: from });
    for (const fresh of this.layout(room).slots.filter(({ number }) => !before.has(number))) {
      this.#tellOnline(room, fresh);
      const to = idOf(room.id, fresh);
      this.#owner.emit({ type: "room:migrated", roomId: room.id, from, to });
    }
    this.#sendLimit(room);
  }

  /** One that drained is empty, or its time is over. */
  leave(room: Room, slot: Slot, reason: string): void {
    this.#set(room, without(this.layout(room), slot));
    this.#parts.learning.drop(room, slot);
    this.fence(room, slot.number);
    this.#owner.emit({ type: "server:offline", serverId: idOf(room.id, slot), reason });
  }

  /** It is dead: a fresh one takes its place. */
  replace(room: Room, slot: Slot, reason: string): void {
    if (slot.status === "draining") return this.leave(room, slot, reason);
    const [from, generation] = [
      idOf(room.id, slot),
      nextGeneration(this.layout(room), slot.number),
    ];
    this.#set(room, replaced(this.layout(room), slot));
    this.#parts.learning.drop(room, slot);
    this.fence(room, slot.number);
    this.#sendLimit(room);
    this.#owner.count("shard-replaced");
    this.#owner.emit({ type: "server:offline", serverId: from, reason });
    const to = shardId(room.id, slot.number, generation);
    this.#owner.emit({ type: "room:migrated", roomId: room.id, from, to });
  }

  /** It is dead, and nothing takes its place. */
  markOffline(room: Room, slot: Slot, reason: string): void {
    this.#set(room, withStatus(this.layout(room), slot, "offline"));
    this.#parts.learning.drop(room, slot);
    this.#owner.emit({ type: "server:offline", serverId: idOf(room.id, slot), reason });
  }

  markOnline(room: Room, slot: Slot): Slot {
    this.#set(room, withStatus(this.layout(room), slot, "online"));
    this.#tellOnline(room, slot);
    return this.#parts.store.layouts.slot(room, idOf(room.id, slot)) ?? slot;
  }

  /** The sequencer is to serve none before the slot's newest, or before the next when it has none. */
  fence(room: Laid, number: number): void {
    const layout = this.#parts.store.layouts.of(room);
    const newest = layout.slots.findLast((slot) => slot.number === number);
    const generation = newest?.generation ?? nextGeneration(layout, number);
    this.#parts.fences.owe(shardId(room.id, number, generation));
  }

  /** Whether it could serve its room, though no layout names it: one that does would join it. */
  isUnnamed(shard: ShardId): boolean {
    const room = this.#laid(shard);
    if (room === null || room.type.hostedBy === "servers") return false;
    const layout = this.#parts.store.layouts.of(room);
    if (findSlot(layout, shard) !== undefined) return false;
    return generationOf(shard) >= nextGeneration(layout, slotOf(shard));
  }

  /** It is dead, and no layout names it: nobody serves by its name any more, so that it can be forgotten. */
  retire(shard: ShardId): void {
    const room = this.#laid(shard);
    if (room === null || !this.isUnnamed(shard)) return;
    const { layouts } = this.#parts.store;
    layouts.set(room, withoutUnnamed(layouts.of(room), shard));
    this.#parts.fences.owe(shardId(room.id, slotOf(shard), generationOf(shard) + 1));
  }

  get #drainEnd(): number {
    return this.#owner.ports.clock.now() + drainLimitMs;
  }

  #laid(shard: ShardId): Laid | null {
    const id = roomOfShard(shard);
    const type = this.#owner.rooms.typeOf(id);
    return type === undefined ? null : { id, type };
  }

  #set(room: Room, layout: Layout): void {
    this.#parts.store.layouts.set(room, layout);
  }

  #tellOnline(room: Room, slot: Slot): void {
    this.#owner.emit({ type: "server:online", serverId: idOf(room.id, slot) });
  }

  /** A fresh object does not know the room's own limit. */
  #sendLimit(room: Room): void {
    const [serving] = servingSlots(this.layout(room));
    if (room.maxPlayers === null || serving === undefined) return;
    const shard = idOf(room.id, serving);
    const at = this.#owner.ports.clock.now();
    const call = { type: "limit", maxPlayers: room.maxPlayers, at, shard } as const;
    this.#parts.owed.owe(room.id, call, at);
  }
}
