/** One shard on fake ports, driven by a test that stands for host, sequencer and registry. */
import type { RoomTypeOptions } from "../../src/core/rooms.ts";
import { encodeFrame, type FrameToShard } from "../../src/protocol/link.ts";
import type { ShardId } from "../../src/protocol/names.ts";
import type { BroadcastHook } from "../../src/shard/fan-out.ts";
import { Shard } from "../../src/shard/shard.ts";
import type { Answer, Call } from "./fake-calls.ts";
import { fakePorts, type FakePorts } from "./fake-ports.ts";
import { FakeLink, FakeSocket } from "./fake-socket.ts";
import { roomType } from "./sequencer-rig.ts";
import { turns } from "./turns.ts";

export const epoch = "e1";

type Start = RoomTypeOptions & {
  readonly onBroadcast?: BroadcastHook;
  /** What is left of a former life. */
  readonly ports?: FakePorts;
  readonly clients?: readonly FakeSocket[];
  readonly links?: readonly FakeLink[];
};

export class ShardRig {
  readonly ports: FakePorts;
  readonly hookErrors: unknown[] = [];
  /** The head that the sequencer tells subscribers. */
  head = 0;
  #shard: Shard | undefined;
  #connections = 0;
  #subscriptions = 0;

  private constructor(ports: FakePorts) {
    this.ports = ports;
    ports.calls.answer = (call) => this.answer(call);
  }

  static async start(options: Start = {}): Promise<ShardRig> {
    const { onBroadcast, ports = fakePorts(), clients = [], links = [], ...type } = options;
    const rig = new ShardRig(ports);
    const hook = onBroadcast === undefined ? {} : { onBroadcast };
    const onHookError = (error: unknown): void => void rig.hookErrors.push(error);
    const shardPorts = { ...ports, registry: "default", onHookError, ...hook };
    const id = "lobby-1" as ShardId;
    rig.#shard = await Shard.start(id, roomType(type), shardPorts, clients, links);
    return rig;
  }

  get shard(): Shard {
    if (this.#shard === undefined) throw new Error("the shard has not started");
    return this.#shard;
  }

  /** Sequencer and registry are there; a test may answer otherwise. */
  answer({ request }: Call): Answer {
    if (request.type !== "subscribe") return { ok: true, value: null };
    this.#subscriptions += 1;
    const subscription = `s${this.#subscriptions}`;
    return { ok: true, value: { epoch, seq: this.head, subscription } };
  }

  /** A client comes in, as the host lets it. */
  async join(): Promise<FakeSocket> {
    this.#connections += 1;
    const admitted = await this.shard.admit(`c${this.#connections}`);
    if (!admitted.ok) throw new Error(admitted.code);
    const client = new FakeSocket();
    this.shard.welcome(client);
    return client;
  }

  openLink(): FakeLink {
    const link = new FakeLink();
    this.shard.handleLinkOpen(link);
    return link;
  }

  async say(link: FakeLink, frame: FrameToShard): Promise<void> {
    await this.shard.handleLinkMessage(link, encodeFrame(frame));
  }

  /** A batch of these messages, which follow on number `after`. */
  batch(link: FakeLink, after: number, ...entries: string[]): Promise<void> {
    const through = after + entries.length;
    return this.say(link, { type: "batch", epoch, after, through, at: 7, entries });
  }

  async pass(ms: number): Promise<void> {
    this.ports.clock.advance(ms);
    this.shard.wake();
    await turns();
  }

  async passToWake(): Promise<void> {
    const { at } = this.ports.wakeups;
    if (at === null) throw new Error("no wake-up was asked for");
    await this.pass(Math.max(0, at - this.ports.clock.now()));
  }
}
