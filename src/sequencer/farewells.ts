/**
 * Shards of former generations that still had clients when they were fenced: each is told that it is
 * over, so that those clients come back elsewhere instead of waiting for messages that go to others.
 * Tried again for some minutes, which a later life goes on with. Knows nothing of links.
 */
import { backoffMs } from "../core/backoff.ts";
import type { Caller, Clock, Entropy } from "../core/ports.ts";
import { slotOf, type ShardId } from "../protocol/names.ts";
import { failure, success, type Result } from "../protocol/result.ts";
import type { Journal } from "./journal.ts";

const retryBounds = { baseMs: 1_000, maxMs: 60_000 };
/** Then nobody will hear: whoever is there still learns it when it next asks for anything. */
const maxTries = 20;

export type FarewellsOwner = {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly calls: Caller;
  readonly journal: Journal;
  readonly count: (what: string) => void;
  readonly wakeAt: (at: number) => void;
  readonly wakeDurably: () => void;
};

/** `nextAt` is `null` while the call is under way. */
type Untold = { failures: number; nextAt: number | null; telling: Promise<void> };

export class Farewells {
  readonly #owner: FarewellsOwner;
  readonly #untold = new Map<ShardId, Untold>();

  constructor(owner: FarewellsOwner) {
    this.#owner = owner;
  }

  restore(shards: ReadonlyMap<ShardId, number>): void {
    for (const [shard, failures] of shards) this.#begin(shard, failures);
  }

  say(shard: ShardId): void {
    if (this.#untold.has(shard)) return;
    this.#owner.journal.writeOver(shard, 0);
    this.#begin(shard, 0);
  }

  /**
   * Whether all who had the slot before have heard, or never will. Where no alarm wakes this object, and
   * nobody else has to do with the room, it is whoever asks this again who wakes it.
   */
  async areSaid(slot: number): Promise<Result<null, "unavailable">> {
    const ofSlot = (): Untold[] =>
      [...this.#untold].flatMap(([shard, untold]) => (slotOf(shard) === slot ? untold : []));
    await Promise.all(ofSlot().map(({ telling }) => telling));
    if (ofSlot().length === 0) return success(null);
    return failure("unavailable", "a former object of the slot has not heard that it is over");
  }

  /** Time has passed. */
  wake(now: number): void {
    for (const [shard, untold] of this.#untold) {
      if (untold.nextAt === null || untold.nextAt > now) continue;
      untold.telling = this.#tell(shard, untold);
    }
    if (this.#untold.size > 0) this.#owner.wakeDurably();
  }

  nextDeadline(): number | null {
    const times = [...this.#untold.values()].flatMap(({ nextAt }) => nextAt ?? []);
    return times.length === 0 ? null : Math.min(...times);
  }

  #begin(shard: ShardId, failures: number): void {
    const untold: Untold = { failures, nextAt: null, telling: Promise.resolve() };
    this.#untold.set(shard, untold);
    this.#owner.wakeDurably();
    untold.telling = this.#tell(shard, untold);
  }

  async #tell(shard: ShardId, untold: Untold): Promise<void> {
    const { calls, clock, count, entropy, journal, wakeAt } = this.#owner;
    untold.nextAt = null;
    const told = await calls.call({ role: "shard", id: shard }, { type: "fenced" });
    untold.failures += 1;
    if (!told.ok && untold.failures < maxTries) {
      journal.writeOver(shard, untold.failures);
      untold.nextAt = clock.now() + backoffMs(untold.failures, entropy.random(), retryBounds);
      wakeAt(untold.nextAt);
      return;
    }
    if (!told.ok) count("fenced_shards_unreached");
    this.#untold.delete(shard);
    journal.deleteOver(shard);
  }
}
