/**
 * The judge of what shards send to clients of protocol 1, as it leaves them: every frame against the
 * durable log, the topics in force and the window. Takes no role's word for anything but when a
 * shard has delivered a message, which tells the topics that held for it.
 */
import { TopicFilters } from "../../src/core/topics.ts";
import { parseClientFrame, parseServerFrame, type ServerFrame } from "../../src/protocol/client.ts";
import type { ShardId } from "../../src/protocol/names.ts";
import { decodePayload, type MessageData } from "../../src/protocol/payload.ts";
import type { Client } from "./client.ts";
import { textOf, type DurableLog } from "./durable-log.ts";
import { Violation } from "./environment.ts";
import { Wire } from "./wire.ts";

type FrameOf<Type extends ServerFrame["type"]> = Extract<ServerFrame, { type: Type }>;

/** What the judge looks at. */
export type WireScene = {
  /** What a client may be sent without acknowledging, when a shard's clients are few. */
  readonly windowUnits: number;
  readonly log: DurableLog;
  readonly drops: (shard: ShardId, seq: number) => boolean;
  /** Nothing that the shard has sent is held back. */
  readonly isQuiet: (shard: ShardId) => boolean;
  readonly checkVolatile: (
    client: Client,
    filters: TopicFilters,
    text: string,
    count: number,
  ) => void;
};

export class WireJudge {
  readonly #scene: WireScene;
  /** Sockets whose client was welcomed. */
  readonly #wires = new Map<Client, Wire>();
  readonly #delivered = new Map<ShardId, number>();
  #epoch: string | null = null;

  constructor(scene: WireScene) {
    this.#scene = scene;
  }

  wireOf(client: Client): Wire | undefined {
    return this.#wires.get(client);
  }

  delivered(shard: ShardId, seq: number): void {
    this.#delivered.set(shard, seq);
  }

  slept(clients: Iterable<Client>): void {
    for (const client of clients) this.#wires.get(client)?.forget();
  }

  /** The shard takes a frame; what it sends from here on may follow from it. */
  takes(client: Client, data: MessageData, delivered: number): void {
    const wire = this.#wires.get(client);
    // Its socket has closed meanwhile.
    if (wire === undefined) return;
    if (data === "ping") {
      wire.pings += 1;
      return;
    }
    const frame = typeof data === "string" ? parseClientFrame(data) : null;
    if (frame?.ok !== true) wire.hasMisbehaved = true;
    else if (frame.value.type === "ack") wire.acknowledge(frame.value.seq);
    else if (frame.value.type === "subscribe") {
      wire.subscribe(new TopicFilters(frame.value.topics), delivered);
    }
  }

  /** The shard has sent this. */
  sent(client: Client, data: MessageData): void {
    const wire = this.#wires.get(client);
    if (data === "pong" && wire !== undefined) {
      wire.pings -= 1;
      if (wire.pings < 0) throw new Violation("PR10", `${name(client)} was answered unasked`);
      return;
    }
    const frame = typeof data === "string" ? parseServerFrame(data) : null;
    if (frame?.ok !== true) throw new Violation("PR5", `${name(client)} got ${textOf(data)}`);
    if (wire === undefined) this.#welcome(client, frame.value);
    else this.#take(wire, frame.value, textOf(data).length);
  }

  /** After every step. */
  check(): void {
    for (const [client, wire] of this.#wires) {
      if (!client.isOpenAtShard) {
        this.#wires.delete(client);
        continue;
      }
      const top = this.#delivered.get(client.shard) ?? 0;
      if (!wire.hasMisbehaved && (wire.clear >= top || !wire.hasRoom)) continue;
      if (!this.#scene.isQuiet(client.shard)) continue;
      if (wire.hasMisbehaved) throw new Violation("PR11", `${name(client)} may stay`);
      this.#checkOwed(wire, top, "PR7");
    }
  }

  /** Everything that could happen has happened. */
  checkRest(): void {
    for (const [client, wire] of this.#wires) {
      if (wire.pings > 0) throw new Violation("PR10", `${name(client)} was not answered`);
      this.#checkOwed(wire, this.#scene.log.head, "PR2");
    }
  }

  /** Every message up to `top` was sent, or is not for this client. */
  #checkOwed(wire: Wire, top: number, rule: string): void {
    while (wire.clear < top) {
      if (!this.#isExcused(wire, wire.clear + 1)) {
        const lacks = `${name(wire.client)} lacks message ${wire.clear + 1} of ${top}`;
        throw new Violation(rule, lacks);
      }
      wire.clear += 1;
    }
  }

  #isExcused(wire: Wire, seq: number): boolean {
    if (this.#scene.drops(wire.client.shard, seq)) return true;
    return !wire.wants(this.#scene.log.topicAt(seq), seq);
  }

  #welcome(client: Client, frame: ServerFrame): void {
    if (frame.type !== "welcome") {
      throw new Violation("PR1", `${name(client)} got ${frame.type} before its welcome`);
    }
    const { connection, request } = client.visitor;
    const { epoch, seq, recovered } = frame;
    if (frame.connection !== connection || frame.shard !== client.shard) {
      throw new Violation("PR1", `${name(client)} was welcomed as another`);
    }
    this.#checkEpoch(epoch);
    if (seq > this.#scene.log.head) throw new Violation("PR3", `the room is not at ${seq}`);
    if (recovered && (request.resume?.epoch !== epoch || request.resume.seq !== seq)) {
      throw new Violation("PR2", `${name(client)} was not at ${seq}`);
    }
    this.#wires.set(client, new Wire(client, seq, this.#scene.windowUnits));
  }

  #take(wire: Wire, frame: ServerFrame, units: number): void {
    switch (frame.type) {
      case "messages":
        return this.#takeMessages(wire, frame, units);
      case "volatile":
        wire.told(units);
        for (const payload of frame.data) {
          const text = textOf(decodePayload(payload));
          this.#scene.checkVolatile(wire.client, wire.filters, text, wire.countVolatile(text));
        }
        return;
      case "reset":
        this.#checkEpoch(frame.epoch);
        if (frame.seq < wire.covered) {
          throw new Violation("PR13", `${name(wire.client)} is put back to ${frame.seq}`);
        }
        return wire.restart(frame.seq);
      case "published":
        wire.told(units);
        // Whoever published knows the text, and checks it.
        if (frame.seq <= this.#scene.log.head) return;
        throw new Violation(
          "DL2",
          `${frame.id} was answered as ${frame.seq}, which is not durable`,
        );
      case "rejected":
        return wire.told(units);
      case "welcome":
      case "local":
      case "redirect":
        throw new Violation("PR1", `${name(wire.client)} got ${frame.type}`);
    }
  }

  #takeMessages(wire: Wire, frame: FrameOf<"messages">, units: number): void {
    const { after, through, data } = frame;
    const { client } = wire;
    const { log } = this.#scene;
    const fault = (rule: string, what: string): Violation =>
      new Violation(rule, `${name(client)} at ${wire.covered}: ${after} to ${through} ${what}`);
    if (after > wire.covered) throw fault("PR5", "leaves a gap");
    if (through < after || through > log.head) throw fault("PR5", `of ${log.head}`);
    if (data.length > 0 && wire.isPastWindow) throw fault("PR7", "came past the window");
    let last = after;
    const present = new Set<number>();
    for (const [index, payload] of data.entries()) {
      const seq = frame.seq?.[index] ?? after + 1 + index;
      const text = textOf(decodePayload(payload));
      if (seq <= last || seq > through) throw fault("PR5", `puts ${seq} after ${last}`);
      last = seq;
      if (log.at(seq) !== text) throw fault("PR5", `gives "${text.slice(0, 40)}" for ${seq}`);
      if (seq <= wire.covered) throw fault("PR2", `brings ${seq} again`);
      if (this.#scene.drops(client.shard, seq)) throw fault("RC2", `brings ${seq}, as dropped`);
      if (!wire.filters.lets(log.topicAt(seq))) throw fault("PR6", `brings ${seq}, not wanted`);
      present.add(seq);
    }
    for (let seq = wire.covered + 1; seq <= through; seq += 1) {
      if (!present.has(seq) && !this.#isExcused(wire, seq)) throw fault("PR2", `leaves out ${seq}`);
    }
    wire.sent(through, units, data.length);
  }

  #checkEpoch(epoch: string): void {
    this.#epoch ??= epoch;
    const { log } = this.#scene;
    if (epoch === this.#epoch && (log.epoch === null || log.epoch === epoch)) return;
    throw new Violation("PR1", `the room has a second epoch ${epoch}`);
  }
}

function name({ number, shard, visitor }: Client): string {
  return `socket ${number} of ${visitor.connection} on ${shard}`;
}
