/**
 * A world of many rooms: the partitions of the registry, and the shards and sequencers that come
 * about, at their addresses on simulated hosts. Decides nothing about what happens when.
 */
import type { Address, Caller, Clock, Entropy } from "../../../src/core/ports.ts";
import type { Rooms } from "../../../src/core/rooms.ts";
import type { ReplyTo, RequestTo, Role } from "../../../src/protocol/calls.ts";
import { isRoomId, isShardId, roomOfShard, type ShardId } from "../../../src/protocol/names.ts";
import { failure, type Result } from "../../../src/protocol/result.ts";
import { Client, type ClientEnd, type Visitor } from "../client.ts";
import type { Environment, Outlet } from "../environment.ts";
import { Network } from "../network.ts";
import type { WorldObject } from "../object.ts";
import { Random } from "../random.ts";
import { SequencerHost } from "../sequencer-host.ts";
import { ShardHost, type Upgraded } from "../shard-host.ts";
import { Timeline } from "../timeline.ts";
import { LockJudge } from "./lock-judge.ts";
import { roomsOf, type RegistryOptions } from "./options.ts";
import { PartitionHost } from "./partition-host.ts";
import { SeatJudge } from "./seat-judge.ts";

type AnyHost = PartitionHost | ShardHost | SequencerHost;
export type AnyObject = Pick<
  WorldObject<unknown>,
  "address" | "receive" | "crash" | "crashAtNextWrite" | "spare" | "evict" | "rows"
>;

export class RegistryWorld implements Environment {
  readonly options: RegistryOptions;
  readonly timeline = new Timeline();
  readonly random: Random;
  readonly network: Network;
  readonly clock: Clock = { now: () => this.timeline.now };
  readonly entropy: Entropy;
  readonly seats: SeatJudge;
  readonly locks: LockJudge;
  readonly shards = new Map<ShardId, ShardHost>();
  readonly clients: Client[] = [];
  readonly story: string[] = [];
  /** What the code that starts now says. */
  rooms: Rooms;
  /** When the number of partitions changed last. */
  changedAt = 0;
  /** Nothing that is found wrong is kept to itself. */
  readonly checks: (() => void)[] = [];
  readonly #hosts = new Map<string, AnyHost>();
  #failure: Error | null = null;
  #ids = 0;

  constructor(options: RegistryOptions) {
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
    this.rooms = roomsOf(options, options.partitions);
    this.seats = new SeatJudge({
      now: () => this.timeline.now,
      graceMs: options.seatTtlMs,
      typeOf: (room) => this.rooms.typeOf(room),
    });
    this.locks = new LockJudge(() => this.changedAt);
    this.checks.push(() => this.seats.check());
  }

  get objects(): AnyObject[] {
    return [...this.#hosts.values()].map((host) => host.object);
  }

  get partitions(): PartitionHost[] {
    return [...this.#hosts.values()].filter((host) => host instanceof PartitionHost);
  }

  partition(name: string): PartitionHost {
    const address = `registry/${name}`;
    const known = this.#hosts.get(address);
    if (known instanceof PartitionHost) return known;
    const host = new PartitionHost({
      name,
      world: this,
      rooms: () => this.rooms,
      skew: () => {
        const most = this.options.clockSkewMs;
        return most === 0 ? 0 : Math.floor(this.random.between(-most, most));
      },
      observed: (of, at) => this.locks.observed(of, at),
      decided: (request, reply) => this.locks.decided(request, reply),
      answered: (request, reply) =>
        this.judged(() => this.locks.answered(name, request, reply, this.timeline.now)),
    });
    this.#hosts.set(address, host);
    return host;
  }

  shardHost(shard: ShardId): ShardHost {
    const known = this.shards.get(shard);
    if (known !== undefined) return known;
    const room = roomOfShard(shard);
    const type = this.rooms.typeOf(room);
    if (type === undefined) throw new Error(`no type for ${shard}`);
    const isPlanted = this.options.planted === "grace-forgotten";
    const host = new ShardHost({
      shard,
      type: isPlanted ? { ...type, seatTtlMs: 0 } : type,
      world: this,
      registry: () => this.rooms.partitionOf(room),
      seats: {
        asking: (visitor) => this.seats.asking(visitor),
        asked: (id, visitor, admitted, at) =>
          this.judged(() => this.seats.asked(id, visitor, admitted, at)),
        welcomed: (client, entry) => this.seats.welcomed(client, entry),
        disposed: (id) => this.seats.disposed(id),
      },
      hook: { drops: () => false, called: () => {}, began: () => {} },
      watcher: { delivered: () => {}, takes: () => {}, slept: () => {} },
      newClient: (id, visitor, of) => this.#newClient(id, visitor, of),
    });
    this.shards.set(shard, host);
    this.#hosts.set(`shard/${shard}`, host);
    return host;
  }

  /** All objects run other code from now on; shards notice when they start again. */
  changePartitions(count: number): void {
    this.rooms = roomsOf(this.options, count);
    this.changedAt = this.timeline.now;
  }

  callerOf(from: string, outlet: Outlet): Caller {
    return {
      call: <R extends Role, Request extends RequestTo<R>>(to: Address<R>, request: Request) =>
        new Promise<Result<ReplyTo<R, Request>>>((resolve) => {
          outlet.busy += 1;
          const done = (reply: Result<unknown> | null): void => {
            outlet.busy -= 1;
            if (outlet.isOver) return;
            this.trace(() => `${from} gets ${JSON.stringify(reply)} for ${request.type}`);
            const lost = failure("unreachable", "no answer");
            resolve((reply ?? lost) as Result<ReplyTo<R, Request>>);
          };
          const wire = JSON.stringify(request);
          outlet.output(() => this.#send(from, `${to.role}/${to.id}`, wire, done));
        }),
    };
  }

  /** Somebody outside with an address on the network. */
  outsider(name: string): Caller {
    return this.callerOf(name, { busy: 0, isOver: false, output: (run) => run() });
  }

  /** Hands an upgrade to a shard; `null` when there is no answer. */
  upgrade(from: string, shard: ShardId, visitor: Visitor): Promise<Upgraded | null> {
    const host = this.shardHost(shard);
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

  /** The client has the socket that a shard gave it. */
  open(client: Client, end: ClientEnd): void {
    client.owner = end;
    client.open();
    this.judged(() => this.seats.opened(client));
  }

  fail(error: unknown): Result<never> {
    this.#failure ??= error instanceof Error ? error : new Error(String(error));
    return failure("failed", "the simulation is over");
  }

  /** Runs work whose failure ends the simulation. */
  start(work: Promise<unknown>): void {
    work.catch((error: unknown) => this.fail(error));
  }

  judged(judge: () => void): void {
    try {
      judge();
    } catch (error) {
      this.fail(error);
    }
  }

  trace(line: () => string): void {
    if (this.options.isTraced === true) this.story.push(`${this.timeline.now % 1e9} ${line()}`);
  }

  /** After every step. */
  readonly check = (): void => {
    if (this.#failure !== null) throw this.#failure;
    for (const check of this.checks) check();
  };

  #send(
    from: string,
    to: string,
    wire: string,
    done: (reply: Result<unknown> | null) => void,
  ): void {
    const { object } = this.#host(to);
    const arrive = (answering: Parameters<AnyObject["receive"]>[1]): void =>
      object.receive(JSON.parse(wire), answering);
    this.network.exchange({ from, to, isRepeatable: true, arrive, done });
  }

  #host(address: string): AnyHost {
    const known = this.#hosts.get(address);
    if (known !== undefined) return known;
    const role = address.slice(0, address.indexOf("/"));
    const id = address.slice(role.length + 1);
    if (role === "registry") return this.partition(id);
    if (role === "shard" && isShardId(id)) return this.shardHost(id);
    if (role === "sequencer" && isRoomId(id)) {
      const type = this.rooms.typeOf(id);
      if (type === undefined) throw new Error(`no type for ${address}`);
      const shardHost = (shard: ShardId): ShardHost => this.shardHost(shard);
      const host = new SequencerHost({ room: id, type, world: this, shardHost, stored: () => {} });
      this.#hosts.set(address, host);
      return host;
    }
    throw new Error(`there is no object ${address}`);
  }

  #newClient(shard: ShardId, visitor: Visitor, host: ShardHost): Client {
    const client = new Client(
      this,
      { number: this.clients.length + 1, shard, visitor },
      {
        sent: () => {},
        received: () => {},
        said: (by, data) => host.handleClientMessage(by, data),
        closed: () => {},
        left: (by) => host.handleClientClosed(by),
      },
    );
    this.clients.push(client);
    return client;
  }
}
