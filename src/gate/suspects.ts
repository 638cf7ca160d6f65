/**
 * What a gate has seen of shards that did not take a socket, and telling the registry of it. Knows
 * nothing of what the registry makes of that.
 */
import type { Rooms } from "../core/rooms.ts";
import { roomOfShard, type RoomId, type ShardId } from "../protocol/names.ts";
import type { GatePorts } from "./ports.ts";

/** Of a room's shards one call tells at most once in this time, whatever the number of those that died. */
const intervalMs = 1_000;
/** A shard that was too slow so often in a row is told of. */
const slowTimes = 2;
/** So long a registry is waited for that does not answer. */
const patienceMs = 1_000;
const maxShards = 1_000;
const maxRooms = 1_000;

/** Shards of one room that the registry is to be told of, and when it was told last. */
type Untold = { readonly shards: Set<ShardId>; toldAt: number };

export class Suspects {
  readonly #rooms: Rooms;
  /** How often in a row a shard was too slow, or could not be reached. */
  readonly #slow = new Map<ShardId, number>();
  readonly #untold = new Map<RoomId, Untold>();

  constructor(rooms: Rooms) {
    this.#rooms = rooms;
  }

  /** The shard took a socket, or refused it with a reason. */
  answered(shard: ShardId): void {
    if (this.#slow.delete(shard)) this.#untold.get(roomOfShard(shard))?.shards.delete(shard);
  }

  /** A call to the shard failed, or had no answer in its time. */
  async notReached(shard: ShardId, isSlow: boolean, ports: GatePorts): Promise<void> {
    const now = ports.clock.now();
    const room = roomOfShard(shard);
    const slow = (this.#slow.get(shard) ?? 0) + 1;
    if (this.#slow.size >= maxShards) this.#slow.clear();
    this.#slow.set(shard, slow);
    const untold = this.#untoldOf(room);
    // One that was slow once is asked about when another is.
    untold.shards.add(shard);
    if ((isSlow && slow < slowTimes) || now < untold.toldAt + intervalMs) return;
    untold.toldAt = now;
    untold.shards.delete(shard);
    const others = [...untold.shards];
    untold.shards.clear();
    const request = { type: "suspect", shard } as const;
    await ports.within(patienceMs, () =>
      ports.calls.call(
        { role: "registry", id: this.#rooms.partitionOf(room) },
        others.length === 0 ? request : { ...request, others },
      ),
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
