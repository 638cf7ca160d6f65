/**
 * Finds shards that are dead: evidence makes it ask the shard, and two questions without an answer
 * are the verdict. Knows nothing of who tells, nor of what a replacement is.
 *
 * A shard that answers lives, whatever was said of it: its lease rests until it reports again, so
 * that one that hibernates is not kept awake.
 */
import { findSlot, idOf, nextGeneration, type Slot } from "../core/layout.ts";
import { generationOf, roomOfShard, shardId, slotOf, type ShardId } from "../protocol/names.ts";
import { success, type Result } from "../protocol/result.ts";
import type { LoadReply } from "../protocol/calls.ts";
import type { Learning } from "./learning.ts";
import type { RegistryOwner, RequestOf } from "./part.ts";
import type { Room } from "./room-record.ts";
import type { RoomLife } from "./room-life.ts";
import type { RoomStore } from "./room-store.ts";
import type { Scaling } from "./scaling.ts";
import type { ShardLife } from "./shard-life.ts";

/** The second question begins so long after the first, when that has no answer yet. */
const betweenProbesMs = 250;
const probes = 2;
/**
 * A shard that has answered neither by then does not answer. One that sleeps takes a while to wake, so
 * both may take as long as the verdict allows (FO3).
 */
const patienceMs = { unreachable: 1_700, lease: 1_900 };
/** Also a question that begins late, as this object was held up, has so long. */
const leastPatienceMs = 1_000;
/** What a sequencer tells of its shards is so old at most when it comes (RG4). */
const relayMs = 500;
/** A shard that has too much to do gets no new sockets for so long; one that is offline is asked again. */
const restMs = 5_000;

/** Why a shard is being asked, and what has come of it. */
type Probe = {
  readonly reason: keyof typeof patienceMs;
  readonly beganAt: number;
  /** Questions asked so far, and those of which the call has failed. */
  asked: number;
  failed: number;
  until: number;
};

type Parts = {
  readonly store: RoomStore;
  readonly learning: Learning;
  readonly life: RoomLife;
  readonly shards: ShardLife;
  readonly scaling: Scaling;
};

export class Failover {
  readonly #owner: RegistryOwner;
  readonly #parts: Parts;
  readonly #probes = new Map<ShardId, Probe>();
  /** When shards with clients were last heard of, by type: the longest ago first. */
  readonly #leases = new Map<string, Map<ShardId, number>>();
  readonly #resting = new Map<ShardId, number>();
  /** When shards that are offline are asked again: nobody else would find that they are back. */
  readonly #offline = new Map<ShardId, number>();
  /** When the slot's object was replaced last: a fresh one gets its time to start. */
  readonly #replacedAt = new Map<ShardId, number>();

  constructor(owner: RegistryOwner, parts: Parts) {
    this.#owner = owner;
    this.#parts = parts;
    for (const id of parts.store.layouts.rooms()) {
      const slots = parts.store.get(id) === undefined ? [] : parts.store.layouts.slotsOf(id);
      for (const slot of slots) {
        if (slot.status === "offline") this.#offline.set(idOf(id, slot), this.#now);
      }
    }
  }

  suspect({ shard: first, others = [], isOverloaded }: RequestOf<"suspect">): Result<null> {
    for (const shard of [first, ...others]) {
      if (roomOfShard(shard) !== roomOfShard(first)) continue;
      const found = this.#find(shard) ?? this.#findForgotten(shard);
      if (found === null && !this.#parts.shards.isUnnamed(shard)) continue;
      if (found?.slot.status === "offline") continue;
      if (isOverloaded === true && shard === first) this.#rest(shard);
      else this.#probe(shard, "unreachable");
    }
    return success(null);
  }

  /** It takes no sockets until it is heard of, and somebody wants it. */
  lookFor(room: Room, slot: Slot): void {
    this.#probe(idOf(room.id, slot), "unreachable");
  }

  /** The shard has told of itself. */
  heard(room: Room, slot: Slot, connections: number): void {
    const shard = idOf(room.id, slot);
    this.#probes.delete(shard);
    const leases = this.#leasesOf(room);
    leases.delete(shard);
    if (connections > 0) leases.set(shard, this.#now);
    this.#owner.rearm();
  }

  /** Whether the shard said of late that it has too much to do. */
  isResting(shard: ShardId): boolean {
    const until = this.#resting.get(shard);
    if (until === undefined) return false;
    if (until > this.#now) return true;
    this.#resting.delete(shard);
    return false;
  }

  nextDeadline(): number | null {
    let next: number | null = null;
    const soonest = (at: number): void => {
      if (next === null || at < next) next = at;
    };
    for (const { beganAt, asked, until } of this.#probes.values()) {
      soonest(asked < probes ? beganAt + betweenProbesMs : until);
    }
    for (const at of this.#offline.values()) soonest(at);
    for (const [type, leases] of this.#leases) {
      const [first] = leases.values();
      if (first !== undefined) soonest(first + this.#leaseMsOf(type));
    }
    return next;
  }

  wake(now: number): void {
    for (const [type, leases] of this.#leases) {
      for (const [shard, heardAt] of leases) {
        if (heardAt + this.#leaseMsOf(type) > now) break;
        leases.delete(shard);
        if (this.#find(shard) !== null) this.#probe(shard, "lease");
      }
    }
    for (const [shard, at] of this.#offline) {
      if (this.#find(shard)?.slot.status !== "offline") this.#offline.delete(shard);
      else if (at <= now) {
        this.#offline.set(shard, now + restMs);
        this.#probe(shard, "unreachable");
      }
    }
    for (const [shard, probe] of this.#probes) {
      if (probe.asked === probes) this.#judge(shard, probe);
      else if (probe.beganAt + betweenProbesMs <= now) this.#ask(shard, probe);
    }
    for (const [slot, at] of this.#replacedAt) {
      const type = this.#owner.rooms.typeOf(roomOfShard(slot));
      if (type === undefined || at + type.leaseMs <= now) this.#replacedAt.delete(slot);
    }
  }

  get #now(): number {
    return this.#owner.ports.clock.now();
  }

  #probe(shard: ShardId, reason: Probe["reason"]): void {
    if (this.#probes.has(shard)) return;
    const until = this.#now + patienceMs[reason];
    const probe: Probe = { reason, beganAt: this.#now, asked: 0, failed: 0, until };
    this.#probes.set(shard, probe);
    this.#ask(shard, probe);
  }

  #ask(shard: ShardId, probe: Probe): void {
    probe.asked += 1;
    probe.until = Math.max(probe.until, this.#now + leastPatienceMs);
    this.#owner.rearm();
    const to = { role: "shard", id: shard } as const;
    void this.#owner.ports.calls.call(to, { type: "load" }).then((reply) => {
      if (this.#probes.get(shard) === probe) this.#take(shard, probe, reply);
    });
  }

  #take(shard: ShardId, probe: Probe, reply: Result<LoadReply>): void {
    if (reply.ok && reply.value.status === "fenced") this.#condemn(shard, probe, true);
    else if (reply.ok) this.#acquit(shard, reply.value);
    else if (reply.code === "unreachable") {
      probe.failed += 1;
      this.#judge(shard, probe);
    } else {
      if (reply.code === "overloaded") this.#rest(shard);
      this.#probes.delete(shard);
    }
    this.#owner.rearm();
  }

  #acquit(shard: ShardId, load: LoadReply): void {
    this.#probes.delete(shard);
    const found = this.#find(shard);
    if (found === null) return;
    const { room } = found;
    const isBack = found.slot.status === "offline";
    const slot = isBack ? this.#parts.shards.markOnline(room, found.slot) : found.slot;
    this.#parts.learning.takeReport(room, slot, load);
    // The layout that had it so was lost, or is older.
    if (load.status === "draining" && slot.status === "online") {
      this.#parts.scaling.drain(room, slot);
    }
  }

  /** It lives, and questions would harm it. */
  #rest(shard: ShardId): void {
    this.#probes.delete(shard);
    this.#resting.set(shard, this.#now + restMs);
  }

  #judge(shard: ShardId, probe: Probe): void {
    if (probe.asked < probes) return;
    if (probe.failed === probes || probe.until <= this.#now) this.#condemn(shard, probe);
  }

  /** One that is fenced never serves again, which one that is only dead may. */
  #condemn(shard: ShardId, { reason }: Probe, isFenced = false): void {
    this.#probes.delete(shard);
    const found = this.#find(shard);
    if (found === null) return this.#parts.shards.retire(shard);
    if (found.slot.status === "offline" && !isFenced) return;
    const { room, slot } = found;
    this.#leasesOf(room).delete(shard);
    const name = shardId(room.id, slot.number);
    const replacedAt = this.#replacedAt.get(name);
    if (replacedAt !== undefined && replacedAt + room.type.leaseMs > this.#now) return;
    if (!room.type.failover && !isFenced && slot.status !== "draining") {
      this.#parts.shards.markOffline(room, slot, reason);
      this.#offline.set(shard, this.#now + restMs);
      return;
    }
    this.#replacedAt.set(name, this.#now);
    this.#parts.shards.replace(room, slot, reason);
  }

  #find(shard: ShardId): { readonly room: Room; readonly slot: Slot } | null {
    const room = this.#parts.store.get(roomOfShard(shard));
    if (room === undefined || room.host !== null) return null;
    const slot = this.#parts.store.layouts.slot(room, shard);
    return slot === undefined ? null : { room, slot };
  }

  /**
   * Whoever tells of a shard still has to do with it. The sequencer of an older one has not heard; a
   * room that the directory has forgotten is there until its shard has said otherwise.
   */
  #findForgotten(shard: ShardId): { readonly room: Room; readonly slot: Slot } | null {
    const { store, life, shards } = this.#parts;
    const id = roomOfShard(shard);
    const type = this.#owner.rooms.typeOf(id);
    if (type === undefined || type.hostedBy === "servers") return null;
    const laid = { id, type };
    const layout = store.layouts.of(laid);
    if (findSlot(layout, shard) === undefined) {
      if (generationOf(shard) < nextGeneration(layout, slotOf(shard))) {
        shards.fence(laid, slotOf(shard));
      }
      return null;
    }
    if (store.get(id) !== undefined || life.isEntering(id)) return null;
    life.useOnShards(id, type);
    return this.#find(shard);
  }

  #leasesOf({ type }: Room): Map<ShardId, number> {
    const known = this.#leases.get(type.name);
    if (known !== undefined) return known;
    const leases = new Map<ShardId, number>();
    this.#leases.set(type.name, leases);
    return leases;
  }

  /** From the last report on, which in a room of several shards may have been on its way for a while. */
  #leaseMsOf(name: string): number {
    const type = this.#owner.rooms.type(name);
    if (type === undefined) return 0;
    return type.shards.max > 1 ? type.leaseMs - relayMs : type.leaseMs;
  }
}
