/**
 * A room of very many sockets: real gates, registry and sequencer over virtual time, with storage in
 * memory and a network that is never wrong but for the shards that die. Decides nothing about what
 * happens when.
 */
import type { Address, Caller, Clock, Entropy, Socket } from "../../../src/core/ports.ts";
import { partitionNames } from "../../../src/core/partitions.ts";
import { defineRooms, type Rooms, type RoomType } from "../../../src/core/rooms.ts";
import { Gate } from "../../../src/gate/gate.ts";
import type { GatePorts } from "../../../src/gate/ports.ts";
import { MemoryStorage } from "../../../src/host/node/memory-storage.ts";
import {
  parseRequest,
  type ReplyTo,
  type RequestTo,
  type Role,
} from "../../../src/protocol/calls.ts";
import { parseClientRequest } from "../../../src/protocol/client-request.ts";
import { parseFrameToShard, type FrameToShard } from "../../../src/protocol/link.ts";
import type { RoomId, ShardId } from "../../../src/protocol/names.ts";
import { failure, success, type Result } from "../../../src/protocol/result.ts";
import { Registry } from "../../../src/registry/registry.ts";
import { Sequencer } from "../../../src/sequencer/sequencer.ts";
import { Random } from "../random.ts";
import { Timeline, type Timer } from "../timeline.ts";
import { CallBook } from "./call-book.ts";
import { Crowd } from "./crowd.ts";
import { CrowdShard } from "./crowd-shard.ts";
import type { ScaleOptions } from "./options.ts";

export const room = "crowd" as RoomId;

/** The hosts give up calls to shards, and others, after these. */
const callLimitMs = { shard: 5_000, sequencer: 15_000, registry: 15_000 };
/** One way, between two objects or into one from outside. */
const delayMs = { min: 1, max: 5 };
const linkDelayMs = { min: 1, max: 3 };

export class ScaleWorld {
  readonly options: ScaleOptions;
  readonly timeline = new Timeline();
  readonly random: Random;
  readonly clock: Clock = { now: () => this.timeline.now };
  readonly entropy: Entropy;
  readonly rooms: Rooms;
  readonly type: RoomType;
  readonly crowd: Crowd;
  readonly calls: CallBook;
  readonly shards = new Map<ShardId, CrowdShard>();
  /** What the sequencer sent on links, and got. */
  readonly links = { frames: 0, characters: 0, answers: 0 };
  /** A client's connection has ended, for whatever reason. */
  onLeft: (client: number) => void = () => {};
  readonly #gates: Gate[];
  readonly #registries = new Map<string, Registry>();
  #sequencer: Sequencer | null = null;
  #failure: Error | null = null;
  #ids = 0;
  #parsed: { readonly text: string; readonly frame: FrameToShard } | null = null;

  private constructor(options: ScaleOptions) {
    this.options = options;
    this.random = new Random(options.seed);
    this.entropy = { random: () => this.random.next(), id: () => `id${(this.#ids += 1)}` };
    const { shards, capacity, partitions, sockets, gates } = options;
    this.rooms = defineRooms({ default: { shards, capacity } }, { partitions });
    const type = this.rooms.typeOf(room);
    if (type === undefined) throw new Error("the room has no type");
    this.type = type;
    this.crowd = new Crowd(sockets);
    this.calls = new CallBook(this.timeline.now);
    this.#gates = Array.from({ length: gates }, () => new Gate(this.rooms));
  }

  static async start(options: ScaleOptions): Promise<ScaleWorld> {
    const world = new ScaleWorld(options);
    await world.#startObjects();
    return world;
  }

  get partition(): string {
    return this.rooms.partitionOf(room);
  }

  /** One of the gates, which knows nothing of what the others do. */
  async request(request: Request): Promise<Response> {
    const gate = this.#gates[this.random.below(this.#gates.length)];
    if (gate === undefined) throw new Error("there is no gate");
    return gate.handle(request, this.#gatePorts);
  }

  /** What the registry's partition has for a question that nobody counts. */
  async layout() {
    const asked = await this.#registries.get(this.partition)?.handle({ type: "layout", room });
    if (asked?.ok !== true) throw new Error("the registry has no layout");
    return (asked.value as ReplyTo<"registry", RequestTo<"registry"> & { type: "layout" }>).shards;
  }

  /** The life of the room's log, as any shard knows it. */
  get epoch(): string {
    for (const { position } of this.shards.values()) if (position !== null) return position.epoch;
    return "";
  }

  /** The room's last message. */
  async head(): Promise<number> {
    const read = await this.#sequencer?.handle({ type: "read", position: null, limit: 1 });
    if (read?.ok !== true) throw new Error("the sequencer does not answer");
    return (read.value as ReplyTo<"sequencer", RequestTo<"sequencer"> & { type: "read" }>).through;
  }

  shard(id: ShardId): CrowdShard {
    const known = this.shards.get(id);
    if (known !== undefined) return known;
    let timer: Timer | null = null;
    const shard: CrowdShard = new CrowdShard(id, this.type, {
      clock: this.clock,
      entropy: this.entropy,
      calls: this.#callerOf(() => shard.isDead),
      registry: this.partition,
      parse: (text) => this.#parse(text),
      wakeAt: (at) => {
        timer?.cancel();
        timer = this.timeline.at(at, () => shard.wake());
      },
      onFenced: () => this.empty(shard),
    });
    this.shards.set(id, shard);
    return shard;
  }

  /** All clients of the shard have lost it. */
  empty(shard: CrowdShard): void {
    for (const client of shard.clients.splice(0)) {
      const lag = Math.min(this.random.below(3), this.crowd.ageOf(client));
      this.crowd.left(client, shard.newest(lag));
      this.onLeft(client);
    }
  }

  /** Runs so many virtual milliseconds; `each` follows every hundred of them. */
  async run(ms: number, each: () => void | Promise<void> = () => {}): Promise<void> {
    const until = this.timeline.now + ms;
    while (this.timeline.now < until) {
      for (let step = 0; step < 10; step += 1) await this.timeline.advance(10, this.#check);
      await each();
    }
  }

  fail(error: unknown): void {
    this.#failure ??= error instanceof Error ? error : new Error(String(error));
  }

  readonly #check = (): void => {
    if (this.#failure !== null) throw this.#failure;
  };

  async #startObjects(): Promise<void> {
    for (const name of partitionNames(this.options.partitions)) {
      const ports = this.#objectPorts(() => this.#registries.get(name)?.wake());
      this.#registries.set(name, await Registry.start(this.rooms, ports, name));
    }
    this.#sequencer = await Sequencer.start(this.type, {
      ...this.#objectPorts(() => this.#sequencer?.wake()),
      registry: this.partition,
      dialer: { dial: (shard, events) => this.#dial(this.shard(shard), events) },
    });
  }

  #objectPorts(wake: () => void) {
    let timer: Timer | null = null;
    return {
      clock: this.clock,
      entropy: this.entropy,
      storage: new MemoryStorage(),
      calls: this.#callerOf(() => false),
      wakeups: {
        soon: (at: number | null) => {
          timer?.cancel();
          timer = at === null ? null : this.timeline.at(at, wake);
        },
        // No object of these loses its memory.
        durable: () => {},
      },
    };
  }

  #callerOf(isOver: () => boolean): Caller {
    return {
      call: <R extends Role, Request extends RequestTo<R>>(to: Address<R>, request: Request) => {
        if (isOver()) return new Promise<never>(() => {});
        return this.#call(to, request) as Promise<Result<ReplyTo<R, Request>>>;
      },
    };
  }

  async #call(to: Address<Role>, request: RequestTo<Role>): Promise<Result<unknown>> {
    this.calls.called(to.role, to.id, request.type, this.timeline.now);
    const reply = await this.timeline.within(callLimitMs[to.role], async () => {
      await this.#travel();
      const answer = await this.#answer(to, request);
      await this.#travel();
      return answer;
    });
    if (reply === null) return failure("unreachable", "no answer");
    this.calls.answered(to.role, request.type, reply);
    return reply;
  }

  async #answer({ role, id }: Address<Role>, request: unknown): Promise<Result<unknown>> {
    const wire: unknown = JSON.parse(JSON.stringify(request));
    if (role === "shard") {
      const shard = this.shard(id as ShardId);
      if (shard.isDead) return new Promise(() => {});
      const parsed = parseRequest(role, wire);
      return parsed.ok ? shard.handle(parsed.value) : parsed;
    }
    if (role === "sequencer") {
      const parsed = parseRequest(role, wire);
      if (!parsed.ok) return parsed;
      return this.#sequencer?.handle(parsed.value) ?? failure("unreachable", "not started");
    }
    const parsed = parseRequest(role, wire);
    if (!parsed.ok) return parsed;
    return this.#registries.get(id)?.handle(parsed.value) ?? failure("unreachable", "no such");
  }

  readonly #gatePorts: GatePorts = {
    clock: { now: () => this.timeline.now },
    entropy: { random: () => this.random.next(), id: () => `id${(this.#ids += 1)}` },
    calls: this.#callerOf(() => false),
    adminToken: undefined,
    secret: undefined,
    maxQueryLength: 8_192,
    canRefuseUpgrades: true,
    region: () => null,
    connect: (shard, _request, query, connection, signal) =>
      this.#connect(this.shard(shard), query, connection, signal),
    answerSocket: () => new Response(null),
    events: () => Promise.resolve(new Response(null)),
    within: (ms, work) => this.timeline.within(ms, work),
    onError: (error) => this.fail(error),
  };

  /** The upgrade at the shard. Connections of the crowd are named by their numbers. */
  async #connect(
    shard: CrowdShard,
    query: string,
    connection: string,
    signal: AbortSignal,
  ): Promise<Response | { readonly ok: false; readonly code: string }> {
    await this.#travel();
    if (shard.isDead) return new Promise(() => {});
    const asked = parseClientRequest(new URLSearchParams(query));
    if (!asked.ok) return asked;
    const { resume } = asked.value;
    const admitted = await shard.admit(resume);
    if (!admitted.ok) return admitted;
    if (signal.aborted) {
      shard.release();
      return { ok: false, code: "unreachable" };
    }
    this.crowd.welcome(Number(connection), shard, shard.welcome(Number(connection), resume));
    await this.#travel();
    return welcomed;
  }

  async #dial(
    shard: CrowdShard,
    events: { message(text: string): void; close(code: number): void },
  ): Promise<Result<Socket>> {
    await this.#travel();
    if (shard.isDead) return new Promise(() => {});
    const delay = this.random.between(linkDelayMs.min, linkDelayMs.max);
    let isOpen = true;
    const close = (tell: () => void): void => {
      if (!isOpen) return;
      isOpen = false;
      this.timeline.after(delay, tell);
    };
    const atShard: Socket = {
      send: (data) => {
        this.timeline.after(delay, () => {
          this.links.answers += 1;
          if (isOpen) events.message(String(data));
        });
      },
      close: (code) => close(() => events.close(code)),
    };
    await this.#travel();
    shard.openLink(atShard);
    return success({
      send: (data) => {
        const text = String(data);
        this.links.frames += 1;
        this.links.characters += text.length;
        this.timeline.after(delay, () => {
          if (!shard.isDead) shard.receive(atShard, text);
        });
      },
      close: () => close(() => shard.closed(atShard)),
    });
  }

  /** One frame goes to all shards. */
  #parse(text: string): FrameToShard {
    if (this.#parsed?.text === text) return this.#parsed.frame;
    const parsed = parseFrameToShard(text);
    if (!parsed.ok) throw new Error(parsed.detail);
    this.#parsed = { text, frame: parsed.value };
    return parsed.value;
  }

  #travel(): Promise<void> {
    return this.timeline.sleep(this.random.between(delayMs.min, delayMs.max));
  }
}

/** Of a socket that is open: nobody reads it. */
const welcomed = new Response(null);
