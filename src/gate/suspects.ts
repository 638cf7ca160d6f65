/**
 * What a gate has seen of shards that did not take a socket, and telling the registry of it. Knows
 * nothing of what the registry makes of that.
 */
import type { Rooms } from "../core/rooms.ts";
import type { RequestTo } from "../protocol/calls.ts";
import { roomOfShard, type ShardId } from "../protocol/names.ts";
import type { GatePorts } from "./ports.ts";

/** A shard is told of at most once in this time. */
const intervalMs = 1_000;
/** A shard that was too slow so often in a row is told of. */
const slowTimes = 2;
/** So long a registry is waited for that does not answer. */
const patienceMs = 1_000;
const maxShards = 1_000;

type Suspicion = Extract<RequestTo<"registry">, { type: "suspect" }>;
type Seen = { slow: number; toldAt: number };

export class Suspects {
  readonly #rooms: Rooms;
  readonly #seen = new Map<ShardId, Seen>();

  constructor(rooms: Rooms) {
    this.#rooms = rooms;
  }

  /** The shard took a socket, or refused it with a reason. */
  answered(shard: ShardId): void {
    this.#seen.delete(shard);
  }

  /** The shard says that it serves no more. What was told of it counts on: that it answers is no news. */
  left(shard: ShardId): void {
    const seen = this.#seen.get(shard);
    if (seen !== undefined) seen.slow = 0;
  }

  /** A table of later names a shard that has left: the registry does not know it, and is to look. */
  async stillNamed(shard: ShardId, ports: GatePorts): Promise<void> {
    await this.#suspect(shard, ports);
  }

  /** A call to the shard failed, or had no answer in its time. */
  async notReached(shard: ShardId, isSlow: boolean, ports: GatePorts): Promise<void> {
    const seen = this.#of(shard);
    seen.slow += 1;
    if (!isSlow || seen.slow >= slowTimes) await this.#suspect(shard, ports);
  }

  /** The platform says that the shard has too much to do: other gates are to spare it too. */
  async overloaded(shard: ShardId, ports: GatePorts): Promise<void> {
    const now = ports.clock.now();
    const seen = this.#of(shard);
    seen.slow = 0;
    if (now < seen.toldAt + intervalMs) return;
    seen.toldAt = now;
    await this.#tell({ type: "suspect", shard, isOverloaded: true }, ports);
  }

  async #suspect(shard: ShardId, ports: GatePorts): Promise<void> {
    const now = ports.clock.now();
    const seen = this.#of(shard);
    if (now < seen.toldAt + intervalMs) return;
    seen.toldAt = now;
    await this.#tell({ type: "suspect", shard }, ports);
  }

  async #tell(told: Suspicion, ports: GatePorts): Promise<void> {
    const partition = this.#rooms.partitionOf(roomOfShard(told.shard));
    await ports.within(patienceMs, () =>
      ports.calls.call({ role: "registry", id: partition }, told),
    );
  }

  #of(shard: ShardId): Seen {
    const known = this.#seen.get(shard);
    if (known !== undefined) return known;
    if (this.#seen.size >= maxShards) this.#seen.clear();
    const seen = { slow: 0, toldAt: -Infinity };
    this.#seen.set(shard, seen);
    return seen;
  }
}
