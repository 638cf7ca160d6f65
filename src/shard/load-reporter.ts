/**
 * Tells the registry this shard's load: a second after it changed, and as a lease while the shard is
 * in use. Keeps no timer running on an idle shard, which would keep it from hibernating.
 *
 * In a room of several shards it goes by the open link, so that the sequencer can tell the registry of
 * all of them at once. Nothing answers on that way: when a link is over, what it carried last is said
 * again by a call.
 */
import { backoffMs } from "../core/backoff.ts";
import type { Counters } from "../core/counters.ts";
import type { Caller, Clock, Entropy } from "../core/ports.ts";
import type { LoadReply } from "../protocol/calls.ts";
import type { LinkLoad } from "../protocol/link.ts";
import type { ShardId } from "../protocol/names.ts";

/** At most one report in this time. */
const reportIntervalMs = 1_000;
/** What a link that ends carried for longer than this has arrived, and has been passed on. */
const onLinkMs = 3_000;
const retryBounds = { baseMs: 2_000, maxMs: 60_000 };

export type LoadReporterOwner = {
  readonly shard: ShardId;
  readonly registry: string;
  readonly leaseIntervalMs: number;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly calls: Caller;
  readonly load: () => LoadReply;
  /** Says it on the link; false when there is none. Left out where the room has one shard. */
  readonly sayOnLink?: ((load: LinkLoad) => boolean) | undefined;
  /** A later generation of the shard has its slot. */
  readonly onFenced: () => void;
  /** What was counted since the last report that arrived. */
  readonly counters: Counters;
  readonly wakeAt: (at: number) => void;
};

export class LoadReporter {
  readonly #owner: LoadReporterOwner;
  #nextAt: number | null = null;
  #lastAt = 0;
  #saidAt = -Infinity;
  #failures = 0;
  #isOver = false;

  constructor(owner: LoadReporterOwner) {
    this.#owner = owner;
  }

  /** The number of connections has changed, or who has a seat. */
  changed(): void {
    if (this.#nextAt !== null || this.#isOver) return;
    this.#nextAt = this.#owner.clock.now() + reportIntervalMs;
    this.#owner.wakeAt(this.#nextAt);
  }

  /** The shard is in use: renews the lease when its time has come. */
  used(): void {
    if (this.#owner.clock.now() - this.#lastAt >= this.#owner.leaseIntervalMs) this.changed();
  }

  /** The link is over, as it should be or because it broke: then the sequencer may be no more either. */
  linkEnded(isBroken: boolean): void {
    if (this.#owner.sayOnLink === undefined) return;
    if (isBroken || this.#owner.clock.now() - this.#saidAt < onLinkMs) this.changed();
  }

  /** Nothing is reported any more. */
  end(): void {
    this.#isOver = true;
    this.#nextAt = null;
  }

  nextDeadline(): number | null {
    return this.#nextAt;
  }

  wake(now: number): void {
    if (this.#nextAt === null || this.#nextAt > now) return;
    this.#nextAt = null;
    void this.#report(now);
  }

  async #report(now: number): Promise<void> {
    const { shard, registry, calls } = this.#owner;
    this.#lastAt = now;
    const { status, connections, players, reserved } = this.#owner.load();
    if (status === undefined && this.#sayOnLink({ type: "load", connections, reserved, at: now }))
      return;
    const counters = this.#owner.counters.take();
    const taken = players === null ? null : [...players];
    const draining = status === "draining" ? { status } : {};
    const load = { connections, players: taken, reserved, at: now, ...draining };
    const request = { type: "report", shard, ...load, counters } as const;
    const result = await calls.call({ role: "registry", id: registry }, request);
    if (result.ok) {
      this.#failures = 0;
      return;
    }
    if (result.code === "fenced") this.#owner.onFenced();
    if (this.#isOver) return;
    this.#owner.counters.add(counters);
    this.#failures += 1;
    const delay = backoffMs(this.#failures, this.#owner.entropy.random(), retryBounds);
    this.#nextAt ??= this.#owner.clock.now() + reportIntervalMs + delay;
    this.#owner.wakeAt(this.#nextAt);
  }
  /** What was counted goes by a call. */
  #sayOnLink(load: LinkLoad): boolean {
    const { counters, sayOnLink } = this.#owner;
    if (!counters.isEmpty || sayOnLink?.(load) !== true) return false;
    this.#saidAt = load.at;
    this.#failures = 0;
    return true;
  }
}
