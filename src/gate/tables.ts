/** What a gate knows of rooms: a placement table each, whether the room is locked, and where it is. */
import type { Counters } from "../core/counters.ts";
import { PlacementTable } from "../core/placement-table.ts";
import { shardsOf, type Rooms, type RoomType } from "../core/rooms.ts";
import { placeOfSlot } from "../core/shard-regions.ts";
import { slotOf, type RoomId } from "../protocol/names.ts";
import type { GatePorts } from "./ports.ts";

/** Tables are dropped when there are more and they have not been used for a while. */
const manyTables = 1_000;
const tableIdleMs = 60_000;
/** There are never more than these. */
const maxTables = 10_000;
/** The registry hears of refusals in a room at most so often. */
const refusalLifetimeMs = 1_000;

export type KnownRoom = {
  readonly placement: PlacementTable;
  isLocked: boolean;
  /** Address of the room when it is on a server outside. */
  redirect: string | null;
  /** There is no such room, and it will not be on shards: it comes about by a seat, or by hand. */
  isAbsent: boolean;
  /** A question on behalf of a client that found no place, which all such wait for. */
  refusing: Promise<boolean> | null;
  /** Until then another such question would have the same answer. */
  refusedUntil: number;
  /** The first question, which everybody waits for: a locked room lets nobody in meanwhile. */
  first: Promise<boolean> | null;
  /** The question under way; whether it is answered. */
  asking: Promise<boolean> | null;
  /** When the registry last answered. */
  answeredAt: number;
};

const unheard = { isLocked: false, redirect: null, isAbsent: false };

/** One that hangs must leave time for another: the registry for a shard, a shard for the next. */
export function stepMs(type: RoomType): number {
  return type.connectTimeoutMs / 2;
}

export class Tables {
  /** The one that was used last is last. */
  readonly #known = new Map<RoomId, KnownRoom>();
  readonly #rooms: Rooms;
  readonly #counters: Counters;

  constructor(rooms: Rooms, counters: Counters) {
    this.#rooms = rooms;
    this.#counters = counters;
  }

  /** What is known, asked anew about once a second. */
  async current(room: RoomId, type: RoomType, ports: GatePorts): Promise<KnownRoom> {
    const known = this.#use(room) ?? this.#add(room, type, ports);
    if (known.first !== null) await known.first;
    else if (known.placement.startRefresh(ports.clock.now())) {
      await this.#refresh(room, type, known, ports);
    }
    return known;
  }

  /** Has the registry hear that a client found no place; whether there may be one now. */
  async afterRefusal(room: RoomId, type: RoomType, ports: GatePorts): Promise<boolean> {
    const known = this.#known.get(room);
    if (known === undefined || type.shards.min === type.shards.max) return false;
    if (known.refusing === null) {
      if (ports.clock.now() < known.refusedUntil) return false;
      known.refusing = this.#refresh(room, type, known, ports, true).finally(() => {
        known.refusing = null;
        known.refusedUntil = ports.clock.now() + refusalLifetimeMs;
      });
    }
    await known.refusing;
    return true;
  }

  /**
   * Has the table be newer than `since`, when it named shards that serve the room no more; whether it
   * is now.
   */
  async afterMove(room: RoomId, type: RoomType, since: number, ports: GatePorts): Promise<boolean> {
    const known = this.#known.get(room);
    if (known === undefined) return false;
    if (known.answeredAt > since) return true;
    return known.asking ?? this.#refresh(room, type, known, ports);
  }

  /** What is known without asking. */
  lastKnown(room: RoomId): KnownRoom | undefined {
    return this.#known.get(room);
  }

  #use(room: RoomId): KnownRoom | undefined {
    const known = this.#known.get(room);
    if (known === undefined) return undefined;
    this.#known.delete(room);
    this.#known.set(room, known);
    return known;
  }

  #add(room: RoomId, type: RoomType, ports: GatePorts): KnownRoom {
    const now = ports.clock.now();
    this.#dropUnused(now);
    const empty = { connections: 0, capacity: type.capacity, generation: 1, reportedAt: 0 };
    const loads = shardsOf(room, type).map((id) => {
      return { id, status: "online" as const, ...empty, ...placeOfSlot(type, slotOf(id)) };
    });
    const placement = new PlacementTable(loads);
    const known: KnownRoom = {
      placement,
      ...unheard,
      refusing: null,
      refusedUntil: 0,
      first: null,
      asking: null,
      answeredAt: -Infinity,
    };
    this.#known.set(room, known);
    known.first = this.#refresh(room, type, known, ports).finally(() => {
      known.first = null;
    });
    return known;
  }

  #refresh(
    room: RoomId,
    type: RoomType,
    known: KnownRoom,
    ports: GatePorts,
    isRefusing = false,
  ): Promise<boolean> {
    known.placement.beginRefresh(ports.clock.now());
    const asking = this.#ask(room, type, known, ports, isRefusing).finally(() => {
      if (known.asking === asking) known.asking = null;
    });
    known.asking = asking;
    return asking;
  }

  async #ask(
    room: RoomId,
    type: RoomType,
    known: KnownRoom,
    ports: GatePorts,
    isRefusing: boolean,
  ): Promise<boolean> {
    const counters = this.#counters.take();
    const question = {
      type: "table",
      room,
      counters,
      ...(isRefusing ? { isRefusing } : {}),
    } as const;
    const partition = this.#rooms.partitionOf(room);
    const reply = await ports.within(stepMs(type), () =>
      ports.calls.call({ role: "registry", id: partition }, question),
    );
    if (reply?.ok !== true) {
      if (reply?.code === "unknown-room") Object.assign(known, unheard, { isAbsent: true });
      this.#counters.add(counters);
      known.placement.refreshFailed(ports.clock.now());
      return false;
    }
    known.placement.update(reply.value.shards, ports.clock.now());
    known.isLocked = reply.value.isLocked;
    known.redirect = reply.value.redirect;
    known.isAbsent = false;
    known.answeredAt = ports.clock.now();
    return true;
  }

  #dropUnused(now: number): void {
    for (const [room, { placement }] of this.#known) {
      const { size } = this.#known;
      const isUnused = placement.isUnusedSince(now - tableIdleMs);
      if (size < manyTables || (size < maxTables && !isUnused)) return;
      this.#known.delete(room);
    }
  }
}
