/**
 * What one shard is owed, and what of it went out on the present link: batches of the log as far as its
 * window allows, a reset where the log does not reach back, and volatile messages. Knows nothing of how
 * a link comes about, or ends.
 */
import type { DeliveryLog } from "../core/delivery-log.ts";
import type { Clock, Socket } from "../core/ports.ts";
import { encodeFrame, splitFrame, type Position } from "../protocol/link.ts";
import type { VolatileMessage } from "./batch-builder.ts";
import { SendWindow } from "./send-window.ts";
import { WaitingVolatile } from "./waiting-volatile.ts";

export type BacklogOwner = {
  readonly clock: Clock;
  readonly log: DeliveryLog;
  readonly epoch: () => string;
  /** The shard takes what it is sent. Comes before `onAcknowledged`. */
  readonly onTaken: () => void;
  /** The shard has acknowledged what it had not before. */
  readonly onAcknowledged: (before: number, acked: number) => void;
};

export class Backlog {
  readonly #owner: BacklogOwner;
  readonly #window: SendWindow;
  readonly #waitingVolatile = new WaitingVolatile();
  /** The room has begun anew, and the shard is yet to say that it knows. */
  #owesReset = false;
  /** When the shard last said that it has more. What else it says is no sign that it takes messages. */
  #lastTakenAt = 0;
  /** When the link last carried something. */
  #lastUsedAt = 0;

  constructor(acked: number, owner: BacklogOwner) {
    this.#owner = owner;
    this.#window = new SendWindow(acked);
  }

  /** The shard has every message up to this one. */
  get acked(): number {
    return this.#window.acked;
  }

  /** Whether the shard lacks messages of the log. */
  get isOwed(): boolean {
    return this.acked < this.#owner.log.head;
  }

  /** Whether it has all there is, and knows in which life of the room. */
  get isSettled(): boolean {
    return !this.#owesReset && this.acked === this.#owner.log.head;
  }

  /** Whether there is something to be said to it. */
  get hasWork(): boolean {
    return this.isOwed || this.#owesReset || !this.#waitingVolatile.isEmpty;
  }

  get lastUsedAt(): number {
    return this.#lastUsedAt;
  }

  /** Since when an acknowledgement is waited for; `null` while none is to come. */
  get awaitedSince(): number | null {
    const sentAt = this.#window.waitingSince;
    return sentAt === null ? null : Math.max(this.#lastTakenAt, sentAt);
  }

  /** There is no link that is open: a batch is in the log, and these are not. */
  keep(volatile: readonly VolatileMessage[]): void {
    this.#waitingVolatile.add(volatile);
  }

  /** A batch that was just appended to the log; `frame` also holds its volatile messages. */
  offer(socket: Socket, frame: readonly string[], units: number, after: number): void {
    const isCurrent = this.#window.sent === after && !this.#window.isFull;
    if (isCurrent) this.#transmit(socket, frame, units, this.#owner.log.head);
    else this.send(socket);
  }

  /** The shard has spoken on a fresh link, and said what it has; `null` when it does not know. */
  begin(socket: Socket, position: Position | null): void {
    const { log, epoch, clock, onTaken, onAcknowledged } = this.#owner;
    this.#lastTakenAt = clock.now();
    this.#lastUsedAt = this.#lastTakenAt;
    const known = position ?? { epoch: epoch(), seq: this.acked };
    if (known.epoch !== epoch() || known.seq > log.head) {
      this.reset(socket);
      return;
    }
    this.#owesReset = false;
    // What the shard says it has is the truth, also when it is less than was acknowledged. The window
    // is set first: who hears of the acknowledgement may offer the next batch at once.
    const before = this.acked;
    this.#window.restart(known.seq);
    if (known.seq > before || known.seq === log.head) onTaken();
    if (known.seq > before) onAcknowledged(before, known.seq);
    this.send(socket);
    this.#sendWaitingVolatile(socket);
  }

  /** False when the shard cannot have it. */
  acknowledge(socket: Socket, { epoch, seq }: Position): boolean {
    const { clock, onTaken, onAcknowledged } = this.#owner;
    if (epoch !== this.#owner.epoch()) return true;
    this.#owesReset = false;
    if (seq > this.#window.sent) return false;
    const before = this.acked;
    if (this.#window.acknowledge(seq)) {
      this.#lastTakenAt = clock.now();
      onTaken();
      onAcknowledged(before, seq);
    }
    this.send(socket);
    return true;
  }

  /** Sends what the shard lacks, as far as the window allows. */
  send(socket: Socket): void {
    if (this.#window.sent === this.#owner.log.head) return;
    const batches = this.#owner.log.since(this.#window.sent);
    if (batches === null) {
      this.reset(socket);
      return;
    }
    for (const { frame, through } of batches) {
      if (this.#window.isFull) return;
      this.#transmit(socket, splitFrame(frame), frame.length, through);
    }
  }

  /**
   * The log no longer holds what the shard lacks: it goes on from where the log begins. Owed until the
   * shard says that it did, or a link that breaks now would leave its clients as they were.
   */
  reset(socket: Socket): void {
    const { start } = this.#owner.log;
    this.#window.restart(Math.min(this.acked, start));
    const frame = encodeFrame({ type: "reset", epoch: this.#owner.epoch(), seq: start });
    this.#transmit(socket, [frame], frame.length, start);
    this.send(socket);
  }

  /** Something else went out on the link. */
  used(): void {
    this.#lastUsedAt = this.#owner.clock.now();
  }

  /** The link is over: what was not acknowledged is owed again. */
  linkEnded(): void {
    this.#window.restart(this.acked);
  }

  /** The room begins anew: what the shard has is of its former life. */
  restart(): void {
    this.#window.restart(0);
    this.#waitingVolatile.clear();
    this.#owesReset = true;
  }

  #transmit(socket: Socket, parts: readonly string[], units: number, through: number): void {
    for (const part of parts) socket.send(part);
    this.used();
    this.#window.send(through, units, this.#lastUsedAt);
  }

  #sendWaitingVolatile(socket: Socket): void {
    if (this.#waitingVolatile.isEmpty) return;
    const { sent } = this.#window;
    const now = this.#owner.clock.now();
    const frame = this.#waitingVolatile.takeFrame(this.#owner.epoch(), sent, now);
    // They may be lost, and a shard that is behind has more important things to be sent.
    if (sent !== this.#owner.log.head) return;
    this.#transmit(socket, splitFrame(frame), frame.length, sent);
  }
}
