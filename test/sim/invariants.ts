/**
 * The judge of a simulated world: what must hold after every step, and what must hold once the world
 * has come to rest. Compares what clients and publishers see with the durable log alone. A breach
 * throws a `Violation` that begins with the rule.
 */
import { TopicFilters } from "../../src/core/topics.ts";
import type { Published, PublishRequest } from "../../src/protocol/calls.ts";
import { generationOf, slotOf, type ShardId } from "../../src/protocol/names.ts";
import { decodePayload, type MessageData } from "../../src/protocol/payload.ts";
import type { Client } from "./client.ts";
import { DurableLog, textOf } from "./durable-log.ts";
import { Violation } from "./environment.ts";
import type { Rows } from "./storage.ts";

/** What the judge looks at. */
export type Scene = {
  readonly now: () => number;
  readonly capacity: number;
  /** Of every generation. */
  readonly shards: ReadonlyMap<
    ShardId,
    { readonly clients: ReadonlySet<Client>; readonly welcomed: ReadonlySet<Client> }
  >;
  /** The sequencer's durable rows. */
  readonly rows: ReadonlyMap<string, unknown>;
  /** Whether the room class of this shard lets the message go without sending it. */
  readonly drops: (shard: ShardId, seq: number) => boolean;
};

/** What a client has seen so far. */
type Stream = {
  /** The log's end when the shard welcomed it: what comes later, it must get. */
  readonly welcomedAt: number;
  readonly filters: TopicFilters;
  /** Numbers that its last message may have had; `null` before the first. */
  positions: Set<number> | null;
  readonly volatile: Map<string, number>;
};

/** At least so long between two calls of one caller to the registry, ms. */
const registryPaceMs = 200;
/** A gate that was misled tries other shards first, and may have asked once without an answer. */
const misledMs = 20_000;

const unpaced: ReadonlySet<string> = new Set([
  // What a gate counted goes along at most once a second, beside its questions; its tests hold that.
  "count",
  // Evidence against shards, a shard each five seconds.
  "suspect",
  // Loads of all shards, twice a second.
  "reports",
  // A status asks for the shards as they are.
  "layout",
  // Operators.
  "drainShard",
  "migrate",
  "resize",
  // The state, once an interval, in parts.
  "beginSnapshot",
  "snapshotPart",
  "commitSnapshot",
  "snapshot",
  "readSnapshot",
]);

export class Invariants {
  readonly log = new DurableLog();
  readonly #scene: Scene;
  readonly #streams = new Map<Client, Stream>();
  /** How often each volatile text reached the sequencer. */
  readonly #handed = new Map<string, number>();
  readonly #volatileTopics = new Map<string, string | null>();
  readonly #answersByKey = new Map<string, string>();
  readonly #registryCalls = new Map<object, number>();
  /** When a gate last found that what it knows of a room is so no more. */
  readonly #misled = new Map<object, number>();
  readonly #hookCalls = new Set<string>();

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  /** After every step. */
  check(): void {
    for (const [shard, { clients, welcomed }] of this.#scene.shards) {
      let open = 0;
      for (const client of clients) if (client.isOpenAtShard) open += 1;
      if (open > this.#scene.capacity) {
        throw new Violation("AD1", `${shard} holds ${open} clients of ${this.#scene.capacity}`);
      }
      const hasWelcomed = [...welcomed].some((client) => client.isOpenAtShard);
      if (hasWelcomed && !this.#scene.rows.has(`sub/${shard}`) && !this.#isFenced(shard)) {
        throw new Violation("SU1", `${shard} has clients and is no subscriber`);
      }
    }
  }

  stored(puts: readonly Rows[]): void {
    this.log.read(puts);
  }

  welcomed(client: Client): void {
    const welcomedAt = this.log.head;
    const filters = new TopicFilters(client.visitor.request.topics);
    this.#streams.set(client, { welcomedAt, filters, positions: null, volatile: new Map() });
  }

  received(client: Client, data: MessageData): void {
    const text = textOf(data);
    const stream = this.#streams.get(client);
    if (stream === undefined) throw new Violation("DL3", "a message came before the welcome");
    if (text.startsWith("v")) this.#takeVolatile(client, stream, text);
    else this.#take(client, stream, text);
  }

  hookCalled(shard: ShardId, life: number, seq: number): void {
    const call = `${shard} ${life} ${seq}`;
    if (this.#hookCalls.has(call)) {
      throw new Violation("DL3", `the room class of ${shard} was handed message ${seq} twice`);
    }
    this.#hookCalls.add(call);
  }

  /** A publish has reached the sequencer. */
  handed(request: PublishRequest): void {
    if (!request.volatile) return;
    for (const text of request.messages.map((each) => textOf(decodePayload(each)))) {
      this.#handed.set(text, (this.#handed.get(text) ?? 0) + 1);
      this.#volatileTopics.set(text, request.topic ?? null);
    }
  }

  /** A client with these filters was sent a volatile message, the `count`th time. */
  checkVolatile(client: Client, filters: TopicFilters, text: string, count: number): void {
    if (count > (this.#handed.get(text) ?? 0)) {
      throw new Violation("DL3", `client ${client.number} got the volatile "${text}" again`);
    }
    if (filters.lets(this.#volatileTopics.get(text) ?? null)) return;
    throw new Violation("PR6", `client ${client.number} got the volatile "${text}"`);
  }

  /** The sequencer's answer has reached whoever published. */
  published(request: PublishRequest, { epoch, first, seq, shards }: Published): void {
    if (request.volatile) return;
    const texts = request.messages.map((each) => textOf(decodePayload(each)));
    for (const [index, text] of texts.entries()) {
      if (this.log.at(first + index) === text && this.log.epoch === epoch) continue;
      throw new Violation("DL2", `"${text}" was answered as ${first + index} and is not durable`);
    }
    if (seq !== first + texts.length - 1) throw new Violation("DL1", "the numbers have gaps");
    if (request.waitDelivered && shards.pending === 0) this.#checkDelivered(first, texts);
    if (request.key === undefined) return;
    const answer = `${epoch} ${first} ${seq}`;
    const former = this.#answersByKey.get(request.key);
    this.#answersByKey.set(request.key, answer);
    if (former !== undefined && former !== answer) {
      throw new Violation("DL4", `key ${request.key} was answered ${former} and then ${answer}`);
    }
  }

  /** A gate was sent to a shard that serves no more: it may ask where to go. */
  misled(gate: object): void {
    this.#misled.set(gate, this.#scene.now());
  }

  /** `caller` is one gate, or one life of a shard. */
  registryCalled(caller: object, request: { readonly type: string }): void {
    const what = request.type;
    if (unpaced.has(what)) return;
    // Nor does the question of a client that found no place, which is asked once a second.
    if ("isRefusing" in request) return;
    const now = this.#scene.now();
    const since = now - (this.#registryCalls.get(caller) ?? 0);
    this.#registryCalls.set(caller, now);
    const wasMisled = now - (this.#misled.get(caller) ?? -Infinity) < misledMs;
    if (since < registryPaceMs && !wasMisled) {
      throw new Violation("PL1", `one caller asked the registry (${what}) again after ${since} ms`);
    }
  }

  /** Everything that could happen has happened. */
  checkRest(): void {
    const { head } = this.log;
    for (const [client, stream] of this.#streams) {
      if (!client.isOpen) continue;
      if (!client.isOpenAtShard) throw new Violation("FA1", "a socket ended and was not told");
      const { positions, welcomedAt } = stream;
      const last = positions === null ? welcomedAt : Math.max(...positions);
      const next = this.#after(client, stream, last);
      if (next <= head) {
        throw new Violation("DL3", `client ${client.number} lacks message ${next} of ${head}`);
      }
    }
  }

  #takeVolatile(client: Client, stream: Stream, text: string): void {
    const count = (stream.volatile.get(text) ?? 0) + 1;
    stream.volatile.set(text, count);
    this.checkVolatile(client, stream.filters, text, count);
  }

  /** A text may stand for several messages, since a write without a key may be made twice. */
  #take(client: Client, stream: Stream, text: string): void {
    const numbers = this.log.numbersOf(text);
    const { number } = client;
    if (numbers.length === 0) {
      throw new Violation("DL2", `client ${number} got "${text}", which is not durable`);
    }
    const { positions, welcomedAt } = stream;
    const possible = numbers.filter((seq) => {
      if (this.#skips(client, stream, seq)) return false;
      if (positions === null) return seq <= this.#after(client, stream, welcomedAt);
      return [...positions].some((last) => this.#after(client, stream, last) === seq);
    });
    if (possible.length === 0) {
      const last = positions === null ? `the welcome at ${welcomedAt}` : [...positions].join("/");
      const isPast = positions !== null && Math.max(...numbers) <= Math.max(...positions);
      const rule = isPast ? "DL1" : "DL3";
      const how = isPast ? "came again or too late" : "came, with others missing before it";
      throw new Violation(rule, `client ${number}: message ${numbers.join("/")} ${how}: ${last}`);
    }
    stream.positions = new Set(possible);
  }

  #checkDelivered(first: number, texts: readonly string[]): void {
    for (const [client, stream] of this.#streams) {
      if (!client.isOpenAtShard || stream.welcomedAt >= first) continue;
      if (this.#isFenced(client.shard)) continue;
      for (const [index, text] of texts.entries()) {
        if (this.#skips(client, stream, first + index) || client.sent.includes(text)) continue;
        throw new Violation("DL5", `"${text}" was not delivered to client ${client.number}`);
      }
    }
  }

  /** Whether the sequencer has shut the shard out: it is owed nothing. */
  #isFenced(shard: ShardId): boolean {
    return Number(this.#scene.rows.get(`fence/${slotOf(shard)}`) ?? 1) > generationOf(shard);
  }

  /** Number of the first message after `seq` that this client gets. */
  #after(client: Client, stream: Stream, seq: number): number {
    let next = seq + 1;
    while (this.#skips(client, stream, next)) next += 1;
    return next;
  }

  /** Whether the room class or the client's topics leave the message out. */
  #skips({ shard }: Client, { filters }: Stream, seq: number): boolean {
    return this.#scene.drops(shard, seq) || !filters.lets(this.log.topicAt(seq));
  }
}
