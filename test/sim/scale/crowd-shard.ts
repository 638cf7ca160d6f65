/**
 * A shard of a crowd: its clients are numbers, and what it takes from its link it takes for all of them
 * at once. Its subscription, its reports and the link's frames are the product's own; admission,
 * resuming and fencing are modelled, since a thousand times a thousand sockets are too many.
 */
import type { Caller, Clock, Entropy, Socket } from "../../../src/core/ports.ts";
import { Counters } from "../../../src/core/counters.ts";
import type { RoomType } from "../../../src/core/rooms.ts";
import type { LoadReply, RequestTo } from "../../../src/protocol/calls.ts";
import { fencedFailure } from "../../../src/protocol/calls.ts";
import { closeCodes } from "../../../src/protocol/close-codes.ts";
import { encodeFrame, type FrameToShard, type Position } from "../../../src/protocol/link.ts";
import { roomOfShard, type ShardId } from "../../../src/protocol/names.ts";
import { failure, success, type Result } from "../../../src/protocol/result.ts";
import { LoadReporter } from "../../../src/shard/load-reporter.ts";
import { StateFailures } from "../../../src/shard/state-failures.ts";
import { Subscription } from "../../../src/shard/subscription.ts";
import { Tail } from "./tail.ts";
import type { Tally } from "./crowd.ts";

export type CrowdShardOwner = {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly calls: Caller;
  readonly registry: string;
  readonly parse: (frame: string) => FrameToShard;
  readonly wakeAt: (at: number) => void;
  /** The shard is over: its clients are closed with 4000. */
  readonly onFenced: () => void;
};

export class CrowdShard {
  readonly id: ShardId;
  readonly clients: number[] = [];
  /** It answers nothing any more. */
  isDead = false;
  isFenced = false;
  readonly #capacity: number;
  readonly #owner: CrowdShardOwner;
  readonly #reporter: LoadReporter;
  readonly #subscription: Subscription;
  readonly #tail = new Tail();
  #link: Socket | null = null;
  #entering = 0;
  #position: Position | null = null;
  #reading: Promise<void> | null = null;

  constructor(id: ShardId, type: RoomType, owner: CrowdShardOwner) {
    this.id = id;
    this.#capacity = type.capacity;
    this.#owner = owner;
    this.#subscription = new Subscription(
      id,
      owner.calls,
      ({ epoch, seq }) => this.#begin({ epoch, seq }),
      () => this.fence(),
    );
    this.#reporter = new LoadReporter({
      ...owner,
      shard: id,
      leaseIntervalMs: type.heartbeatIntervalMs,
      load: () => this.load,
      onFenced: () => this.fence(),
      counters: new Counters(),
      failures: new StateFailures({ count: () => {}, onFailed: () => {} }),
      sayOnLink: (load) => {
        this.#link?.send(encodeFrame(load));
        return this.#link !== null;
      },
    });
  }

  get position(): Position | null {
    return this.#position;
  }

  /** What every client has been handed that was here from the first. */
  get tally(): Tally {
    return this.#tail.tally;
  }

  get load(): LoadReply {
    const connections = this.clients.length;
    return { connections, players: null, reserved: 0, at: this.#owner.clock.now() };
  }

  handle(request: RequestTo<"shard">): Result<LoadReply | null> {
    if (request.type === "load") {
      return success(this.isFenced ? { ...this.load, status: "fenced" } : this.load);
    }
    if (request.type !== "fenced") return failure("unavailable", "not modelled");
    this.fence();
    return success(null);
  }

  /** A place, once the shard is subscribed and has what the client lacks. */
  async admit(resume: Position | null): Promise<Result<null>> {
    if (this.isFenced) return fencedFailure();
    if (this.clients.length + this.#entering >= this.#capacity) return failure("full", "full");
    this.#entering += 1;
    const subscribed = await this.#subscription.ensure();
    if (subscribed.ok && resume !== null) await this.#reach(resume);
    if (subscribed.ok && !this.isFenced) return success(null);
    this.#entering -= 1;
    return this.isFenced ? fencedFailure() : failure("unavailable", "no subscription");
  }

  /** The client is in; what it missed since it was elsewhere. */
  welcome(client: number, resume: Position | null): Tally {
    this.release();
    this.clients.push(client);
    this.#reporter.changed();
    const through = this.#position?.seq ?? 0;
    return this.#tail.between(resume?.seq ?? through, through);
  }

  /** Who was admitted does not come. */
  release(): void {
    this.#entering -= 1;
  }

  /** The last messages, so many as there are up to `count` after `since`. */
  newest(count: number): Tally {
    const through = this.#position?.seq ?? 0;
    return this.#tail.between(Math.max(this.#tail.from, through - count), through);
  }

  openLink(link: Socket): void {
    if (this.clients.length + this.#entering === 0 && this.#subscription.isNone) {
      return link.close(closeCodes.noClients, "no clients");
    }
    const { beginning } = this.#subscription;
    if (beginning !== null) void beginning.then(() => this.#greet(link));
    else this.#greet(link);
  }

  receive(link: Socket, text: string): void {
    if (link !== this.#link || this.isFenced) return;
    this.#reporter.used();
    const frame = this.#owner.parse(text);
    if (frame.type === "bye") this.#endLink(false);
    if (frame.type === "reset") throw new Error(`${this.id} lost continuity`);
    if (frame.type !== "batch" || this.#position === null) return;
    if (frame.after > this.#position.seq) throw new Error(`${this.id} was sent a gap`);
    this.#tail.push(frame, this.#position.seq);
    const seq = Math.max(frame.through, this.#position.seq);
    this.#position = { epoch: frame.epoch, seq };
    link.send(encodeFrame({ type: "ack", epoch: frame.epoch, seq }));
  }

  closed(link: Socket): void {
    if (link === this.#link) this.#endLink(true);
  }

  wake(): void {
    if (this.isDead || this.isFenced) return;
    const now = this.#owner.clock.now();
    this.#reporter.wake(now);
    const next = this.#reporter.nextDeadline();
    if (next !== null) this.#owner.wakeAt(next);
  }

  fence(): void {
    if (this.isFenced) return;
    this.isFenced = true;
    this.#reporter.end();
    this.#owner.onFenced();
  }

  #endLink(isBroken: boolean): void {
    this.#link = null;
    this.#reporter.linkEnded(isBroken);
  }

  #greet(link: Socket): void {
    this.#link = link;
    link.send(encodeFrame({ type: "hello", position: this.#position }));
  }

  #begin(position: Position): void {
    if (this.clients.length > 0) return;
    this.#position = position;
    this.#tail.begin(position.seq);
  }

  /** Reads of the log what the shard does not know, once for all who wait. */
  async #reach({ seq }: Position): Promise<void> {
    while (this.#tail.from > seq) {
      this.#reading ??= this.#read(seq).finally(() => {
        this.#reading = null;
      });
      await this.#reading;
    }
    // Who was elsewhere may be ahead of this shard by what is on its way.
    while ((this.#position?.seq ?? 0) < seq) await this.#tail.moved();
  }

  async #read(seq: number): Promise<void> {
    const epoch = this.#position?.epoch ?? "";
    const to = { role: "sequencer", id: roomOfShard(this.id) } as const;
    const position = { epoch, seq };
    const reply = await this.#owner.calls.call(to, { type: "read", position });
    if (!reply.ok) return;
    if (reply.value.after > seq) throw new Error("history is gone");
    this.#tail.prepend(reply.value.frames.map((frame) => this.#owner.parse(frame)));
  }
}
