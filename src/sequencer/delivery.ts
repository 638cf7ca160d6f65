/**
 * Delivery to one subscribed shard: the link to it, what goes out on it and when, and the retries.
 * Knows nothing of other shards, of rows, or of who publishes.
 *
 * The sequencer dials, so that the shard, which holds the clients' sockets, can hibernate; it hangs
 * up after some idle seconds, so that it can sleep itself.
 */
import type { DeliveryLog } from "../core/delivery-log.ts";
import type { Clock, Dialer, Entropy, Socket } from "../core/ports.ts";
import { closeCodes, type CloseCode } from "../protocol/close-codes.ts";
import {
  encodeFrame,
  FrameAssembler,
  parseFrameToSequencer,
  splitFrame,
  type FrameToSequencer,
  type LinkLoad,
  type Position,
  type UpstreamWrite,
} from "../protocol/link.ts";
import type { ShardId } from "../protocol/names.ts";
import type { VolatileMessage } from "./batch-builder.ts";
import { Failures } from "./failures.ts";
import { SendWindow } from "./send-window.ts";
import { encodeResults, type ResultsByLife } from "./upstream-results.ts";
import { WaitingVolatile } from "./waiting-volatile.ts";

/** A link that has carried nothing for so long is closed. */
const idleMs = 5_000;
/** A dial, a hello or an acknowledgement that takes longer is given up. */
const answerTimeoutMs = 10_000;

type Phase =
  | { readonly name: "idle" }
  | { readonly name: "waiting"; readonly until: number }
  | { readonly name: "dialing"; readonly until: number }
  | { readonly name: "greeting"; readonly until: number; readonly socket: Socket }
  | { readonly name: "open"; readonly socket: Socket };

/** What a delivery needs of its sequencer. */
export type DeliveryOwner = {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly dialer: Dialer;
  readonly log: DeliveryLog;
  readonly epoch: () => string;
  /** Something happened that operators should know of. */
  readonly count: (what: string) => void;
  /** The shard has acknowledged what it had not before. */
  readonly onAcknowledged: (before: number, acked: number) => void;
  /** Clients of the shard publish; the results go back on the link that the writes came on. */
  readonly onPublish: (writes: readonly UpstreamWrite[]) => Promise<ResultsByLife>;
  /** How many clients the shard has, as it says. */
  readonly onLoad: (shard: ShardId, load: LinkLoad) => void;
  /** The shard wants nothing more: it has no clients, or another serves its slot. */
  readonly onOver: (delivery: Delivery) => void;
  /** The shard failed repeatedly: a reason to look after it. */
  readonly onSuspect: (shard: ShardId) => void;
  /** Ask for `wake()` at this time or earlier. */
  readonly wakeAt: (at: number) => void;
  /** Something is owed: wake even after a crash, soon, or by this time. */
  readonly wakeDurably: (at?: number) => void;
};

export class Delivery {
  readonly shard: ShardId;
  /** Replaced whenever the shard subscribes anew. */
  subscription: string;
  readonly #owner: DeliveryOwner;
  readonly #window: SendWindow;
  #dialedSubscription = "";
  #phase: Phase = { name: "idle" };
  /** When the shard last said that it has more. What else it says is no sign that it takes messages. */
  #lastTakenAt = 0;
  #lastUsedAt = 0;
  readonly #failures = new Failures();
  /** The room has begun anew, and the shard is yet to say that it knows. */
  #owesReset = false;
  readonly #waitingVolatile = new WaitingVolatile();

  constructor(shard: ShardId, subscription: string, acked: number, owner: DeliveryOwner) {
    this.shard = shard;
    this.subscription = subscription;
    this.#window = new SendWindow(acked);
    this.#owner = owner;
  }

  /** The shard has every message up to this one. */
  get acked(): number {
    return this.#window.acked;
  }

  get isSettled(): boolean {
    return this.#phase.name === "idle" && !this.#owesReset && this.acked === this.#owner.log.head;
  }

  /** Whether the log must keep what this shard has not acknowledged. */
  holdsLog(now: number): boolean {
    return this.#failures.holdLog(now);
  }

  /**
   * A batch was just appended to the log. `frame` also holds its volatile messages. Returns whether
   * there is a link, so that an acknowledgement is to be expected: of a shard whose window is full
   * too, or writers would not be held up by shards that are slow.
   */
  offer(
    frame: readonly string[],
    units: number,
    after: number,
    volatile: VolatileMessage[],
  ): boolean {
    if (this.#phase.name !== "open") {
      this.#waitingVolatile.add(volatile);
      this.pump();
      return false;
    }
    const isCurrent = this.#window.sent === after && !this.#window.isFull;
    if (isCurrent) this.#transmit(this.#phase.socket, frame, units, this.#owner.log.head);
    else this.pump();
    this.#wakeDurablyIfOwed();
    return true;
  }

  /** Moves on whatever can move: dials when something is owed, sends what the window allows. */
  pump(): void {
    if (this.#phase.name === "open") this.#sendFromLog(this.#phase.socket);
    else if (this.#hasWork) {
      this.#wakeDurably();
      if (this.#phase.name === "idle") this.#dial();
    }
  }

  /** Time has passed. */
  wake(now: number): void {
    this.#wakeDurablyIfOwed();
    const at = this.nextDeadline();
    if (at === null || at > now) return;
    const phase = this.#phase;
    switch (phase.name) {
      case "idle":
        return;
      case "waiting":
        this.#phase = { name: "idle" };
        this.pump();
        return;
      case "dialing":
        this.#fail();
        return;
      case "greeting":
        this.#giveUp(phase.socket);
        return;
      case "open":
        if (this.#window.isOwedAnswer) this.#giveUp(phase.socket);
        else this.#hangUp(phase.socket);
        return;
    }
  }

  nextDeadline(): number | null {
    switch (this.#phase.name) {
      case "idle":
        return null;
      case "waiting":
      case "dialing":
      case "greeting":
        return this.#phase.until;
      case "open":
        return this.#openDeadline();
    }
  }

  /** New messages do not put off the time by which the old ones must have been acknowledged. */
  #openDeadline(): number {
    const waitingSince = this.#window.waitingSince;
    if (waitingSince === null) return this.#lastUsedAt + idleMs;
    return Math.max(this.#lastTakenAt, waitingSince) + answerTimeoutMs;
  }

  /** The shard is no subscriber any more; with a code, because it is over. */
  end(code?: CloseCode): void {
    if (this.#phase.name === "open" || this.#phase.name === "greeting") {
      if (code === undefined) hangUp(this.#phase.socket);
      else this.#phase.socket.close(code, "the shard is over");
    }
    this.#phase = { name: "idle" };
  }

  /** The shard subscribed anew; what it has is told by the next link. */
  resubscribe(subscription: string): void {
    this.subscription = subscription;
    // A shard that calls is alive: no reason to wait any longer.
    if (this.#phase.name === "waiting") this.#phase = { name: "idle" };
    this.pump();
  }

  /** The room begins anew: what the shard has is of its former life. */
  restart(): void {
    this.#window.restart(0);
    this.#waitingVolatile.clear();
    this.#owesReset = true;
    if (this.#phase.name === "open") this.#reset(this.#phase.socket);
    else this.pump();
  }

  get #hasWork(): boolean {
    return this.acked < this.#owner.log.head || this.#owesReset || !this.#waitingVolatile.isEmpty;
  }

  /**
   * Also while a link is open: it may be one that the shard has given up, and a crash would leave
   * nobody who knows that the shard lacks something.
   */
  #wakeDurablyIfOwed(): void {
    if (this.acked < this.#owner.log.head) this.#wakeDurably();
  }

  #wakeDurably(): void {
    this.#owner.wakeDurably(this.#failures.durableAt(this.#owner.clock.now()));
  }

  #dial(): void {
    const until = this.#owner.clock.now() + answerTimeoutMs;
    const dialing: Phase = { name: "dialing", until };
    this.#dialedSubscription = this.subscription;
    this.#enter(dialing, until);
    const assembler = new FrameAssembler();
    let link: Socket | null = null;
    const isCurrent = (): boolean =>
      link !== null && "socket" in this.#phase && this.#phase.socket === link;
    const events = {
      message: (text: string): void => {
        if (isCurrent()) this.#handleMessage(assembler, text);
      },
      close: (code: number): void => {
        if (isCurrent()) this.#handleClose(code);
      },
    };
    void this.#owner.dialer.dial(this.shard, events).then((result) => {
      if (this.#phase !== dialing) {
        if (result.ok) result.value.close(closeCodes.replaced, "too late");
        return;
      }
      if (!result.ok) {
        // It lives, and more questions would harm it.
        if (result.code === "overloaded") this.#failures.excuse();
        this.#fail(result.code !== "overloaded");
        return;
      }
      link = result.value;
      const greetingUntil = this.#owner.clock.now() + answerTimeoutMs;
      this.#enter({ name: "greeting", until: greetingUntil, socket: link }, greetingUntil);
    });
  }

  #enter(phase: Phase, wakeAt: number): void {
    this.#phase = phase;
    this.#owner.wakeAt(wakeAt);
  }

  #handleMessage(assembler: FrameAssembler, text: string): void {
    const whole = assembler.push(text);
    const parsed = whole.ok && whole.value !== null ? parseFrameToSequencer(whole.value) : whole;
    if (parsed.ok && parsed.value === null) return;
    if (parsed.ok && typeof parsed.value === "object" && this.#accept(parsed.value)) return;
    this.#owner.count("malformed_link_frames");
    this.#giveUp("socket" in this.#phase ? this.#phase.socket : null, closeCodes.malformedFrame);
  }

  /** False when the frame is not possible here. */
  #accept(frame: FrameToSequencer | null): boolean {
    const phase = this.#phase;
    if (frame === null) return false;
    if (frame.type === "hello") {
      if (phase.name !== "greeting") return false;
      this.#lastTakenAt = this.#owner.clock.now();
      this.#greet(phase.socket, frame.position);
      return true;
    }
    if (phase.name !== "open") return false;
    if (frame.type === "publish") void this.#publish(phase.socket, frame.writes);
    if (frame.type === "load") this.#owner.onLoad(this.shard, frame);
    if (frame.type !== "ack") return true;
    if (frame.epoch !== this.#owner.epoch()) return true;
    this.#owesReset = false;
    if (frame.seq > this.#window.sent) return false;
    this.#acknowledge(frame.seq);
    this.#sendFromLog(phase.socket);
    return true;
  }

  #greet(socket: Socket, position: Position | null): void {
    this.#phase = { name: "open", socket };
    this.#lastUsedAt = this.#lastTakenAt;
    this.#owner.wakeAt(this.#lastUsedAt + idleMs);
    const { log } = this.#owner;
    const known = position ?? { epoch: this.#owner.epoch(), seq: this.acked };
    if (known.epoch !== this.#owner.epoch() || known.seq > log.head) {
      this.#reset(socket);
      return;
    }
    this.#owesReset = false;
    // What the shard says it has is the truth, also when it is less than was acknowledged. The window
    // is set first: who hears of the acknowledgement may offer the next batch at once.
    const before = this.acked;
    this.#window.restart(known.seq);
    if (known.seq > before || known.seq === log.head) this.#failures.end();
    if (known.seq > before) this.#owner.onAcknowledged(before, known.seq);
    this.#sendFromLog(socket);
    this.#sendWaitingVolatile(socket);
  }

  async #publish(socket: Socket, writes: readonly UpstreamWrite[]): Promise<void> {
    const lives = await this.#owner.onPublish(writes);
    this.#lastUsedAt = this.#owner.clock.now();
    for (const part of encodeResults(lives)) socket.send(part);
  }

  #acknowledge(seq: number): void {
    const before = this.acked;
    if (!this.#window.acknowledge(seq)) return;
    this.#lastTakenAt = this.#owner.clock.now();
    this.#failures.end();
    this.#owner.onAcknowledged(before, seq);
  }

  #sendFromLog(socket: Socket): void {
    if (this.#window.sent === this.#owner.log.head) return;
    const batches = this.#owner.log.since(this.#window.sent);
    if (batches === null) {
      this.#reset(socket);
      return;
    }
    for (const batch of batches) {
      if (this.#window.isFull) return;
      const { frame, through } = batch;
      this.#transmit(socket, splitFrame(frame), frame.length, through);
    }
  }

  /**
   * The log no longer holds what the shard lacks: it goes on from where the log begins. Owed until the
   * shard says that it did, or a link that breaks now would leave its clients as they were.
   */
  #reset(socket: Socket): void {
    const { start } = this.#owner.log;
    this.#window.restart(Math.min(this.acked, start));
    const frame = encodeFrame({ type: "reset", epoch: this.#owner.epoch(), seq: start });
    this.#transmit(socket, [frame], frame.length, start);
    this.#sendFromLog(socket);
  }

  #transmit(socket: Socket, parts: readonly string[], units: number, through: number): void {
    for (const part of parts) socket.send(part);
    this.#lastUsedAt = this.#owner.clock.now();
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

  #handleClose(code: number): void {
    // A shard that has subscribed since the dial has clients, whatever it said of the time before.
    const hasNone = code === closeCodes.noClients && this.#dialedSubscription === this.subscription;
    if (hasNone || code === closeCodes.fenced) {
      this.#phase = { name: "idle" };
      this.#owner.onOver(this);
      return;
    }
    this.#fail();
  }

  #hangUp(socket: Socket): void {
    this.#phase = { name: "idle" };
    hangUp(socket);
    this.pump();
  }

  #giveUp(socket: Socket | null, code: number = closeCodes.unresponsive): void {
    this.#fail();
    socket?.close(code, "starting anew");
  }

  #fail(isSuspect = true): void {
    const { clock, entropy, log } = this.#owner;
    const now = clock.now();
    const until = this.#failures.add(now, this.acked < log.head, entropy.random());
    this.#window.restart(this.acked);
    this.#enter({ name: "waiting", until }, until);
    if (this.#hasWork) this.#wakeDurably();
    if (isSuspect && this.#failures.isSuspicious(now)) this.#owner.onSuspect(this.shard);
  }
}

function hangUp(socket: Socket): void {
  socket.send(encodeFrame({ type: "bye" }));
  socket.close(closeCodes.idle, "idle");
}
