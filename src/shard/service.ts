/**
 * Whether this object serves its slot of the room. It does until it is drained, and never again once a
 * later generation has the slot. While it drains, it tells when which of its sockets have to go. Knows
 * nothing of what they carry.
 *
 *   service   that it drains, until when and how many at a time; or that it is fenced
 */
import * as v from "valibot";
import type { Clock, Entropy, Socket, Storage } from "../core/ports.ts";
import { fencedFailure } from "../protocol/calls.ts";
import { failure, type Failure } from "../protocol/result.ts";

/** Sockets go in so many waves, about one a second, unless the limit is over sooner. */
const waves = 10;
const waveMs = 1_000;
/**
 * The first go no sooner: a gate's table is up to a second old, and where upgrades cannot be refused, who
 * came back by such a table would be taken in and sent away again.
 */
const firstMs = 1_000;
/** Nor longer than half of the drain's time: what is waited for may never come about. */
const maxHoldMs = 10_000;

const rowSchema = v.variant("status", [
  v.object({ status: v.literal("draining"), until: v.number(), wave: v.number() }),
  v.object({ status: v.literal("fenced") }),
]);

type Phase =
  | { readonly name: "online" }
  /** `wave`: how many go at a time. By `until` all of them have gone. */
  | {
      readonly name: "draining";
      readonly until: number;
      readonly wave: number;
      readonly nextAt: number;
    }
  | { readonly name: "fenced" };

/** Why it takes nobody. */
export type NotServing = "draining" | "fenced";

export type ServiceOwner = {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly storage: Storage;
  readonly connections: () => number;
  readonly sockets: () => Socket[];
  /** Its client is to come back, and finds another shard. */
  readonly move: (socket: Socket) => void;
  /** Stores what whoever takes the clients is to begin with; `null` when there is nothing. */
  readonly save: () => Promise<unknown> | null;
  /** The deadline has changed. */
  readonly rearm: () => void;
};

export class Service {
  readonly #owner: ServiceOwner;
  #phase: Phase = { name: "online" };
  /** Whether this life has begun to save: what a former one began may not have come about. */
  #isSaved = false;

  constructor(owner: ServiceOwner) {
    this.#owner = owner;
  }

  get status(): Phase["name"] {
    return this.#phase.name;
  }

  get isOver(): boolean {
    return this.#phase.name === "fenced";
  }

  /** Why nobody is taken, or `null` when the shard serves. */
  get refusal(): Failure<NotServing> | null {
    switch (this.#phase.name) {
      case "online":
        return null;
      case "draining":
        return failure("draining", "the shard is being emptied");
      case "fenced":
        return fencedFailure();
    }
  }

  /** What a former life was told holds on. */
  async restore(): Promise<void> {
    const rows = await this.#owner.storage.list("service");
    const row = v.safeParse(rowSchema, rows.get("service"));
    if (!row.success) return;
    if (row.output.status === "fenced") {
      this.#phase = { name: "fenced" };
      return;
    }
    const { until, wave } = row.output;
    this.#phase = { name: "draining", until, wave, nextAt: this.#owner.clock.now() };
  }

  /** False when it drains already, and goes on as it was told first, or is over. */
  drain(limitMs: number): boolean {
    if (this.#phase.name !== "online") return false;
    const { clock, storage, connections } = this.#owner;
    const now = clock.now();
    const count = Math.min(waves, Math.max(1, Math.floor(limitMs / waveMs)));
    const wave = Math.max(1, Math.ceil(connections() / count));
    const until = now + limitMs;
    storage.put({ service: { status: "draining", until, wave } });
    this.#phase = { name: "draining", until, wave, nextAt: this.#next(now, until, firstMs) };
    void this.#save();
    return true;
  }

  /** Nobody goes before it has settled, or too much of the time is over. */
  async #save(): Promise<void> {
    const phase = this.#phase;
    if (phase.name !== "draining" || this.#isSaved) return;
    this.#isSaved = true;
    const saved = this.#owner.save();
    if (saved === null) return;
    const now = this.#owner.clock.now();
    const holdMs = Math.min(maxHoldMs, Math.floor((phase.until - now) / 2));
    const held = { ...phase, nextAt: now + Math.max(0, holdMs) };
    this.#phase = held;
    await Promise.allSettled([saved]);
    if (this.#phase !== held) return;
    const nextAt = this.#next(this.#owner.clock.now(), held.until, 0);
    this.#phase = { ...held, nextAt: Math.max(phase.nextAt, nextAt) };
    this.#owner.rearm();
  }

  /** False when it was over before. */
  fence(): boolean {
    if (this.#phase.name === "fenced") return false;
    this.#phase = { name: "fenced" };
    this.#owner.storage.put({ service: { status: "fenced" } });
    return true;
  }

  /** Time has passed: another wave may have to go. */
  wake(now: number): void {
    void this.#save();
    const phase = this.#phase;
    if (phase.name !== "draining" || phase.nextAt > now) return;
    const sockets = this.#owner.sockets();
    const count = phase.until <= now ? sockets.length : Math.min(phase.wave, sockets.length);
    this.#phase = { ...phase, nextAt: this.#next(now, phase.until, waveMs / 2) };
    for (const socket of this.#draw(sockets, count)) this.#owner.move(socket);
  }

  nextDeadline(): number | null {
    const phase = this.#phase;
    return phase.name === "draining" && this.#owner.connections() > 0 ? phase.nextAt : null;
  }

  /** Drawn at random, so that shards that drain at once do not move in step. */
  #next(now: number, until: number, leastMs: number): number {
    const at = now + leastMs + this.#owner.entropy.random() * waveMs;
    return Math.max(now, Math.min(Math.floor(at), until));
  }

  #draw(sockets: Socket[], count: number): Socket[] {
    for (let index = 0; index < count; index += 1) {
      const left = sockets.length - index;
      const other = index + Math.floor(this.#owner.entropy.random() * left);
      const [one, drawn] = [sockets[index], sockets[other]];
      if (one === undefined || drawn === undefined) continue;
      sockets[index] = drawn;
      sockets[other] = one;
    }
    return sockets.slice(0, count);
  }
}
