/**
 * Subscribers of events, each bounded: a socket by what it acknowledges, since the platform tells
 * nobody how much a socket has buffered, and a stream by its own backpressure.
 */
import type { Socket } from "../core/ports.ts";
import { closeCodes } from "../protocol/close-codes.ts";
import { acknowledgeEvery, maxUnacknowledged, weightOf } from "../protocol/event-bounds.ts";
import { encodeSubscribed, parseAcknowledgement } from "../protocol/event-frames.ts";

export type Subscriber = {
  readonly pattern: string;
  /** Whether the subscriber is still one. */
  send(seq: number, event: string): boolean;
};

/** What rests with a socket while the object sleeps. Younger events, of a weight below 100, may be missing. */
export type KeptSubscription = {
  readonly pattern: string;
  /** The last event that was sent. */
  readonly through: number;
  /** Weight of those up to that one that were not acknowledged. */
  readonly unacknowledged: number;
};

export interface EventSocket extends Socket {
  readonly kept: KeptSubscription | null;
  keep(subscription: KeptSubscription): void;
}

export class SocketSubscriber implements Subscriber {
  readonly pattern: string;
  readonly #socket: EventSocket;
  /** The events that were sent in this life and not acknowledged, ascending. */
  #sent: { readonly seq: number; readonly weight: number }[] = [];
  #sentWeight = 0;
  /** Those of lives before. */
  #earlier: { readonly through: number; readonly weight: number };
  #sinceKept = 0;

  private constructor(socket: EventSocket, kept: KeptSubscription) {
    this.pattern = kept.pattern;
    this.#socket = socket;
    this.#earlier = { through: kept.through, weight: kept.unacknowledged };
  }

  static subscribe(socket: EventSocket, pattern: string, seq: number): SocketSubscriber {
    const kept = { pattern, through: seq, unacknowledged: 0 };
    socket.keep(kept);
    socket.send(encodeSubscribed(pattern, seq));
    return new SocketSubscriber(socket, kept);
  }

  /** One that subscribed before the object slept. */
  static restore(socket: EventSocket, kept: KeptSubscription): SocketSubscriber {
    return new SocketSubscriber(socket, kept);
  }

  send(seq: number, event: string): boolean {
    if (this.#unacknowledged >= maxUnacknowledged) {
      const detail = `${maxUnacknowledged} events, or 4 MiB of them, were not acknowledged`;
      this.#socket.close(closeCodes.tooSlow, detail);
      return false;
    }
    this.#socket.send(event);
    const weight = weightOf(event.length);
    this.#sent.push({ seq, weight });
    this.#sentWeight += weight;
    this.#sinceKept += weight;
    if (this.#sinceKept >= acknowledgeEvery) this.#keep();
    return true;
  }

  /** Whether the frame is an acknowledgement of what was sent, at most `seq`. */
  receive(frame: string, seq: number): boolean {
    const parsed = parseAcknowledgement(frame);
    if (!parsed.ok || parsed.value.seq > seq) {
      const detail = parsed.ok ? "that was never sent" : parsed.detail;
      // A close frame carries at most 123 bytes of reason (RFC 6455, 5.5).
      this.#socket.close(closeCodes.malformedFrame, detail.replaceAll(/[^ -~]/g, "").slice(0, 120));
      return false;
    }
    const acknowledged = parsed.value.seq;
    if (acknowledged >= this.#earlier.through) this.#earlier = { through: 0, weight: 0 };
    this.#sent = this.#sent.filter((each) => each.seq > acknowledged);
    this.#sentWeight = this.#sent.reduce((sum, { weight }) => sum + weight, 0);
    this.#keep();
    return true;
  }

  get #unacknowledged(): number {
    return this.#earlier.weight + this.#sentWeight;
  }

  #keep(): void {
    this.#sinceKept = 0;
    const through = this.#sent.at(-1)?.seq ?? this.#earlier.through;
    const { pattern } = this;
    this.#socket.keep({ pattern, through, unacknowledged: this.#unacknowledged });
  }
}

const encoder = new TextEncoder();

/** A subscriber by `text/event-stream` (WHATWG HTML, "Server-sent events"). */
export class StreamSubscriber implements Subscriber {
  readonly pattern: string;
  readonly body: ReadableStream<Uint8Array>;
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  #isQuiet = true;

  /** `onGone` is called when its reader has left. */
  constructor(pattern: string, seq: number, onGone: (subscriber: StreamSubscriber) => void) {
    this.pattern = pattern;
    this.body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        cancel: () => onGone(this),
      },
      { highWaterMark: maxUnacknowledged + 1, size: (chunk) => weightOf(chunk.byteLength) },
    );
    this.#write(`event: subscribed\ndata: ${encodeSubscribed(pattern, seq)}\n\n`);
  }

  send(seq: number, event: string): boolean {
    this.#isQuiet = false;
    if (!this.#hasSpace) return this.#cutOff();
    return this.#write(`id: ${seq}\ndata: ${event}\n\n`);
  }

  /** Shows those between that the stream lives, if nothing else has since the last time. */
  ping(): boolean {
    if (!this.#hasSpace) return this.#cutOff();
    const isNeeded = this.#isQuiet;
    this.#isQuiet = true;
    return !isNeeded || this.#write(": ping\n\n");
  }

  get #hasSpace(): boolean {
    return (this.#controller?.desiredSize ?? 0) > 0;
  }

  /** Whether the stream is still open. */
  #write(text: string): boolean {
    try {
      this.#controller?.enqueue(encoder.encode(text));
      return true;
    } catch {
      // Its reader has left, or it failed under it.
      return false;
    }
  }

  #cutOff(): false {
    const code = closeCodes.tooSlow;
    this.#write(`event: closed\ndata: {"type":"closed","code":${code}}\n\n`);
    try {
      this.#controller?.close();
    } catch {
      // It has ended already.
    }
    return false;
  }
}
