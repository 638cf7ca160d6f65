/**
 * What a gate has seen of shards that did not take a socket, and telling the registry of it. Knows
 * nothing of what the registry makes of that.
 */
import type { Rooms } from "../core/rooms.ts";
import type { RequestTo } from "../protocol/calls.ts";
import { roomOfShard, type RoomId, type ShardId } from "../protocol/names.ts";
import type { GatePorts } from "./ports.ts";

/**
 * Of a room's shards one call tells at most once in this time, whatever the number of those that died;
 * of one that has too much to do, a call of its own.
 */
const intervalMs = 1_000;
/** A shard that was too slow so often in a row is told of. */
const slowTimes = 2;
/** So long a registry is waited for that does not answer. */
const patienceMs = 1_000;
const maxShards = 1_000;
const maxRooms = 1_000;

type Suspicion = Extract<RequestTo<"registry">, { type: "suspect" }>;
/** Shards of one room that the registry is to be told of, and when it was told last. */
type Untold = { readonly shards: Set<ShardId>; toldAt: number };

export class Suspects {
  readonly #rooms: Rooms;
  /** How often in a row a shard was too slow, or could not be reached. */
  readonly #slow = new Map<ShardId, number>();
  readonly #untold = new Map<RoomId, Untold>();
  /** When the registry was told that the shard has too much to do. */
  readonly #spared = new Map<ShardId, number>();
  /** The registry is being told of shards that cannot be reached. */
  readonly #onTold: (room: RoomId, now: number) => void;

  constructor(rooms: Rooms, onTold: (room: RoomId, now: number) => void) {
    this.#rooms = rooms;
    this.#onTold = onTold;
  }

  /** The shard took a socket, or refused it with a reason. */
  answered(shard: ShardId): void {
    if (this.#slow.delete(shard)) this.#untold.get(roomOfShard(shard))?.shards.delete(shard);
  }

  /** The shard says that it serves no more. What was told of it counts on: that it answers is no news. */
  left(shard: ShardId): void {
    if (this.#slow.has(shard)) this.#slow.set(shard, 0);
  }

  /** A table of later names a shard that has left: the registry does not know it, and is to look. */
  async stillNamed(shard: ShardId, ports: GatePorts): Promise<void> {
    await this.#suspect(shard, ports);
  }

  /** A call to the shard failed, or had no answer in its time. */
  async notReached(shard: ShardId, isSlow: boolean, ports: GatePorts): Promise<void> {
    const slow = (this.#slow.get(shard) ?? 0) + 1;
    if (this.#slow.size >= maxShards) this.#slow.clear();
    this.#slow.set(shard, slow);
    // One that was slow once is asked about when another is.
    this.#untoldOf(roomOfShard(shard)).shards.add(shard);
    if (!isSlow || slow >= slowTimes) await this.#suspect(shard, ports);
  }

  /** The platform says that the shard has too much to do: other gates are to spare it too. */
  async overloaded(shard: ShardId, ports: GatePorts): Promise<void> {
    const now = ports.clock.now();
    this.answered(shard);
    if (now < (this.#spared.get(shard) ?? -Infinity) + intervalMs) return;
    if (this.#spared.size >= maxShards) this.#spared.clear();
    this.#spared.set(shard, now);
    await this.#tell({ type: "suspect", shard, isOverloaded: true }, ports);
  }

  async #suspect(shard: ShardId, ports: GatePorts): Promise<void> {
    const now = ports.clock.now();
    const untold = this.#untoldOf(roomOfShard(shard));
    untold.shards.add(shard);
    if (now < untold.toldAt + intervalMs) return;
    untold.toldAt = now;
    untold.shards.delete(shard);
    const others = [...untold.shards];
    untold.shards.clear();
    this.#onTold(roomOfShard(shard), now);
    await this.#tell({ type: "suspect", shard, ...(others.length === 0 ? {} : { others }) }, ports);
  }

  async #tell(told: Suspicion, ports: GatePorts): Promise<void> {
    const partition = this.#rooms.partitionOf(roomOfShard(told.shard));
    await ports.within(patienceMs, () =>
      ports.calls.call({ role: "registry", id: partition }, told),
    );
  }

  #untoldOf(room: RoomId): Untold {
    const known = this.#untold.get(room);
    if (known !== undefined) return known;
    if (this.#untold.size >= maxRooms) this.#untold.clear();
    const untold = { shards: new Set<ShardId>(), toldAt: -Infinity };
    this.#untold.set(room, untold);
    return untold;
  }
}
