/**
 * The hub of events: numbers them and sends each to the subscribers whose pattern fits. Owns the row
 * `event-seq`. While nobody has subscribed nothing is numbered, kept or written.
 *
 * The row holds a bound that no number given so far exceeds, and the last number itself once it has
 * been quiet: so numbers go on without a gap when the object slept, and with one when it died.
 */
import type { Clock, Storage } from "../core/ports.ts";
import { closeCodes } from "../protocol/close-codes.ts";
import { streamPingMs } from "../protocol/event-bounds.ts";
import { matchesPattern, parsePattern } from "../protocol/event-pattern.ts";
import type { RegistryEvent } from "../protocol/registry.ts";
import type { TimedEvent } from "../protocol/registry-calls.ts";
import { success, type Result } from "../protocol/result.ts";
import {
  SocketSubscriber,
  StreamSubscriber,
  type EventSocket,
  type Subscriber,
} from "./event-subscribers.ts";

const seqKey = "event-seq";
/** Numbers that one write of the row covers. */
const reserve = 10_000;
/** The row is made exact after so long without events; before the object may sleep. */
const settleMs = 2_000;
/** Batches that may be sent again are remembered; a partition has one under way. */
const rememberedBatches = 1_000;

export type EventHubOwner = {
  readonly clock: Clock;
  readonly storage: Storage;
  readonly wakeAt: (at: number) => void;
  readonly count: (what: string) => void;
  /** Somebody listens now, and nobody did. */
  readonly onHeard: () => void;
};

export class EventHub {
  readonly #owner: EventHubOwner;
  readonly #sockets = new Map<EventSocket, SocketSubscriber>();
  readonly #streams = new Set<StreamSubscriber>();
  readonly #batches = new Set<string>();
  #seq: number;
  #reserved: number;
  #settleAt: number | null = null;
  #pingAt: number | null = null;

  private constructor(owner: EventHubOwner, seq: number) {
    this.#owner = owner;
    this.#seq = seq;
    this.#reserved = seq;
  }

  static async start(owner: EventHubOwner): Promise<EventHub> {
    const row = (await owner.storage.list(seqKey)).get(seqKey);
    return new EventHub(owner, typeof row === "number" ? row : 0);
  }

  get isHeard(): boolean {
    return this.#sockets.size > 0 || this.#streams.size > 0;
  }

  /** Gives whether anybody listens. `batch` names events that may be sent again. */
  publish(events: readonly TimedEvent[], lost: number, batch: string | null): boolean {
    if (batch !== null && this.#isRepeated(batch)) return this.isHeard;
    if (!this.isHeard) return false;
    this.#seq += lost;
    for (const event of events) {
      this.#seq += 1;
      if (this.#seq > this.#reserved) this.#write(this.#seq + reserve);
      this.#send({ ...event, seq: this.#seq });
    }
    this.#settleAt = this.#owner.clock.now() + settleMs;
    this.#arm();
    return this.isHeard;
  }

  /** Takes a socket that has just been opened. */
  subscribe(socket: EventSocket, pattern: string): void {
    const parsed = parsePattern(pattern);
    if (!parsed.ok) return socket.close(closeCodes.malformedFrame, parsed.detail);
    if (!this.isHeard) this.#owner.onHeard();
    this.#sockets.set(socket, this.#welcome(socket, pattern));
  }

  /** Takes a socket that outlived the object's memory. */
  restore(socket: EventSocket): void {
    const { kept } = socket;
    if (kept === null) socket.close(closeCodes.continuityLost, "subscribe again");
    else this.#sockets.set(socket, SocketSubscriber.restore(socket, kept));
  }

  /** The body of a `text/event-stream`. */
  stream(pattern: string): Result<ReadableStream<Uint8Array>, "malformed-query"> {
    const parsed = parsePattern(pattern);
    if (!parsed.ok) return parsed;
    const leave = (gone: StreamSubscriber): void => void this.#streams.delete(gone);
    const subscriber = new StreamSubscriber(pattern, this.#seq, leave);
    if (!this.isHeard) this.#owner.onHeard();
    this.#streams.add(subscriber);
    this.#pingAt ??= this.#owner.clock.now() + streamPingMs;
    this.#arm();
    return success(subscriber.body);
  }

  /** A frame of a subscriber; what is no text is `null`. */
  receive(socket: EventSocket, frame: string | null): void {
    if (frame === "ping") return socket.send("pong");
    const subscriber = this.#sockets.get(socket);
    // It was closed, and sent this before it knew.
    if (subscriber === undefined) return;
    if (!subscriber.receive(frame ?? "", this.#seq)) this.#sockets.delete(socket);
  }

  leave(socket: EventSocket): void {
    this.#sockets.delete(socket);
  }

  nextDeadline(): number | null {
    if (this.#settleAt === null || this.#pingAt === null) return this.#settleAt ?? this.#pingAt;
    return Math.min(this.#settleAt, this.#pingAt);
  }

  wake(now: number): void {
    if (this.#settleAt !== null && this.#settleAt <= now) {
      this.#settleAt = null;
      if (this.#reserved !== this.#seq) this.#write(this.#seq);
    }
    if (this.#pingAt === null || this.#pingAt > now) return;
    for (const stream of this.#streams) if (!stream.ping()) this.#streams.delete(stream);
    this.#pingAt = this.#streams.size > 0 ? now + streamPingMs : null;
    this.#arm();
  }

  #welcome(socket: EventSocket, pattern: string): SocketSubscriber {
    return SocketSubscriber.subscribe(socket, pattern, this.#seq);
  }

  #send(event: RegistryEvent): void {
    const text = JSON.stringify(event);
    const reaches = (subscriber: Subscriber): boolean => {
      if (!matchesPattern(subscriber.pattern, event.type)) return true;
      if (subscriber.send(event.seq, text)) return true;
      this.#owner.count("event_subscribers_cut_off");
      return false;
    };
    for (const [socket, subscriber] of this.#sockets) {
      if (!reaches(subscriber)) this.#sockets.delete(socket);
    }
    for (const stream of this.#streams) if (!reaches(stream)) this.#streams.delete(stream);
  }

  #isRepeated(batch: string): boolean {
    if (this.#batches.has(batch)) return true;
    this.#batches.add(batch);
    if (this.#batches.size > rememberedBatches) {
      const [oldest] = this.#batches;
      if (oldest !== undefined) this.#batches.delete(oldest);
    }
    return false;
  }

  #write(bound: number): void {
    this.#reserved = bound;
    this.#owner.storage.put({ [seqKey]: bound });
  }

  #arm(): void {
    const next = this.nextDeadline();
    if (next !== null) this.#owner.wakeAt(next);
  }
}
