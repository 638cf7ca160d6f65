/** What a gate knows of rooms: a placement table each, whether the room is locked, and where it is. */
import type { Counters } from "../core/counters.ts";
import { PlacementTable } from "../core/placement-table.ts";
import { shardsOf, type Rooms, type RoomType } from "../core/rooms.ts";
import { placeOfSlot } from "../core/shard-regions.ts";
import { roomOfShard, slotOf, type RoomId, type ShardId } from "../protocol/names.ts";
import type { GatePorts } from "./ports.ts";

/** Tables are dropped when there are more and they have not been used for a while. */
const manyTables = 1_000;
const tableIdleMs = 60_000;
/** There are never more than these. */
const maxTables = 10_000;
/** The registry hears of refusals in a room at most so often. */
const refusalLifetimeMs = 1_000;
/** Nor is it asked sooner about shards that it names though they have said that they serve no more. */
const moveLifetimeMs = 200;
/** So long the answer serves whether a room has shards that its table does not name. */
const layoutLifetimeMs = 1_000;

export type KnownRoom = {
  readonly placement: PlacementTable;
  isLocked: boolean;
  /** Address of the room when it is on a server outside. */
  redirect: string | null;
  /** The start of that server which has it. */
  instance: string | undefined;
  /** There is no such room, and it will not be on shards: it comes about by a seat, or by hand. */
  isAbsent: boolean;
  /** A question on behalf of a client that found no place, which all such wait for. */
  refusing: Promise<boolean> | null;
  /** Until then another such question would have the same answer. */
  refusedUntil: number;
  /** Shards that said that they serve no more since the last question began. */
  readonly moved: Set<ShardId>;
  /** Those of which a later question has not heard otherwise. */
  contested: ReadonlySet<ShardId>;
  /** Whether the last question was answered, so that the registry names those that are contested. */
  isHeard: boolean;
  /** Until then another question about those would have the same answer. */
  movedUntil: number;
  /** The first question, which everybody waits for: a locked room lets nobody in meanwhile. */
  first: Promise<boolean> | null;
  /** The question under way; whether it is answered. */
  asking: Promise<boolean> | null;
  /** When the registry last answered. */
  answeredAt: number;
  /** Its shards when that was last asked, and until when nobody asks again. */
  layout: { readonly shards: Promise<ReadonlySet<ShardId>>; until: number } | null;
};

const unheard = { isLocked: false, redirect: null, instance: undefined, isAbsent: false };

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
   * is now. A shard that moves while another one is contested has it asked at once all the same.
   */
  async afterMove(
    room: RoomId,
    type: RoomType,
    since: number,
    moved: ReadonlySet<ShardId>,
    ports: GatePorts,
  ): Promise<boolean> {
    const known = this.#known.get(room);
    if (known === undefined) return false;
    if (known.answeredAt > since) return true;
    const isNews = [...moved].some((shard) => !known.contested.has(shard));
    if (!isNews && ports.clock.now() < known.movedUntil) return false;
    for (const shard of moved) known.moved.add(shard);
    return known.asking ?? this.#refresh(room, type, known, ports);
  }

  /**
   * Whether the room has the shard: who names it may have made it up, and to call an object is to
   * make it. A table lacks shards that are spared, and those that came since.
   */
  async hasShard(
    known: KnownRoom,
    shard: ShardId,
    type: RoomType,
    ports: GatePorts,
  ): Promise<boolean> {
    if (known.placement.has(shard)) return true;
    if (known.placement.hasSuccessor(shard)) return false;
    const now = ports.clock.now();
    if (known.layout === null || now >= known.layout.until) {
      const shards = this.#layoutOf(roomOfShard(shard), type, ports);
      known.layout = { shards, until: now + layoutLifetimeMs };
    }
    return (await known.layout.shards).has(shard);
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
      moved: new Set(),
      contested: new Set(),
      isHeard: false,
      movedUntil: 0,
      first: null,
      asking: null,
      answeredAt: -Infinity,
      layout: null,
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
    const moved = [...known.contested, ...known.moved];
    known.moved.clear();
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
      contest(known, moved, false, ports.clock.now());
      return false;
    }
    known.placement.update(reply.value.shards, ports.clock.now());
    contest(known, moved, true, ports.clock.now());
    known.isLocked = reply.value.isLocked;
    known.redirect = reply.value.redirect;
    known.instance = reply.value.instance;
    known.isAbsent = false;
    known.answeredAt = ports.clock.now();
    return true;
  }

  /** No shards when the registry does not answer. */
  async #layoutOf(room: RoomId, type: RoomType, ports: GatePorts): Promise<ReadonlySet<ShardId>> {
    const registry = { role: "registry", id: this.#rooms.partitionOf(room) } as const;
    const reply = await ports.within(stepMs(type), () =>
      ports.calls.call(registry, { type: "layout", room }),
    );
    return new Set(reply?.ok === true ? reply.value.shards.map(({ id }) => id) : []);
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

/** What was said of shards before a question that has now been answered, or has had no answer. */
function contest(known: KnownRoom, moved: readonly ShardId[], isHeard: boolean, now: number): void {
  known.isHeard = isHeard;
  known.contested = new Set(moved.filter((shard) => known.placement.takes(shard)));
  known.movedUntil = now + moveLifetimeMs;
}
