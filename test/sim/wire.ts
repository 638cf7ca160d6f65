/**
 * What the judge knows of one client of protocol 1 on one socket: what it was sent, what it has
 * acknowledged, and which topics held when. Judges nothing.
 */
import { TopicFilters } from "../../src/core/topics.ts";
import type { Client } from "./client.ts";

const unitsPerMessage = 64;

type Outstanding = { readonly through: number; readonly units: number; readonly messages: number };

export class Wire {
  readonly client: Client;
  /** Everything up to here was sent, or was not for this client. */
  covered: number;
  /** The same, also of what the client need not have been told of yet. */
  clear: number;
  pings = 0;
  /** The client has sent what is not of the protocol. */
  hasMisbehaved = false;
  /** Topics, and the last message that the shard had delivered when they began to hold. */
  readonly #topics: { readonly after: number; readonly filters: TopicFilters }[];
  readonly #volatile = new Map<string, number>();
  #outstanding: Outstanding[] = [];
  readonly #windowUnits: number;

  /** `windowUnits` is what the client may be sent without acknowledging, but for one frame. */
  constructor(client: Client, seq: number, windowUnits: number) {
    this.#windowUnits = windowUnits;
    this.client = client;
    this.covered = seq;
    this.clear = seq;
    this.#topics = [{ after: -1, filters: new TopicFilters(client.visitor.request.topics) }];
  }

  get filters(): TopicFilters {
    return this.#topics.at(-1)?.filters ?? new TopicFilters([]);
  }

  /** Whether all topics that held since the shard delivered the message let it through. */
  wants(topic: string | null, seq: number): boolean {
    for (const { after, filters } of this.#topics.toReversed()) {
      if (!filters.lets(topic)) return false;
      if (after < seq) return true;
    }
    return true;
  }

  subscribe(filters: TopicFilters, delivered: number): void {
    this.#topics.push({ after: delivered, filters });
  }

  sent(through: number, units: number, messages: number): void {
    this.#outstanding.push({ through, units, messages });
    this.covered = Math.max(this.covered, through);
    this.clear = Math.max(this.clear, this.covered);
  }

  /** Sent what has no number, and is acknowledged with what went before. */
  told(units: number): void {
    this.#outstanding.push({ through: this.covered, units, messages: 0 });
  }

  acknowledge(seq: number): void {
    this.#outstanding = this.#outstanding.filter(({ through }) => through > seq);
  }

  /** Nothing more may be sent. Frames without messages, which a shard need not count, are left out. */
  get isPastWindow(): boolean {
    return this.#isFull(this.#outstanding.filter(({ messages }) => messages > 0));
  }

  /** The shard has no reason not to send. */
  get hasRoom(): boolean {
    return !this.#isFull(this.#outstanding);
  }

  /** The client was told to go on from here. */
  restart(seq: number): void {
    this.covered = seq;
    this.clear = seq;
    this.#outstanding = [];
  }

  /** The shard no longer knows what it has sent. */
  forget(): void {
    this.#outstanding = [];
  }

  countVolatile(text: string): number {
    const count = (this.#volatile.get(text) ?? 0) + 1;
    this.#volatile.set(text, count);
    return count;
  }

  #isFull(frames: readonly Outstanding[]): boolean {
    let units = 0;
    let messages = 0;
    for (const frame of frames) {
      units += frame.units;
      messages += frame.messages;
    }
    return units >= this.#windowUnits || messages >= this.#windowUnits / unitsPerMessage;
  }
}
