/**
 * One partition of the registry: gives each request to the part that answers it, and wakes the parts
 * when something is due. Keeps nothing but counters itself.
 */
import { Counters } from "../core/counters.ts";
import type { ObjectPorts } from "../core/ports.ts";
import type { Rooms } from "../core/rooms.ts";
import type { ReplyTo } from "../protocol/calls.ts";
import { partitionNames } from "../core/partitions.ts";
import { roomOfShard, type RoomId, type ShardId } from "../protocol/names.ts";
import type { Figures } from "../protocol/registry-calls.ts";
import type { RegistryEventBody } from "../protocol/registry.ts";
import { failure, success, type Failure, type Result } from "../protocol/result.ts";
import { Adoption } from "./adoption.ts";
import { CallSlots } from "./call-slots.ts";
import type { EventHub } from "./event-hub.ts";
import { Failover } from "./failover.ts";
import { Fences } from "./fences.ts";
import { HandOver } from "./hand-over.ts";
import { HostedRooms } from "./hosted-rooms.ts";
import { HostedSnapshots } from "./hosted-snapshots.ts";
import { HostedStates } from "./hosted-states.ts";
import { layoutPrefix } from "./layouts.ts";
import { Learning } from "./learning.ts";
import { Matchmaking } from "./matchmaking.ts";
import { lastTokenKey, lockPrefix } from "./locks.ts";
import { gatherFigures } from "./metrics.ts";
import { answerOutside, type OutsideParts } from "./outside-requests.ts";
import { OwedCalls } from "./owed-calls.ts";
import type { RegistryOwner, RegistryReply, RegistryRequest, RequestOf, Waking } from "./part.ts";
import { Patience } from "./patience.ts";
import { PlacementTables } from "./placement-tables.ts";
import { Relocation } from "./relocation.ts";
import { RoomLife } from "./room-life.ts";
import { RoomQueries } from "./room-queries.ts";
import { ServerListing } from "./server-listing.ts";
import { RoomStore, rowPrefix, seatsPrefix } from "./room-store.ts";
import { Scaling } from "./scaling.ts";
import { Services } from "./services.ts";
import { ShardLife } from "./shard-life.ts";

type Parts = OutsideParts & {
  readonly store: RoomStore;
  readonly learning: Learning;
  readonly owed: OwedCalls;
  readonly life: RoomLife;
  readonly tables: PlacementTables;
  readonly queries: RoomQueries;
  readonly matchmaking: Matchmaking;
  readonly handOver: HandOver;
  readonly adoption: Adoption;
  readonly services: Services;
  readonly listing: ServerListing;
  readonly fences: Fences;
  readonly scaling: Scaling;
  readonly failover: Failover;
};

export class Registry {
  readonly #owner: RegistryOwner;
  readonly #parts: Parts;
  readonly #waking: Waking[];
  readonly #counters: Counters;
  #wakeAt: number | null = null;
  #durableAt: number | null = null;

  private constructor(owner: RegistryOwner, parts: Parts, counters: Counters, patience: Patience) {
    this.#owner = owner;
    this.#counters = counters;
    this.#parts = parts;
    const { learning, life, owed, relocation, states, fences, scaling, failover } = parts;
    const { handOver, services } = parts;
    this.#waking = [learning, life, owed, relocation, states, fences, scaling, failover];
    this.#waking.push(handOver, services, patience);
  }

  /** The partition with this name. */
  static async start(rooms: Rooms, ports: ObjectPorts, name: string): Promise<Registry> {
    let registry: Registry | null = null;
    const counters = new Counters();
    const patience = new Patience(ports.clock, () => registry?.rearm());
    const owner: RegistryOwner = {
      name,
      rooms,
      ports,
      emit: (event) => registry?.emit(event),
      count: (what) => counters.increment(what),
      rearm: () => registry?.rearm(),
      within: (ms, work) => patience.within(ms, work),
      ask: (partition, request) =>
        partition === name && registry !== null
          ? registry.#askSelf(request)
          : ports.calls.call({ role: "registry", id: partition }, request),
    };
    registry = new Registry(owner, await startParts(owner), counters, patience);
    registry.#parts.learning.begin();
    registry.#parts.relocation.begin();
    registry.rearm();
    return registry;
  }

  async handle(request: RegistryRequest): Promise<RegistryReply> {
    const reply = this.#elsewhere(request) ?? (await this.#answer(request));
    // Who is refused counts them again.
    if (reply.ok && "counters" in request) this.#counters.add(request.counters);
    if (reply.ok && request.type === "report") this.#tellFailures(request);
    return reply;
  }

  async #answer(request: RegistryRequest): Promise<RegistryReply> {
    const { tables, queries, life, matchmaking, adoption, services } = this.#parts;
    const { scaling, failover } = this.#parts;
    switch (request.type) {
      case "table":
      case "layout":
      case "report":
      case "reports":
        return tables.handle(request);
      case "count":
        return success(null);
      case "sweep":
        // Where there are no alarms it comes in their place.
        this.wake();
        return queries.sweep(request);
      case "metrics":
        return gatherFigures(this.#owner, () => this.#figures());
      case "figures":
        return success(this.#figures());
      case "rooms":
        return queries.rooms(request);
      case "room":
        return queries.room(request);
      case "servers":
        return this.#parts.listing.servers(request);
      case "create":
        return life.create(request);
      case "change":
        return queries.change(request);
      case "dispose":
        return this.#dispose(request);
      case "route":
        return matchmaking.route(request);
      case "reserve":
        return matchmaking.reserve(request);
      case "hosted":
      case "gone":
      case "relocate":
      case "beginHosted":
      case "commitHosted":
      case "hostedState":
      case "takeSnapshot":
      case "restoreSnapshot":
        return answerOutside(this.#parts, request);
      case "handOver":
        return this.#handOver();
      case "adopt":
        return adoption.adopt(request);
      case "suspect":
        return failover.suspect(request);
      case "resize":
        return scaling.resize(request);
      case "migrate":
        return scaling.migrate(request);
      case "drainShard":
        return scaling.drainShard(request);
      default:
        return services.handle(request);
    }
  }

  /** A partition that is one no longer is asked again until it owes nothing. */
  async #handOver(): Promise<RegistryReply> {
    const handed = await this.#parts.handOver.handOver();
    const { owed, fences } = this.#parts;
    if (!handed.ok || (owed.isEmpty && fences.isEmpty) || !this.#isFormer) return handed;
    return failure("unavailable", "calls are owed still");
  }

  get #isFormer(): boolean {
    const { name, rooms } = this.#owner;
    return !partitionNames(rooms.deployment.partitions).includes(name);
  }

  /** Where subscribers of events go, at the hub. */
  get events(): EventHub {
    return this.#parts.services.events;
  }

  wake(): void {
    const now = this.#owner.ports.clock.now();
    this.#wakeAt = null;
    if (this.#durableAt !== null && this.#durableAt <= now) this.#durableAt = null;
    for (const part of this.#waking) part.wake(now);
    this.rearm();
  }

  /** Tells whoever has subscribed to events. */
  emit(event: RegistryEventBody): void {
    this.#parts.services.emit(event);
  }

  #tellFailures({ shard, failures = [] }: RequestOf<"report">): void {
    const where = { roomId: roomOfShard(shard), serverId: shard };
    for (const { reason, detail } of failures) {
      this.emit({ type: "snapshot:failed", ...where, reason, detail });
    }
  }

  /** Has the host wake this object when the next part has something to do. */
  rearm(): void {
    let next: number | null = null;
    for (const part of this.#waking) {
      const at = part.nextDeadline();
      if (at !== null && (next === null || at < next)) next = at;
    }
    if (next !== this.#wakeAt) {
      this.#wakeAt = next;
      this.#owner.ports.wakeups.soon(next);
    }
    const { store, services, scaling, fences, relocation } = this.#parts;
    const durable = [store, services, scaling, fences, relocation]
      .map((part) => part.nextDurableDeadline())
      .reduce(earlier, null);
    if (durable === null || durable === this.#durableAt) return;
    this.#durableAt = durable;
    this.#owner.ports.wakeups.durable(durable);
  }

  /** A room that the directory has forgotten may have left a snapshot. */
  async #dispose(request: RequestOf<"dispose">): Promise<RegistryReply> {
    const { life, services } = this.#parts;
    const reply = await life.dispose(request);
    if (reply.ok || reply.code === "unknown-room") services.snapshots.drop(request.room);
    return reply;
  }

  /** Calls that this partition makes to itself are no calls. */
  #askSelf<Request extends RegistryRequest>(
    request: Request,
  ): Promise<Result<ReplyTo<"registry", Request>>>;
  #askSelf(request: RegistryRequest): Promise<RegistryReply> {
    return this.handle(request);
  }

  /** A caller that counts other partitions than this one must not enter rooms here. */
  #elsewhere(request: RegistryRequest): Failure | null {
    const rooms: (RoomId | null)[] = [];
    if (request.type === "reserve") rooms.push(request.room, request.create);
    else if ("shard" in request) rooms.push(roomOfShard(request.shard));
    else if ("room" in request && isOfRoom(request.type)) rooms.push(request.room);
    const { rooms: types, name } = this.#owner;
    const foreign = rooms.find((room) => room !== null && types.partitionOf(room) !== name);
    if (foreign === undefined) return null;
    return failure("unavailable", `another partition keeps "${foreign}"`);
  }

  #figures(): Figures {
    return { ...this.#parts.store.totals, counters: Object.fromEntries(this.#counters.entries()) };
  }
}

function earlier(one: number | null, other: number | null): number | null {
  return one === null || other === null ? (one ?? other) : Math.min(one, other);
}

/** Requests that are about a room which this partition must keep. */
function isOfRoom(type: RegistryRequest["type"]): boolean {
  return type !== "allocate" && type !== "vacate";
}

async function startParts(owner: RegistryOwner): Promise<Parts> {
  const slots = new CallSlots();
  const store = await RoomStore.start(owner);
  const owed = await OwedCalls.start(owner, slots);
  let failover: Failover | null = null;
  const suspect = (shard: ShardId): void => void failover?.suspect({ type: "suspect", shard });
  const learning = new Learning(owner, { store, slots, suspect });
  const life = new RoomLife(owner, { store, learning, owed, slots, suspect });
  const services = await Services.start(owner);
  const { snapshots, locks } = services;
  const relocation = new Relocation(owner, { store, life, slots, snapshots });
  const states = new HostedStates(owner, store, snapshots);
  const hosted = await HostedRooms.start(owner, { store, life, relocation, states });
  const fences = await Fences.start(owner, slots);
  const shards = new ShardLife(owner, { store, learning, owed, fences });
  const scaling = new Scaling(owner, { store, learning, shards });
  failover = new Failover(owner, { store, learning, life, shards, scaling });
  const handOver = await HandOver.start(owner, {
    prefixes: [layoutPrefix, rowPrefix, seatsPrefix, lockPrefix],
    shared: [lastTokenKey],
    snapshots,
  });
  return {
    services,
    store,
    learning,
    owed,
    life,
    relocation,
    hosted,
    hostedSnapshots: new HostedSnapshots(owner, store, snapshots),
    states,
    handOver,
    fences,
    scaling,
    failover,
    tables: new PlacementTables(owner, { store, learning, life, shards, scaling, failover, owed }),
    queries: new RoomQueries(owner, { store, learning }),
    matchmaking: new Matchmaking(owner, { store, learning, life, hosted, scaling }),
    listing: new ServerListing(owner, { store, learning, services }),
    adoption: new Adoption(owner, {
      store,
      learning,
      life,
      relocation,
      hosted,
      locks,
      snapshots,
      scaling,
    }),
  };
}
