/** One room's sequencer on fake ports, driven by a test. */
import { defineRooms, type RoomType, type RoomTypeOptions } from "../../src/core/rooms.ts";
import type {
  Published,
  RequestTo,
  SequencerStatus,
  Subscribed,
} from "../../src/protocol/calls.ts";
import type { Position } from "../../src/protocol/link.ts";
import type { RoomId, ShardId } from "../../src/protocol/names.ts";
import type { Payload } from "../../src/protocol/payload.ts";
import type { Result } from "../../src/protocol/result.ts";
import { Sequencer } from "../../src/sequencer/sequencer.ts";
import type { Dial } from "./fake-dialer.ts";
import { fakePorts } from "./fake-ports.ts";
import { turns } from "./turns.ts";

export type Publish = {
  readonly key?: string;
  readonly isVolatile?: boolean;
  readonly waitDelivered?: boolean;
};

export function roomType(options: RoomTypeOptions = {}): RoomType {
  const type = defineRooms({ default: options }).typeOf("lobby" as RoomId);
  if (type === undefined) throw new Error("no type");
  return type;
}

export class SequencerRig {
  ports = fakePorts();
  #sequencer: Sequencer;
  readonly #type: RoomType;

  private constructor(type: RoomType, ports: ReturnType<typeof fakePorts>, sequencer: Sequencer) {
    this.#type = type;
    this.ports = ports;
    this.#sequencer = sequencer;
  }

  static async start(options: RoomTypeOptions = {}): Promise<SequencerRig> {
    const type = roomType(options);
    const ports = fakePorts();
    return new SequencerRig(type, ports, await Sequencer.start(type, ports));
  }

  /** The object's next life: its rows are there, and nothing else. */
  async restart(): Promise<void> {
    await turns();
    await this.restartNow();
  }

  /** The same, in the midst of whatever the object is doing. */
  async restartNow(): Promise<void> {
    const { clock, entropy, calls } = this.ports;
    const storage = this.ports.storage.restart();
    this.ports = { ...fakePorts(), clock, entropy, calls, storage };
    this.#sequencer = await Sequencer.start(this.#type, this.ports);
    await turns();
  }

  /** The value of an answer that must be a success. */
  async ask<Value>(request: RequestTo<"sequencer">): Promise<Value> {
    const reply = (await this.#sequencer.handle(request)) as Result<Value>;
    if (!reply.ok) throw new Error(`${reply.code}: ${reply.detail}`);
    return reply.value;
  }

  tryPublish(messages: readonly Payload[], options: Publish = {}) {
    const { key, isVolatile = false, waitDelivered = false } = options;
    const keyed = key === undefined ? {} : { key };
    const request = { type: "publish", volatile: isVolatile, waitDelivered, ...keyed } as const;
    return this.#sequencer.handle({ ...request, messages: [...messages] });
  }

  async publish(messages: string | readonly Payload[], options?: Publish): Promise<Published> {
    const list = typeof messages === "string" ? [messages] : messages;
    const reply = (await this.tryPublish(list, options)) as Result<Published>;
    if (!reply.ok) throw new Error(`${reply.code}: ${reply.detail}`);
    return reply.value;
  }

  subscribe(shard: number, position: Position | null = null): Promise<Subscribed> {
    return this.ask({ type: "subscribe", shard: `lobby-${shard}` as ShardId, position });
  }

  async unsubscribe(shard: number, subscription: string): Promise<void> {
    await this.ask({ type: "unsubscribe", shard: `lobby-${shard}` as ShardId, subscription });
  }

  status(): Promise<SequencerStatus> {
    return this.ask({ type: "status" });
  }

  /** Time passes up to the wake-up that the sequencer asked for. */
  async passToWake(): Promise<void> {
    const { at } = this.ports.wakeups;
    if (at === null) throw new Error("no wake-up was asked for");
    await this.pass(Math.max(0, at - this.ports.clock.now()));
  }

  async pass(ms: number): Promise<void> {
    this.ports.clock.advance(ms);
    this.#sequencer.wake();
    await turns();
  }

  /** The newest dial of a shard. */
  dialOf(shard: number): Dial {
    const dial = this.ports.dialer.dials.findLast((each) => each.shard === `lobby-${shard}`);
    if (dial === undefined) throw new Error(`shard ${shard} was not dialled`);
    return dial;
  }

  dialsOf(shard: number): number {
    return this.ports.dialer.dials.filter((each) => each.shard === `lobby-${shard}`).length;
  }
}
