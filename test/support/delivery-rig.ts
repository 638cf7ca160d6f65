/** One delivery with everything around it, driven by a test. */
import { DeliveryLog, type LogBounds } from "../../src/core/delivery-log.ts";
import { encodeFrame, splitFrame, type UpstreamWrite } from "../../src/protocol/link.ts";
import type { ShardId } from "../../src/protocol/names.ts";
import type { Payload } from "../../src/protocol/payload.ts";
import { Delivery } from "../../src/sequencer/delivery.ts";
import { FakeClock } from "./fake-clock.ts";
import { FakeDialer, type Dial } from "./fake-dialer.ts";
import { FakeEntropy } from "./fake-entropy.ts";

export const epoch = "e1";

const manyBounds: LogBounds = {
  messages: 1_000,
  seconds: 1_000,
  units: 10_000_000,
  backlogUnits: 10_000_000,
};

export class DeliveryRig {
  readonly clock = new FakeClock();
  readonly dialer = new FakeDialer();
  readonly startedAt = this.clock.now();
  readonly log: DeliveryLog;
  readonly delivery: Delivery;
  readonly acknowledged: string[] = [];
  readonly counted: string[] = [];
  readonly suspected: string[] = [];
  /** What the shard sent up; each write is answered with 1,000 more than its id. */
  readonly published: UpstreamWrite[] = [];
  readonly loads: string[] = [];
  goneBecauseEmpty = 0;
  durableWakes = 0;
  /** When it asked for the last of them; `undefined` for soon. */
  durableAt: number | undefined;
  wakeAt = Infinity;
  /** Runs when the owner learns of an acknowledgement. */
  onAcknowledged = (): void => {};

  constructor(bounds: Partial<LogBounds> = {}) {
    this.log = new DeliveryLog({ ...manyBounds, ...bounds });
    this.delivery = new Delivery("lobby-1" as ShardId, "s1", 0, {
      clock: this.clock,
      entropy: new FakeEntropy(),
      dialer: this.dialer,
      log: this.log,
      epoch: () => epoch,
      onAcknowledged: (before, acked) => {
        this.acknowledged.push(`${before}-${acked}`);
        this.onAcknowledged();
      },
      onPublish: (writes) => {
        this.published.push(...writes);
        const results = writes.map(({ id }) => ({ id, seq: 1_000 + id }));
        return Promise.resolve(new Map([[epoch, results]]));
      },
      count: (what) => this.counted.push(what),
      onOver: () => (this.goneBecauseEmpty += 1),
      onLoad: (shard, { connections }) => this.loads.push(`${shard} ${connections}`),
      onSuspect: (shard) => this.suspected.push(`${shard} ${this.clock.now() - this.startedAt}`),
      wakeAt: (at) => (this.wakeAt = Math.min(this.wakeAt, at)),
      wakeDurably: (at) => {
        this.durableWakes += 1;
        this.durableAt = at;
      },
    });
  }

  /** A batch is appended to the log and offered. */
  publish(...messages: readonly Payload[]): boolean {
    const { head } = this.log;
    const batch = { after: head, through: head + messages.length, at: this.clock.now() };
    const frame = encodeFrame({ type: "batch", epoch, ...batch, entries: [...messages] });
    this.log.append({ ...batch, frame });
    return this.delivery.offer(splitFrame(frame), frame.length, head, []);
  }

  publishVolatile(message: Payload, topic: string | null = null): boolean {
    const { head } = this.log;
    const batch = { after: head, through: head, at: this.clock.now(), volatile: [0] };
    const frame = encodeFrame({ type: "batch", epoch, ...batch, entries: [message] });
    return this.delivery.offer([frame], frame.length, head, [{ message, topic }]);
  }

  /** Time passes up to the delivery's next deadline; returns how much. */
  passToDeadline(): number {
    const at = this.delivery.nextDeadline();
    if (at === null) throw new Error("the delivery waits for nothing");
    const ms = at - this.clock.now();
    this.pass(ms);
    return ms;
  }

  pass(ms: number): void {
    this.clock.advance(ms);
    this.delivery.wake(this.clock.now());
  }

  /** A link that is open, with a shard that has every message so far. */
  async open(): Promise<Dial> {
    if (this.dialer.dials.length === 0) this.publish("first");
    const dial = this.dialer.last;
    await dial.greet(epoch, this.log.head);
    return dial;
  }
}
