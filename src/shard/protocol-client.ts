/**
 * One client that speaks protocol 1: what it was sent, what it has acknowledged, and whether it
 * keeps up. Knows nothing of other clients or of the log.
 */
import type { Socket } from "../core/ports.ts";
import type { TopicFilters } from "../core/topics.ts";
import { ackEvery, encodeServerFrame, type ServerFrame } from "../protocol/client.ts";
import { encodeMessages } from "./messages.ts";

/** UTF-16 units of frames that were sent and not acknowledged. */
export type WindowBounds = {
  /** Of all clients of a shard together. */
  readonly sharedUnits: number;
  /** Of one client, however many there are. */
  readonly minUnits: number;
  /** Of one client, however few there are. */
  readonly maxUnits: number;
};

export const windowBounds: WindowBounds = {
  sharedUnits: 16 * 1024 * 1024,
  minUnits: 64 * 1024,
  maxUnits: 1024 * 1024,
};
const unitsPerMessage = 64;
/** A client that has not acknowledged a frame for so long makes no progress. */
const progressMs = 2_000;

/**
 * UTF-16 units sent and not acknowledged, past which a client is sent nothing more. All clients of a
 * shard share one such bound, so that a few may be far ahead of their acknowledgements, and a
 * thousand stalled ones hold some 64 MB, half of an isolate's memory.
 */
export class Window {
  readonly #bounds: WindowBounds;
  #units: number;

  constructor(bounds = windowBounds) {
    this.#bounds = bounds;
    this.#units = bounds.minUnits;
  }

  get units(): number {
    return this.#units;
  }

  /** The same, in messages. */
  get messages(): number {
    return this.#units / unitsPerMessage;
  }

  divide(clients: number): void {
    const { sharedUnits, minUnits, maxUnits } = this.#bounds;
    const share = Math.floor(sharedUnits / Math.max(1, clients));
    this.#units = Math.min(Math.max(share, minUnits), maxUnits);
  }
}

/** A frame that was sent and not acknowledged. */
type Outstanding = {
  readonly through: number;
  readonly units: number;
  readonly messages: number;
  readonly isNumbered: boolean;
  readonly at: number;
};

export class ProtocolClient {
  readonly id: string;
  readonly socket: Socket;
  filters: TopicFilters;
  /** Since when the client has not kept up, epoch milliseconds; `null` while it does. */
  behindSince: number | null = null;
  /** The first name of numbered keys that the client used. */
  series: string | undefined;
  /** The ids of publishes of the client that have no answer yet. */
  readonly unanswered = new Set<string>();
  readonly #window: Window;
  #sent: number;
  #told: number;
  #isUnsure = false;
  /** How far it was sent before continuity was lost: acknowledgements of that may be on the way. */
  #formerlySent = 0;
  #outstanding: Outstanding[] = [];
  #units = 0;
  #messages = 0;
  #unnumberedUnits = 0;
  /** Since when the client was sent so much that it should acknowledge; `null` while it was not. */
  #owesSince: number | null = null;

  /** `sent` is where the client starts: it has every message up to this one. */
  constructor(
    id: string,
    socket: Socket,
    filters: TopicFilters,
    sent: number,
    window = new Window(),
  ) {
    this.#window = window;
    this.id = id;
    this.socket = socket;
    this.filters = filters;
    this.#sent = sent;
    this.#told = sent;
  }

  /** Everything up to here was sent, or was not for this client. */
  get sent(): number {
    return this.#sent;
  }

  /** The client knows that it is here: the next frame follows on this. */
  get told(): number {
    return this.#told;
  }

  /** The client may be further than this object knows: see `forget`. */
  get isUnsure(): boolean {
    return this.#isUnsure;
  }

  get hasRoom(): boolean {
    return this.#units < this.#window.units && this.#messages < this.#window.messages;
  }

  /**
   * Whether the client takes what it is sent: the oldest frame that it should have acknowledged is
   * no older than a client needs that reads as fast as it can.
   */
  makesProgress(now: number): boolean {
    const oldest = this.#outstanding[0];
    if (oldest === undefined || this.#owesSince === null) return true;
    return now < Math.max(oldest.at, this.#owesSince) + progressMs;
  }

  /** The client has two windows of frames without a number unacknowledged. */
  get isFlooded(): boolean {
    return this.#unnumberedUnits >= 2 * this.#window.units;
  }

  /** Sends a frame of so many messages, after which the client has everything up to `through`. */
  deliver(frame: string, through: number, messages: number, now: number): void {
    this.#sent = through;
    this.#told = through;
    this.#isUnsure = false;
    this.#expect({ through, units: frame.length, messages, isNumbered: true, at: now });
    this.#transmit(frame);
  }

  /**
   * The object lost its memory, and with it what the client was told: the next frame covers
   * everything before it.
   */
  forget(): void {
    this.#told = 0;
    this.#isUnsure = true;
  }

  /** Nothing up to `through` was for the client. */
  skip(through: number): void {
    this.#sent = through;
  }

  /** Tells a client that was left out of something how far it is, or the next frame were a gap. */
  tellPosition(): void {
    if (this.#told === this.#sent) return;
    this.#transmit(encodeMessages(this.#told, this.#sent, []));
    this.#told = this.#sent;
  }

  /** Sends a frame that nobody acknowledges. */
  send(frame: ServerFrame): void {
    this.#transmit(encodeServerFrame(frame));
  }

  /** Sends a frame without a number: it is acknowledged with what the client was sent before. */
  say(frame: string, now: number): void {
    const { length } = frame;
    this.#expect({ through: this.#told, units: length, messages: 0, isNumbered: false, at: now });
    this.#unnumberedUnits += length;
    this.#transmit(frame);
  }

  pong(): void {
    this.#transmit("pong");
  }

  /** Frames that the client has not acknowledged. */
  get unacknowledged(): number {
    return this.#outstanding.length;
  }

  /** False when the client acknowledges what it was never sent. */
  acknowledge(seq: number): boolean {
    if (seq > this.#sent && !this.#isUnsure) return seq <= this.#formerlySent;
    for (;;) {
      const oldest = this.#outstanding[0];
      if (oldest === undefined || oldest.through > seq) break;
      this.#units -= oldest.units;
      this.#messages -= oldest.messages;
      if (!oldest.isNumbered) this.#unnumberedUnits -= oldest.units;
      this.#outstanding.shift();
    }
    if (!this.#owesAnswer) this.#owesSince = null;
    return true;
  }

  /** Continuity is lost: the client goes on from here. */
  restart(seq: number): void {
    this.#formerlySent = Math.max(this.#formerlySent, this.#sent);
    this.#sent = seq;
    this.#told = seq;
    this.#outstanding = [];
    this.#units = 0;
    this.#messages = 0;
    this.#unnumberedUnits = 0;
    this.#owesSince = null;
    this.behindSince = null;
  }

  close(code: number, reason: string): void {
    try {
      this.socket.close(code, reason);
    } catch {
      // It has closed already.
    }
  }

  get #owesAnswer(): boolean {
    return this.#units >= ackEvery.units || this.#messages >= ackEvery.messages;
  }

  /** An acknowledgement is to follow on this frame. */
  #expect(frame: Outstanding): void {
    this.#outstanding.push(frame);
    this.#units += frame.units;
    this.#messages += frame.messages;
    if (this.#owesAnswer) this.#owesSince ??= frame.at;
  }

  #transmit(text: string): void {
    try {
      this.socket.send(text);
    } catch {
      // It is closing; its event is on the way.
    }
  }
}
