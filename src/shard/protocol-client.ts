/**
 * One client that speaks protocol 1: what it was sent, what it has acknowledged, and whether it
 * keeps up. Knows nothing of other clients or of the log.
 */
import type { Socket } from "../core/ports.ts";
import type { TopicFilters } from "../core/topics.ts";
import { encodeServerFrame, type ServerFrame } from "../protocol/client.ts";
import { encodeMessages } from "./messages.ts";

const sharedUnits = 16 * 1024 * 1024;
const minWindowUnits = 64 * 1024;
const maxWindowUnits = 1024 * 1024;
const unitsPerMessage = 64;

/**
 * UTF-16 units sent and not acknowledged, past which a client is sent nothing more. All clients of a
 * shard share one such bound, so that a few may be far ahead of their acknowledgements, and a
 * thousand stalled ones hold some 64 MB, half of an isolate's memory.
 */
export class Window {
  #units = minWindowUnits;

  get units(): number {
    return this.#units;
  }

  /** The same, in messages. */
  get messages(): number {
    return this.#units / unitsPerMessage;
  }

  divide(clients: number): void {
    const share = Math.floor(sharedUnits / Math.max(1, clients));
    this.#units = Math.min(Math.max(share, minWindowUnits), maxWindowUnits);
  }
}

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
  #outstanding: { through: number; units: number; messages: number }[] = [];
  #units = 0;
  #messages = 0;

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

  /** Sends a frame of so many messages, after which the client has everything up to `through`. */
  deliver(frame: string, through: number, messages: number): void {
    this.#outstanding.push({ through, units: frame.length, messages });
    this.#units += frame.length;
    this.#messages += messages;
    this.#sent = through;
    this.#told = through;
    this.#isUnsure = false;
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

  send(frame: ServerFrame): void {
    this.#transmit(encodeServerFrame(frame));
  }

  /** Sends a frame that is encoded already and that nobody acknowledges. */
  sendEncoded(frame: string): void {
    this.#transmit(frame);
  }

  /** Frames that the client has not acknowledged. */
  get unacknowledged(): number {
    return this.#outstanding.length;
  }

  /** False when the client acknowledges what it was never sent. */
  acknowledge(seq: number): boolean {
    if (seq > this.#sent) return this.#isUnsure || seq <= this.#formerlySent;
    for (;;) {
      const oldest = this.#outstanding[0];
      if (oldest === undefined || oldest.through > seq) return true;
      this.#units -= oldest.units;
      this.#messages -= oldest.messages;
      this.#outstanding.shift();
    }
  }

  /** Continuity is lost: the client goes on from here. */
  restart(seq: number): void {
    this.#formerlySent = Math.max(this.#formerlySent, this.#sent);
    this.#sent = seq;
    this.#told = seq;
    this.#outstanding = [];
    this.#units = 0;
    this.#messages = 0;
    this.behindSince = null;
  }

  close(code: number, reason: string): void {
    try {
      this.socket.close(code, reason);
    } catch {
      // It has closed already.
    }
  }

  #transmit(text: string): void {
    try {
      this.socket.send(text);
    } catch {
      // It is closing; its event is on the way.
    }
  }
}
