/**
 * A world of one room: the real roles at their addresses, on simulated hosts, over one timeline and
 * one network, watched by the invariants. Decides nothing about what happens when.
 */
import type { Address, Caller, Clock, Entropy } from "../../src/core/ports.ts";
import { defineRooms, shardsOf, type Rooms, type RoomType } from "../../src/core/rooms.ts";
import {
  parseRequest,
  type Published,
  type ReplyTo,
  type RequestTo,
  type Role,
} from "../../src/protocol/calls.ts";
import { isShardId, type RoomId, type ShardId } from "../../src/protocol/names.ts";
import { failure, type Result } from "../../src/protocol/result.ts";
import { audienceBounds } from "../../src/shard/audience.ts";
import { Client, type Visitor } from "./client.ts";
import { Violation, type Environment, type Outlet, type WorldOptions } from "./environment.ts";
import { Generations } from "./generations.ts";
import { makeDigestsAtOnce } from "./digest.ts";
import { Invariants } from "./invariants.ts";
import { LayoutJudge } from "./layout-judge.ts";
import { Network, type Answering } from "./network.ts";
import type { WorldObject } from "./object.ts";
import { Random } from "./random.ts";
import { RegistryHost } from "./registry-host.ts";
import { SequencerHost } from "./sequencer-host.ts";
import { ShardHost, type Upgraded } from "./shard-host.ts";
import { StateJudge } from "./state-judge.ts";
import { Timeline } from "./timeline.ts";
import { WireJudge } from "./wire-judge.ts";

export const room = "room" as RoomId;

/** What the world does with any object. */
export type AnyObject = Pick<
  WorldObject<unknown>,
  "address" | "receive" | "crash" | "crashAtNextWrite" | "spare" | "evict"
>;

export class World implements Environment {
  readonly options: WorldOptions;
  readonly timeline = new Timeline();
  readonly random: Random;
  readonly network: Network;
  readonly clock: Clock = { now: () => this.timeline.now };
  readonly entropy: Entropy;
  readonly invariants: Invariants;
  readonly wires: WireJudge;
  readonly layouts: LayoutJudge;
  readonly states: StateJudge;
  readonly rooms: Rooms;
  readonly sequencer: SequencerHost;
  readonly generations: Generations;
  readonly registry: RegistryHost;
  readonly clients: Client[] = [];
  /** What clients do when their socket has ended: set by who plays them. */
  onClientClosed: (client: Client, code: number | null) => void = () => {};
  readonly story: string[] = [];
  /** What shards have told operators of, by name. */
  readonly counted = new Map<string, number>();
  #failure: Error | null = null;
  #ids = 0;

  constructor(options: WorldOptions) {
    this.options = options;
    this.random = new Random(options.seed);
    this.network = new Network(this.timeline, this.random, options.rates);
    this.entropy = {
      random: () => this.random.next(),
      id: () => {
        this.#ids += 1;
        return `id${this.#ids}`;
      },
    };
    makeDigestsAtOnce();
    this.rooms = roomsOf(options);
    const type = this.#type();
    const hasClients = (shard: ShardId): boolean =>
      [...(this.shards.get(shard)?.welcomed ?? [])].some((client) => client.isOpen);
    this.layouts = new LayoutJudge(room, type, hasClients);
    this.registry = new RegistryHost(this, this.rooms, {
      stored: (puts) => {
        this.layouts.stored(puts);
        this.states.registryStored(puts);
      },
      ended: () => this.layouts.registryEnded(this.registry.object.rows.values),
    });
    this.generations = new Generations(this, (shard) => this.#shardHost(shard, type));
    this.generations.start(shardsOf(room, type));
    this.sequencer = new SequencerHost({
      room,
      type,
      world: this,
      shardHost: (shard) => this.shardHost(shard),
      stored: (puts) => {
        this.invariants.stored(puts);
        for (const rows of puts) this.generations.stored(rows, this.invariants.log.head);
      },
    });
    this.invariants = new Invariants({
      now: () => this.timeline.now,
      capacity: options.capacity,
      shards: this.shards,
      rows: this.sequencer.object.rows.values,
      drops: (shard, seq) => this.#drops(shard, seq),
    });
    this.states = new StateJudge({
      room,
      roomType: type.name,
      log: this.invariants.log,
      rows: () => this.registry.object.rows.values,
    });
    this.wires = new WireJudge({
      windowUnits: (options.bounds ?? audienceBounds).window.maxUnits,
      log: this.invariants.log,
      drops: (shard, seq) => this.#drops(shard, seq),
      isQuiet: (shard) => this.shardHost(shard).object.isQuiet,
      checkVolatile: (client, filters, text, count) =>
        this.invariants.checkVolatile(client, filters, text, count),
    });
  }

  get objects(): AnyObject[] {
    const shards = [...this.shards.values()].map((host) => host.object);
    return [this.sequencer.object, ...shards, this.registry.object];
  }

  /** Places of the shards that a gate tries for one client. */
  get placesTried(): number {
    const { capacity, shards, maxShards = shards } = this.options;
    return capacity * Math.min(maxShards, 3);
  }

  get gates(): string[] {
    return Array.from({ length: this.options.gates }, (_, index) => `gate/${index + 1}`);
  }

  /** The objects of every generation. */
  get shards(): ReadonlyMap<ShardId, ShardHost> {
    return this.generations.hosts;
  }

  shardHost(shard: ShardId): ShardHost {
    return this.generations.host(shard);
  }

  callerOf(from: string, outlet: Outlet): Caller {
    return {
      call: <R extends Role, Request extends RequestTo<R>>(to: Address<R>, request: Request) =>
        new Promise<Result<ReplyTo<R, Request>>>((resolve) => {
          if (to.role === "registry") this.invariants.registryCalled(outlet, request);
          if (request.type === "report") this.#count(request.counters);
          outlet.busy += 1;
          const done = (reply: Result<unknown> | null): void => {
            outlet.busy -= 1;
            if (outlet.isOver) return;
            this.trace(() => `${from} gets ${JSON.stringify(reply)} for ${request.type}`);
            if (reply?.ok === true) this.#answered(request, reply.value);
            const lost = failure("unreachable", "no answer");
            resolve((reply ?? lost) as Result<ReplyTo<R, Request>>);
          };
          // What a gate means for a slot.
          const id = request.type === "hold" ? this.generations.route(to.id as ShardId) : to.id;
          outlet.output(() => this.#send(from, `${to.role}/${id}`, request, done));
        }),
    };
  }

  /** Hands an upgrade to a shard; `null` when there is no answer. */
  upgrade(from: string, shard: ShardId, visitor: Visitor): Promise<Upgraded | null> {
    const host = this.shardHost(this.generations.route(shard));
    return new Promise((done) => {
      this.network.exchange<Upgraded>({
        from,
        to: host.object.address,
        isRepeatable: false,
        arrive: (answering) => host.upgrade(visitor, answering),
        done,
      });
    });
  }

  fail(error: unknown): Result<never> {
    this.#failure ??= error instanceof Error ? error : new Error(String(error));
    return failure("failed", "the simulation is over");
  }

  trace(line: () => string): void {
    if (this.options.isTraced === true) this.story.push(`${this.timeline.now % 1e9} ${line()}`);
  }

  /** After every step. */
  readonly check = (): void => {
    if (this.#failure !== null) throw this.#failure;
    this.invariants.check();
    this.wires.check();
  };

  #send(
    from: string,
    to: string,
    request: unknown,
    done: (reply: Result<unknown> | null) => void,
  ): void {
    const id = to.slice("shard/".length);
    // The registry may have laid out one that was never used.
    if (to.startsWith("shard/") && isShardId(id)) this.shardHost(id);
    const target = this.objects.find((each) => each.address === to);
    if (target === undefined) throw new Error(`there is no object ${to}`);
    const wire = JSON.stringify(request);
    const arrive = (answering: Answering<Result<unknown>>): void => {
      const copy: unknown = JSON.parse(wire);
      this.#handed(target, copy);
      target.receive(copy, answering);
    };
    this.network.exchange({ from, to, isRepeatable: true, arrive, done });
  }

  #count(counters: Readonly<Record<string, number>>): void {
    for (const [what, count] of Object.entries(counters)) {
      this.counted.set(what, (this.counted.get(what) ?? 0) + count);
    }
  }

  #handed(target: AnyObject, request: unknown): void {
    if (target !== this.sequencer.object) return;
    const parsed = parseRequest("sequencer", request);
    if (parsed.ok && parsed.value.type === "publish") this.invariants.handed(parsed.value);
  }

  #answered(request: RequestTo<Role>, reply: unknown): void {
    if (request.type === "publish") this.invariants.published(request, reply as Published);
  }

  #shardHost(shard: ShardId, type: RoomType): ShardHost {
    return new ShardHost({
      shard,
      type,
      world: this,
      hook: {
        drops: (id, seq) => this.#drops(id, seq),
        called: (id, life, seq) => this.invariants.hookCalled(id, life, seq),
        began: (id, ledger) => this.states.began(id, ledger),
      },
      watcher: {
        delivered: (id, seq) => {
          this.#judged(() => this.generations.checkDelivered(id, seq));
          this.wires.delivered(id, seq);
        },
        takes: (client, data, delivered) => this.wires.takes(client, data, delivered),
        slept: (clients) => this.wires.slept(clients),
      },
      newClient: (id, visitor, host) => this.#newClient(id, visitor, host),
    });
  }

  #newClient(shard: ShardId, visitor: Visitor, host: ShardHost): Client {
    const { speaksProtocol } = visitor.request;
    const client = new Client(
      this,
      { number: this.clients.length + 1, shard, visitor },
      {
        sent: (to, data) => {
          if (speaksProtocol) this.#judged(() => this.wires.sent(to, data));
        },
        received: (to, data) => {
          if (!speaksProtocol) this.invariants.received(to, data);
        },
        said: (by, data) => host.handleClientMessage(by, data),
        closed: (of, code) => this.onClientClosed(of, code),
        left: (by) => host.handleClientClosed(by),
      },
    );
    this.clients.push(client);
    if (!speaksProtocol) this.invariants.welcomed(client);
    return client;
  }

  /** Roles take what a socket throws for its end. */
  #judged(judge: () => void): void {
    try {
      judge();
    } catch (error) {
      this.fail(error);
    }
  }

  /** The throwing hook fails for some messages, differently on each shard. */
  #drops(shard: ShardId, seq: number): boolean {
    if (this.options.hook !== "throwing") return false;
    return (seq * 7 + shard.length + Number(shard.at(-1)) * 3) % 5 === 0;
  }

  #type(): RoomType {
    const type = this.rooms.typeOf(room);
    if (type === undefined) throw new Violation("PL1", "the room has no type");
    return type;
  }
}

function roomsOf(options: WorldOptions): Rooms {
  const { shards, maxShards = shards, capacity, history, publishOverSocket = false } = options;
  // Without failover the registry finds shards dead, and the world's hand alone puts others in their place.
  const { failover = false, snapshotIntervalMs = 0 } = options;
  // Rooms that rest are not to outlive their snapshot.
  const snapshots = { snapshotIntervalMs, snapshotTtlMs: 2_592_000_000 };
  const bounds = { min: shards, max: Math.max(shards, maxShards) };
  return defineRooms({
    default: { shards: bounds, capacity, history, publishOverSocket, failover, ...snapshots },
  });
}
