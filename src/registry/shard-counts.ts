/** What is known of the load of one room's shards, by their number from 0. */
import type { RoomType } from "../core/rooms.ts";

export type ShardCount = { readonly connections: number; readonly reserved: number };

/** No report arrives later than this. */
const maxDelayMs = 60_000;

export class ShardCounts {
  readonly #connections: number[];
  readonly #reserved: number[];
  readonly #reportedAt: number[];
  /** The shard's own time when its counts were true. */
  readonly #trueAt: number[] = [];
  /** Shards that were asked and did not answer: they may have clients. */
  #unreached: Set<number> | null = null;

  constructor({ shards }: RoomType) {
    this.#connections = Array.from({ length: shards }, () => 0);
    this.#reserved = Array.from({ length: shards }, () => 0);
    this.#reportedAt = Array.from({ length: shards }, () => 0);
  }

  get unreached(): number {
    return this.#unreached?.size ?? 0;
  }

  /** Whether every shard has told its counts. */
  areAllKnown(): boolean {
    return this.#reportedAt.every((at) => at > 0);
  }

  at(shard: number): ShardCount {
    return { connections: this.#connections[shard] ?? 0, reserved: this.#reserved[shard] ?? 0 };
  }

  /** When the counts of a shard were true; 0 when they never were told. */
  reportedAt(shard: number): number {
    return this.#reportedAt[shard] ?? 0;
  }

  /** Whether the shard has told something newer, which came first. */
  isOvertaken(shard: number, at: number | undefined): boolean {
    const newest = this.#trueAt[shard] ?? 0;
    // By more only a clock that was wrong and is right again can differ.
    return at !== undefined && at < newest && at > newest - maxDelayMs;
  }

  /** Returns by how much both have grown. */
  report(
    shard: number,
    { connections, reserved, at }: ShardCount & { readonly at?: number | undefined },
    now: number,
  ): ShardCount {
    if (at !== undefined) this.#trueAt[shard] = at;
    const before = this.at(shard);
    this.#connections[shard] = connections;
    this.#reserved[shard] = reserved;
    this.#reportedAt[shard] = now;
    this.#unreached?.delete(shard);
    return {
      connections: connections - before.connections,
      reserved: reserved - before.reserved,
    };
  }

  /** Seats held since the last report; it counts the next ones. */
  hold(shard: number, seats: number): void {
    this.#reserved[shard] = (this.#reserved[shard] ?? 0) + seats;
  }

  notReached(shard: number): void {
    this.#unreached ??= new Set();
    this.#unreached.add(shard);
  }
}
