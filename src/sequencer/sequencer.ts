/**
 * The sequencer of one room: gives every write its place in the room's one order, makes it durable,
 * and owes it to every subscribed shard. Owns the epoch, the delivery log, the writes that wait and the
 * subscribers. Knows nothing of clients' sockets or of placement.
 */
import { Counters } from "../core/counters.ts";
import { DeliveryLog } from "../core/delivery-log.ts";
import { IdempotencyWindow } from "../core/idempotency.ts";
import type { Dialer, ObjectPorts } from "../core/ports.ts";
import type { RoomType } from "../core/rooms.ts";
import {
  fencedFailure,
  type AnyReply,
  type DeliveryCount,
  type Published,
  type PublishRequest,
  type RequestTo,
  type SequencerStatus,
} from "../protocol/calls.ts";
import { splitFrame } from "../protocol/link.ts";
import { failure, success, type Result } from "../protocol/result.ts";
import { BatchBuilder } from "./batch-builder.ts";
import { historyUnits, readLog } from "./log-reader.ts";
import { newEpoch } from "./epoch.ts";
import { DeliveryWaiters } from "./delivery-waiters.ts";
import { Journal } from "./journal.ts";
import type { JournaledBatch } from "./journal-rows.ts";
import { SharedQuestion } from "./shared-question.ts";
import { SnapshotNeed } from "./snapshot-need.ts";
import { Subscribers } from "./subscribers.ts";
import { publishUpstream } from "./upstream-results.ts";
import { Writes, type Write } from "./writes.ts";

/** UTF-16 units of frames that a room keeps for shards that are behind, and for a snapshot. */
const backlogUnits = 16 * 1024 * 1024;
/** After a crash the room is woken this long after something was owed, to deliver it. */
const recoveryMs = 10_000;

export type SequencerPorts = ObjectPorts & {
  readonly dialer: Dialer;
  /** The registry object that keeps this room. */
  readonly registry: string;
};

type Reply = Result<AnyReply<"sequencer">>;

/** What a room that was disposed is asked without beginning anew. */
const callsAfterEnd: ReadonlySet<string> = new Set(["unsubscribe", "wake", "fence", "snapshotted"]);

export class Sequencer {
  readonly #ports: SequencerPorts;
  readonly #journal: Journal;
  readonly #log: DeliveryLog<JournaledBatch>;
  readonly #snapshotNeed: SnapshotNeed;
  readonly #writes: Writes;
  readonly #counters = new Counters();
  readonly #subscribers: Subscribers;
  readonly #waiters: DeliveryWaiters;
  readonly #status = new SharedQuestion(() => this.#askStatus());
  #epoch = "";
  #isEpochStored = false;
  /** Nothing was asked of the room since it was disposed. */
  #isDisposed = false;
  #wakeAt: number | null = null;
  #durableWakeAt = 0;

  private constructor(type: RoomType, ports: SequencerPorts, journal: Journal, writes: Writes) {
    this.#ports = ports;
    this.#writes = writes;
    this.#journal = journal;
    const bounds = { ...type.history, units: historyUnits, backlogUnits };
    this.#log = new DeliveryLog(bounds);
    this.#snapshotNeed = new SnapshotNeed((row) => journal.writeSnapshotted(row));
    this.#waiters = new DeliveryWaiters({
      count: (seq) => this.#subscribers.count(seq),
      lowest: () => this.#subscribers.lowest,
    });
    this.#subscribers = new Subscribers({
      ...ports,
      journal,
      log: this.#log,
      epoch: () => this.#epoch,
      onAcknowledged: (before, acked) => this.#handleAcknowledged(before, acked),
      onPublish: (all) => {
        return publishUpstream(
          all,
          (write) => this.#publish(write),
          () => this.#epoch,
        );
      },
      count: (what) => this.#counters.increment(what),
      onGone: () => {
        this.#waiters.check();
        if (this.#isDisposed && this.#subscribers.isEmpty) this.#forget();
      },
      wakeAt: (at) => this.#wakeNoLaterThan(at),
      wakeDurably: (at?: number) => this.#wakeDurably(at),
    });
  }

  /** Reads what a former life of the object left, and goes on delivering what it owed. */
  static async start(type: RoomType, ports: SequencerPorts): Promise<Sequencer> {
    const keys = new IdempotencyWindow();
    const journal = new Journal(ports.storage, (use, now) => keys.remembers(use, now));
    const sequencer = new Sequencer(type, ports, journal, new Writes(keys));
    await sequencer.#restore();
    return sequencer;
  }

  async handle(request: RequestTo<"sequencer">): Promise<Reply> {
    if (request.type === "dispose") return success(this.#dispose());
    const isAsking = request.type !== "fence" && "shard" in request;
    if (isAsking && this.#subscribers.isFenced(request.shard)) return fencedFailure();
    if (!callsAfterEnd.has(request.type)) this.#isDisposed = false;
    if (!this.#isDisposed) this.#storeEpoch();
    switch (request.type) {
      case "publish":
        return this.#publish(request);
      case "subscribe":
        return this.#subscribers.subscribe(request.shard, request.position);
      case "unsubscribe":
        this.#subscribers.unsubscribe(request.shard, request.subscription);
        return success(null);
      case "status":
        return success(await this.#status.ask());
      case "read":
        return success(readLog(this.#log, this.#epoch, request, this.#ports.clock.now()));
      case "snapshotted":
        if (request.position.epoch === this.#epoch) {
          this.#snapshotNeed.tell(request, this.#ports.clock.now());
        }
        return success(null);
      case "fence":
        return this.#subscribers.fence(request.shard);
      case "wake":
        return success(null);
    }
  }

  /** Time has passed. */
  wake(): void {
    const now = this.#ports.clock.now();
    this.#wakeAt = null;
    this.#subscribers.wake(now);
    this.#waiters.expire(now);
    this.#commitNext();
    this.#subscribers.settle();
    void this.#counters.handOver(this.#ports.calls, this.#ports.registry, now);
    this.#armWake();
  }

  async #restore(): Promise<void> {
    const contents = await this.#journal.load();
    const { epoch, isLogLost } = contents;
    this.#isEpochStored = epoch !== null && !isLogLost;
    this.#epoch =
      this.#isEpochStored && epoch !== null ? epoch : newEpoch(this.#ports, epoch ?? "");
    this.#log.restore(contents.batches, contents.head);
    this.#snapshotNeed.restore(contents.snapshotted);
    this.#writes.remember(contents.keys);
    this.#subscribers.restore(contents);
    if (!isLogLost) return;
    this.#counters.increment("room_logs_lost");
    this.#beginAnew();
  }

  /**
   * The room ends, and nothing of it is kept. Shards that still have clients stay subscribed and are
   * told that another life has begun, in which they go on. All rows change in one turn, so that a crash
   * leaves the one room or the other.
   */
  #dispose(): null {
    this.#writes.clear();
    this.#waiters.finish();
    this.#forget();
    this.#isDisposed = true;
    this.#beginAnew();
    return null;
  }

  /** Whoever still has clients is told of the new life, which it goes on in. */
  #beginAnew(): void {
    if (!this.#subscribers.isEmpty) this.#storeEpoch();
    this.#subscribers.restart();
  }

  #forget(): void {
    this.#journal.clear(this.#log.since(this.#log.start) ?? []);
    this.#log.restore([], 0);
    this.#snapshotNeed.restore(null);
    this.#epoch = newEpoch(this.#ports, this.#epoch);
    this.#isEpochStored = false;
  }

  #storeEpoch(): void {
    if (this.#isEpochStored) return;
    this.#isEpochStored = true;
    this.#journal.writeEpoch(this.#epoch);
  }

  async #publish(request: PublishRequest): Promise<Result<Published>> {
    const epoch = this.#epoch;
    const placing = this.#writes.place(request, this.#ports.clock.now());
    this.#commitNext();
    const placed = await placing;
    if (!placed.ok) return placed;
    const place = placed.value;
    if (place === null) return failure("unavailable", "the room was disposed");
    // Nobody acknowledges any more what was written to a room that was disposed since.
    const shards =
      request.waitDelivered && this.#epoch === epoch
        ? await this.#waitDelivered(place.seq)
        : this.#subscribers.count(place.seq);
    return success<Published>({ epoch, ...place, shards });
  }

  #commitNext(): void {
    const now = this.#ports.clock.now();
    const { queue } = this.#writes;
    if (queue.canStart(now)) this.#commit(queue.take(), now);
    const deadline = queue.nextDeadline();
    if (deadline !== null) this.#wakeNoLaterThan(deadline);
  }

  /**
   * Gives the writes their numbers, appends them to the log and sends them. Nothing that is sent or
   * answered here leaves the object before the log row is durable: the output gate holds it.
   */
  #commit(writes: readonly Write[], now: number): void {
    const batch = new BatchBuilder(this.#epoch, this.#log.head, now);
    const answers = writes.map((write) => [write, batch.add(write)] as const);
    const isLogged = batch.through > batch.after;
    const frames = batch.encode();
    if (isLogged) this.#append(batch, frames.logged, now);
    const parts = splitFrame(frames.sent);
    const { after, volatile } = batch;
    let sent = 0;
    for (const delivery of this.#subscribers) {
      if (delivery.offer(parts, frames.sent.length, after, volatile)) sent += 1;
    }
    for (const [write, place] of answers) this.#writes.commit(write, place);
    const { queue } = this.#writes;
    if (isLogged) queue.sent(batch.through, now, sent);
    else queue.sentVolatile(now);
    void this.#ports.storage.sync().then(() => {
      queue.stored();
      this.#commitNext();
    });
  }

  #append(batch: BatchBuilder, frame: string, now: number): void {
    const { after, through, keys } = batch;
    this.#writes.remember(keys);
    this.#log.append(this.#journal.append({ after, through, at: now, frame }, keys));
    const settled = this.#subscribers.settledThrough(now);
    const needed = this.#snapshotNeed.through(now, this.#log.head);
    this.#journal.release(this.#log.trim(now, Math.min(settled, needed)), now);
    if (this.#snapshotNeed.lost(now, this.#log.head, this.#log.start))
      this.#counters.increment("snapshot_log_lost");
  }

  #handleAcknowledged(before: number, acked: number): void {
    this.#writes.queue.acknowledged(before, acked);
    this.#waiters.check();
    this.#commitNext();
  }

  #waitDelivered(seq: number): Promise<DeliveryCount> {
    const waiting = this.#waiters.wait(seq, this.#ports.clock.now());
    this.#wakeNoLaterThan(waiting.until);
    return waiting.count;
  }

  async #askStatus(): Promise<SequencerStatus> {
    const { calls } = this.#ports;
    const subscribers = await this.#subscribers.status(async (id) => {
      const load = await calls.call({ role: "shard", id }, { type: "load" });
      return load.ok ? load.value : null;
    });
    const history = this.#log.history(this.#ports.clock.now());
    const snapshot = this.#snapshotNeed.newest(this.#ports.clock.now());
    return { epoch: this.#epoch, seq: this.#log.head, history, snapshot, subscribers };
  }

  #wakeNoLaterThan(at: number): void {
    if (this.#wakeAt !== null && this.#wakeAt <= at) return;
    this.#wakeAt = at;
    this.#ports.wakeups.soon(at);
  }

  #armWake(): void {
    for (const at of [this.#subscribers.nextDeadline(), this.#waiters.nextDeadline()]) {
      if (at !== null) this.#wakeNoLaterThan(at);
    }
  }

  #wakeDurably(at = this.#ports.clock.now() + recoveryMs): void {
    if (this.#durableWakeAt > this.#ports.clock.now() && this.#durableWakeAt <= at) return;
    this.#durableWakeAt = at;
    this.#ports.wakeups.durable(this.#durableWakeAt);
  }
}
