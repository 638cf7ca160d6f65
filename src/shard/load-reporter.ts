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
import type { StateFailures } from "./state-failures.ts";

/** At most one report in this time. */
const reportIntervalMs = 1_000;
/**
 * Links may end all at once, as many as the room has shards: what they carried last is said again at
 * some time after the interval, drawn at random.
 */
const spreadMs = 2_000;
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
  /** What is told beside. */
  readonly failures: StateFailures;
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
    this.#reportIn(reportIntervalMs);
  }

  /** The shard is in use: renews the lease when its time has come. */
  used(): void {
    if (this.#owner.clock.now() - this.#lastAt >= this.#owner.leaseIntervalMs) this.changed();
  }

  /** The link is over, as it should be or because it broke: then the sequencer may be no more either. */
  linkEnded(isBroken: boolean): void {
    if (this.#owner.sayOnLink === undefined) return;
    if (!isBroken && this.#owner.clock.now() - this.#saidAt >= onLinkMs) return;
    this.#reportIn(reportIntervalMs + Math.floor(this.#owner.entropy.random() * spreadMs));
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

  #reportIn(ms: number): void {
    if (this.#nextAt !== null || this.#isOver) return;
    this.#nextAt = this.#owner.clock.now() + ms;
    this.#owner.wakeAt(this.#nextAt);
  }

  async #report(now: number): Promise<void> {
    const { shard, registry, calls } = this.#owner;
    this.#lastAt = now;
    const load = this.#owner.load();
    if (this.#sayOnLink(load, now)) return;
    const { status, connections, players, reserved } = load;
    const counters = this.#owner.counters.take();
    const taken = players === null ? null : [...players];
    const draining = status === "draining" ? { status } : {};
    const failures = this.#owner.failures.take();
    const told = failures.length === 0 ? {} : { failures };
    const said = { connections, players: taken, reserved, at: now, ...draining, ...told };
    const request = { type: "report", shard, ...said, counters } as const;
    const result = await calls.call({ role: "registry", id: registry }, request);
    if (result.ok) {
      this.#failures = 0;
      return;
    }
    if (result.code === "fenced") this.#owner.onFenced();
    if (this.#isOver) return;
    this.#owner.counters.add(counters);
    this.#owner.failures.giveBack(failures);
    this.#failures += 1;
    const delay = backoffMs(this.#failures, this.#owner.entropy.random(), retryBounds);
    this.#nextAt ??= this.#owner.clock.now() + reportIntervalMs + delay;
    this.#owner.wakeAt(this.#nextAt);
  }

  /** What a link does not carry goes by a call. */
  #sayOnLink({ status, connections, players, reserved }: LoadReply, at: number): boolean {
    const { counters, failures, sayOnLink } = this.#owner;
    if (status !== undefined || players !== null) return false;
    if (!counters.isEmpty || !failures.isEmpty) return false;
    if (sayOnLink?.({ type: "load", connections, reserved, at }) !== true) return false;
    this.#saidAt = at;
    this.#failures = 0;
    return true;
  }
}
