/** Links that the test answers: it accepts or refuses each dial, and speaks as the shard. */
import type { Dialer, LinkEvents, Socket } from "../../src/core/ports.ts";
import type { ShardId } from "../../src/protocol/names.ts";
import { encodeFrame, FrameAssembler, type FrameToSequencer } from "../../src/protocol/link.ts";
import type { Result } from "../../src/protocol/result.ts";
import { lost } from "./fake-calls.ts";
import { FakeSocket } from "./fake-socket.ts";
import { turns } from "./turns.ts";

export class Dial {
  readonly shard: ShardId;
  readonly socket = new FakeSocket();
  readonly #events: LinkEvents;
  readonly #resolve: (result: Result<Socket>) => void;

  constructor(shard: ShardId, events: LinkEvents, resolve: (result: Result<Socket>) => void) {
    this.shard = shard;
    this.#events = events;
    this.#resolve = resolve;
  }

  async accept(): Promise<void> {
    this.#resolve({ ok: true, value: this.socket });
    await turns();
  }

  refuse(): Promise<void> {
    return this.fail(lost);
  }

  async fail(why: Result<never>): Promise<void> {
    this.#resolve(why);
    await turns();
  }

  /** The shard speaks first and says what it has. */
  async greet(epoch: string | null, seq = 0): Promise<void> {
    await this.accept();
    this.say({ type: "hello", position: epoch === null ? null : { epoch, seq } });
  }

  say(frame: FrameToSequencer): void {
    this.sayText(encodeFrame(frame));
  }

  sayText(text: string): void {
    this.#events.message(text);
  }

  ack(epoch: string, seq: number): void {
    this.say({ type: "ack", epoch, seq });
  }

  close(code: number): void {
    this.#events.close(code);
  }

  /** Frames that were sent whole, parts put together. */
  get frames(): Record<string, unknown>[] {
    const assembler = new FrameAssembler();
    const frames: Record<string, unknown>[] = [];
    for (const data of this.socket.sent) {
      const whole = assembler.push(String(data));
      if (whole.ok && whole.value !== null) {
        frames.push(JSON.parse(whole.value) as Record<string, unknown>);
      }
    }
    return frames;
  }

  /** Each batch as `after-through`. */
  get batches(): string[] {
    return this.frames
      .filter((frame) => frame["type"] === "batch")
      .map((frame) => `${String(frame["after"])}-${String(frame["through"])}`);
  }
}

export class FakeDialer implements Dialer {
  readonly dials: Dial[] = [];

  dial(shard: ShardId, events: LinkEvents): Promise<Result<Socket>> {
    const { promise, resolve } = Promise.withResolvers<Result<Socket>>();
    this.dials.push(new Dial(shard, events, resolve));
    return promise;
  }

  /** The newest dial; there must be one. */
  get last(): Dial {
    const dial = this.dials.at(-1);
    if (dial === undefined) throw new Error("nothing was dialled");
    return dial;
  }
}
