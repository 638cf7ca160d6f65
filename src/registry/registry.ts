/**
 * The registry: the directory of rooms that have clients, and what is known of their shards' load.
 * Owns placement tables; knows nothing of messages. Only which rooms there are is written to
 * storage; loads live in memory and are learned again by asking the shards.
 */
import { Counters } from "../core/counters.ts";
import type { ObjectPorts } from "../core/ports.ts";
import { hub } from "../core/partitions.ts";
import { shardsOf, type Rooms, type RoomType } from "../core/rooms.ts";
import type { AnyReply, RequestTo } from "../protocol/calls.ts";
import type { ShardLoad } from "../protocol/registry-calls.ts";
import { isRoomId, roomOfShard, type RoomId, type ShardId } from "../protocol/names.ts";
import { failure, success, type Result } from "../protocol/result.ts";
import type { EventHub } from "./event-hub.ts";
import { renderMetrics } from "./metrics.ts";
import { Services } from "./services.ts";

/** A room without clients is forgotten when it has been known for so long. */
const unusedMs = 60_000;

type RoomEntry = {
  readonly enteredAt: number;
  readonly loads: Map<ShardId, ShardLoad>;
  /** Shards that were asked for their load and did not answer: they may have clients. */
  readonly unknown: Set<ShardId>;
  /** Settled once every shard has been asked, after this object lost its memory. */
  learned: Promise<void>;
};

export class Registry {
  readonly #rooms: Rooms;
  readonly #ports: ObjectPorts;
  readonly #entries = new Map<RoomId, RoomEntry>();
  /** Rooms that a former life of the object knew, and whose shards have not been asked yet. */
  readonly #remembered = new Set<RoomId>();
  readonly #counters = new Counters();
  #wakeAt: number | null = null;
  #services: Services | null = null;

  private constructor(rooms: Rooms, ports: ObjectPorts) {
    this.#rooms = rooms;
    this.#ports = ports;
  }

  /** The partition with this name. */
  static async start(rooms: Rooms, ports: ObjectPorts, name = hub): Promise<Registry> {
    const registry = new Registry(rooms, ports);
    registry.#services = await Services.start({
      name,
      rooms,
      ports,
      count: (what) => registry.#counters.increment(what),
      rearm: () => registry.#rearm(),
      ask: (partition, request) => ports.calls.call({ role: "registry", id: partition }, request),
    });
    for (const key of (await ports.storage.list("room/")).keys()) {
      const room = key.slice("room/".length);
      if (isRoomId(room)) registry.#remembered.add(room);
    }
    registry.#rearm();
    return registry;
  }

  async handle(request: RequestTo<"registry">): Promise<Result<AnyReply<"registry">>> {
    switch (request.type) {
      case "table":
        this.#counters.add(request.counters);
        return this.#table(request.room);
      case "report":
        this.#counters.add(request.counters);
        return this.#report(request.shard, request.connections);
      case "count":
        this.#counters.add(request.counters);
        return success(null);
      case "sweep":
        return success({ rooms: [...new Set([...this.#entries.keys(), ...this.#remembered])] });
      case "metrics":
        return success({ text: renderMetrics(this.#counters.entries(), this.#totals()) });
      default: {
        const answer = this.#services?.handle(request) ?? null;
        return answer ?? failure("not-found", `the registry takes no "${request.type}"`);
      }
    }
  }

  /** Where subscribers of events go, at the hub. */
  get events(): EventHub {
    if (this.#services === null) throw new Error("the registry has not started");
    return this.#services.events;
  }

  async #table(room: RoomId): Promise<Result<AnyReply<"registry">>> {
    const type = this.#rooms.typeOf(room);
    if (type === undefined) return failure("unknown-room-type", `no room type for "${room}"`);
    const entry = this.#entries.get(room) ?? this.#enter(room, type);
    await entry.learned;
    return success({ shards: [...entry.loads.values()], isLocked: false, redirect: null });
  }

  async #report(shard: ShardId, connections: number): Promise<Result<AnyReply<"registry">>> {
    const room = roomOfShard(shard);
    const type = this.#rooms.typeOf(room);
    if (type === undefined) return failure("unknown-room-type", `no room type for "${room}"`);
    const entry = this.#entries.get(room) ?? this.#enter(room, type);
    const load = entry.loads.get(shard);
    if (load === undefined) return failure("not-found", `"${room}" has no shard "${shard}"`);
    entry.loads.set(shard, { ...load, connections, reportedAt: this.#ports.clock.now() });
    // The other shards of a room that was remembered may have clients.
    await entry.learned;
    entry.unknown.delete(shard);
    if (isEmpty(entry) && this.#entries.get(room) === entry) this.#forget(room);
    return success(null);
  }

  #enter(room: RoomId, type: RoomType): RoomEntry {
    const loads = new Map<ShardId, ShardLoad>();
    for (const id of shardsOf(room, type)) {
      const state = { connections: 0, capacity: type.capacity, generation: 1, reportedAt: 0 };
      loads.set(id, { id, status: "online", ...state });
    }
    const enteredAt = this.#ports.clock.now();
    const unknown = new Set<ShardId>();
    const entry: RoomEntry = { enteredAt, loads, unknown, learned: Promise.resolve() };
    this.#wakeNoLaterThan(enteredAt + unusedMs);
    this.#entries.set(room, entry);
    if (this.#remembered.delete(room)) entry.learned = this.#learn(entry);
    else this.#ports.storage.put({ [`room/${room}`]: true });
    return entry;
  }

  /** Asks every shard; one that does not answer is placed on as if it were empty until it reports. */
  async #learn(entry: RoomEntry): Promise<void> {
    const asked = [...entry.loads.values()].map(async (load) => {
      const reply = await this.#ports.calls.call({ role: "shard", id: load.id }, { type: "load" });
      const known = entry.loads.get(load.id);
      if (!reply.ok) entry.unknown.add(load.id);
      if (!reply.ok || known === undefined || known.reportedAt > 0) return;
      const { connections } = reply.value;
      entry.loads.set(load.id, { ...known, connections, reportedAt: this.#ports.clock.now() });
    });
    await Promise.all(asked);
  }

  /** Forgets rooms that were asked for and that nobody came to. */
  wake(): void {
    const now = this.#ports.clock.now();
    this.#wakeAt = null;
    this.#services?.wake(now);
    for (const [room, entry] of this.#entries) {
      if (!isEmpty(entry)) continue;
      if (entry.enteredAt + unusedMs <= now) this.#forget(room);
      else this.#wakeNoLaterThan(entry.enteredAt + unusedMs);
    }
    this.#rearm();
  }

  #rearm(): void {
    const next = this.#services?.nextDeadline() ?? null;
    if (next !== null) this.#wakeNoLaterThan(next);
  }

  #wakeNoLaterThan(at: number): void {
    if (this.#wakeAt !== null && this.#wakeAt <= at) return;
    this.#wakeAt = at;
    this.#ports.wakeups.soon(at);
  }

  #forget(room: RoomId): void {
    this.#entries.delete(room);
    this.#ports.storage.delete([`room/${room}`]);
  }

  #totals(): { rooms: number; connections: number } {
    let connections = 0;
    for (const { loads } of this.#entries.values()) {
      for (const load of loads.values()) connections += load.connections;
    }
    return { rooms: this.#entries.size + this.#remembered.size, connections };
  }
}

/** Whether no shard of the room has clients, as far as can be known. */
function isEmpty({ loads, unknown }: RoomEntry): boolean {
  return unknown.size === 0 && [...loads.values()].every((each) => each.connections === 0);
}
