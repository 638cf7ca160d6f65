/**
 * What shards say of their load on their links, gathered for the registry: two calls a second for
 * the whole room instead of one for each shard. Knows nothing of links, nor of what a load means.
 */
import { backoffMs } from "../core/backoff.ts";
import type { Caller, Clock, Entropy } from "../core/ports.ts";
import type { LinkLoad } from "../protocol/link.ts";
import { roomOfShard, type ShardId } from "../protocol/names.ts";

/** Short, as it puts off when a shard that falls silent is missed. */
const intervalMs = 500;
const retryBounds = { baseMs: 1_000, maxMs: 60_000 };

export type LoadRelayOwner = {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly calls: Caller;
  /** The registry object that keeps this room. */
  readonly registry: string;
  readonly wakeAt: (at: number) => void;
};

export class LoadRelay {
  readonly #owner: LoadRelayOwner;
  /** The newest of each shard that the registry has not been told. */
  readonly #loads = new Map<ShardId, LinkLoad>();
  /** `null` while there is nothing to tell, or the registry is being told. */
  #nextAt: number | null = null;
  #isCalling = false;
  #lastAt = -Infinity;
  #failures = 0;

  constructor(owner: LoadRelayOwner) {
    this.#owner = owner;
  }

  take(shard: ShardId, load: LinkLoad): void {
    this.#loads.set(shard, load);
    this.#plan(this.#lastAt + intervalMs);
  }

  nextDeadline(): number | null {
    return this.#nextAt;
  }

  /** Time has passed. */
  wake(now: number): void {
    if (this.#nextAt === null || this.#nextAt > now) return;
    this.#nextAt = null;
    void this.#tell(now);
  }

  async #tell(now: number): Promise<void> {
    const { calls, clock, entropy, registry } = this.#owner;
    const told = new Map(this.#loads);
    const [first] = told.keys();
    if (first === undefined) return;
    this.#loads.clear();
    this.#lastAt = now;
    this.#isCalling = true;
    const loads = Array.from(told, ([shard, { connections, reserved, at }]) => {
      return { shard, connections, reserved, at };
    });
    const request = { type: "reports", room: roomOfShard(first), loads } as const;
    const reply = await calls.call({ role: "registry", id: registry }, request);
    this.#isCalling = false;
    const again = reply.ok ? reply.value.again : told.keys();
    for (const shard of again) this.#keep(shard, told.get(shard));
    this.#failures = reply.ok && reply.value.again.length === 0 ? 0 : this.#failures + 1;
    const pauseMs =
      this.#failures === 0 ? 0 : backoffMs(this.#failures, entropy.random(), retryBounds);
    this.#plan(Math.max(this.#lastAt + intervalMs, clock.now() + pauseMs));
  }

  /** Unless the shard has said something newer. */
  #keep(shard: ShardId, load: LinkLoad | undefined): void {
    if (load !== undefined && !this.#loads.has(shard)) this.#loads.set(shard, load);
  }

  #plan(at: number): void {
    if (this.#isCalling || this.#nextAt !== null || this.#loads.size === 0) return;
    this.#nextAt = Math.max(at, this.#owner.clock.now());
    this.#owner.wakeAt(this.#nextAt);
  }
}
