/**
 * Events that arise in one partition, on their way to the hub: in batches, at most ten a second, the
 * newest 1,000 kept, or fewer large ones, while the hub does not answer. Knows nothing of subscribers.
 *
 * While nobody listens nothing is kept or sent, until the hub says that somebody does; should that be
 * lost, the hub is asked again by the first event after five seconds.
 */
import { backoffMs } from "../core/backoff.ts";
import { weightOf } from "../protocol/event-bounds.ts";
import type { Clock, Entropy } from "../core/ports.ts";
import type { RegistryEventBody } from "../protocol/registry.ts";
import type { TimedEvent } from "../protocol/registry-calls.ts";
import type { Result } from "../protocol/result.ts";

/** In weight. */
const maxKept = 1_000;
const maxBatch = 250;
const sendIntervalMs = 100;
const unheardMs = 5_000;
const retryBounds = { baseMs: 500, maxMs: 10_000 };

export type EventBatch = {
  /** The same for a batch that is sent again: the hub publishes it once. */
  readonly id: string;
  readonly events: TimedEvent[];
  /** Events before these that could not be kept. */
  readonly lost: number;
};

export type EventLogOwner = {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly wakeAt: (at: number) => void;
  readonly toHub: (batch: EventBatch) => Promise<Result<{ readonly isHeard: boolean }>>;
};

type KeptEvent = { readonly event: TimedEvent; readonly weight: number };

export class EventLog {
  readonly #owner: EventLogOwner;
  #kept: KeptEvent[] = [];
  #keptWeight = 0;
  #lost = 0;
  /** Sent, and not answered yet. */
  #batch: EventBatch | null = null;
  #batchWeight = 0;
  #isSending = false;
  #lastSentAt = 0;
  #unheardUntil = 0;
  /** The hub has told of a subscriber since the last batch was sent. */
  #isHeard = false;
  #failures = 0;
  #nextAt: number | null = null;

  constructor(owner: EventLogOwner) {
    this.#owner = owner;
  }

  emit(body: RegistryEventBody): void {
    const now = this.#owner.clock.now();
    if (now < this.#unheardUntil) return;
    const weight = weightOf(JSON.stringify(body).length);
    this.#kept.push({ event: { ...body, at: now }, weight });
    this.#keptWeight += weight;
    while (this.#keptWeight + this.#batchWeight > maxKept) {
      const oldest = this.#kept.shift();
      if (oldest === undefined) break;
      this.#keptWeight -= oldest.weight;
      this.#lost += 1;
    }
    this.#sendSoon();
  }

  /** Somebody listens from now on. */
  heard(): void {
    this.#isHeard = true;
    this.#unheardUntil = 0;
  }

  nextDeadline(): number | null {
    return this.#nextAt;
  }

  wake(now: number): void {
    if (this.#nextAt === null || this.#nextAt > now) return;
    this.#nextAt = null;
    void this.#send(now);
  }

  #sendSoon(): void {
    if (this.#isSending || this.#nextAt !== null) return;
    this.#sendAt(Math.max(this.#owner.clock.now(), this.#lastSentAt + sendIntervalMs));
  }

  #sendAt(at: number): void {
    this.#nextAt = at;
    this.#owner.wakeAt(at);
  }

  async #send(now: number): Promise<void> {
    const batch = (this.#batch ??= this.#takeBatch());
    this.#lastSentAt = now;
    this.#isSending = true;
    this.#isHeard = false;
    const reply = await this.#owner.toHub(batch);
    this.#isSending = false;
    if (!reply.ok) {
      this.#failures += 1;
      const delay = backoffMs(this.#failures, this.#owner.entropy.random(), retryBounds);
      this.#sendAt(this.#owner.clock.now() + sendIntervalMs + delay);
      return;
    }
    this.#failures = 0;
    this.#batch = null;
    this.#batchWeight = 0;
    if (!reply.value.isHeard && !this.#isHeard) {
      this.#unheardUntil = this.#owner.clock.now() + unheardMs;
      this.#kept = [];
      this.#keptWeight = 0;
      this.#lost = 0;
    }
    if (this.#kept.length > 0) this.#sendSoon();
  }

  #takeBatch(): EventBatch {
    const taken: KeptEvent[] = [];
    for (const each of this.#kept) {
      if (taken.length > 0 && this.#batchWeight + each.weight > maxBatch) break;
      taken.push(each);
      this.#batchWeight += each.weight;
    }
    this.#kept.splice(0, taken.length);
    this.#keptWeight -= this.#batchWeight;
    const events = taken.map(({ event }) => event);
    const batch = { id: this.#owner.entropy.id(), events, lost: this.#lost };
    this.#lost = 0;
    return batch;
  }
}
