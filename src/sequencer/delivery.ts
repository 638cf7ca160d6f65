/**
 * Delivery to one subscribed shard: the link to it, from the dial to its end, and the retries. What is
 * owed and sent on it is the backlog's. Knows nothing of other shards, of rows, or of who publishes.
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
  type FrameToSequencer,
  type LinkLoad,
  type UpstreamWrite,
} from "../protocol/link.ts";
import type { ShardId } from "../protocol/names.ts";
import { Backlog } from "./backlog.ts";
import type { VolatileMessage } from "./batch-builder.ts";
import { Failures } from "./failures.ts";
import { encodeResults, type ResultsByLife } from "./upstream-results.ts";

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
  readonly #backlog: Backlog;
  readonly #failures = new Failures();
  #dialedSubscription = "";
  #phase: Phase = { name: "idle" };

  constructor(shard: ShardId, subscription: string, acked: number, owner: DeliveryOwner) {
    this.shard = shard;
    this.subscription = subscription;
    this.#owner = owner;
    this.#backlog = new Backlog(acked, { ...owner, onTaken: () => this.#failures.end() });
  }

  /** The shard has every message up to this one. */
  get acked(): number {
    return this.#backlog.acked;
  }

  get isSettled(): boolean {
    return this.#phase.name === "idle" && this.#backlog.isSettled;
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
      this.#backlog.keep(volatile);
      this.pump();
      return false;
    }
    this.#backlog.offer(this.#phase.socket, frame, units, after);
    this.#wakeDurablyIfOwed();
    return true;
  }

  /** Moves on whatever can move: dials when something is owed, sends what the window allows. */
  pump(): void {
    if (this.#phase.name === "open") this.#backlog.send(this.#phase.socket);
    else if (this.#backlog.hasWork) {
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
        if (this.#backlog.awaitedSince !== null) this.#giveUp(phase.socket);
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
    const { awaitedSince, lastUsedAt } = this.#backlog;
    return awaitedSince === null ? lastUsedAt + idleMs : awaitedSince + answerTimeoutMs;
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
    this.#backlog.restart();
    if (this.#phase.name === "open") this.#backlog.reset(this.#phase.socket);
    else this.pump();
  }

  /**
   * Also while a link is open: it may be one that the shard has given up, and a crash would leave
   * nobody who knows that the shard lacks something.
   */
  #wakeDurablyIfOwed(): void {
    if (this.#backlog.isOwed) this.#wakeDurably();
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
      this.#phase = { name: "open", socket: phase.socket };
      this.#owner.wakeAt(this.#owner.clock.now() + idleMs);
      this.#backlog.begin(phase.socket, frame.position);
      return true;
    }
    if (phase.name !== "open") return false;
    if (frame.type === "publish") void this.#publish(phase.socket, frame.writes);
    if (frame.type === "load") this.#owner.onLoad(this.shard, frame);
    return frame.type !== "ack" || this.#backlog.acknowledge(phase.socket, frame);
  }

  async #publish(socket: Socket, writes: readonly UpstreamWrite[]): Promise<void> {
    const lives = await this.#owner.onPublish(writes);
    this.#backlog.used();
    for (const part of encodeResults(lives)) socket.send(part);
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
    const { clock, entropy } = this.#owner;
    const now = clock.now();
    const until = this.#failures.add(now, this.#backlog.isOwed, entropy.random());
    this.#backlog.linkEnded();
    this.#enter({ name: "waiting", until }, until);
    if (this.#backlog.hasWork) this.#wakeDurably();
    if (isSuspect && this.#failures.isSuspicious(now)) this.#owner.onSuspect(this.shard);
  }
}

function hangUp(socket: Socket): void {
  socket.send(encodeFrame({ type: "bye" }));
  socket.close(closeCodes.idle, "idle");
}
