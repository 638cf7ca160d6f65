/** What is known of the load of one room's shards. */
import type { Slot } from "../core/layout.ts";

export type ShardCount = { readonly connections: number; readonly reserved: number };

/** No report arrives later than this. */
const maxDelayMs = 60_000;

/** Which object of the room. */
type Key = Pick<Slot, "number" | "generation">;
/** `at`: the shard's own time when it was so. */
type Told = ShardCount & { readonly at?: number | undefined };

type Entry = {
  readonly number: number;
  readonly generation: number;
  connections: number;
  reserved: number;
  reportedAt: number;
  /** The shard's own time when its counts were true. */
  trueAt: number;
  /** It was asked and did not answer: it may have clients. */
  isUnreached: boolean;
};

/** Of more shards than these the newest of each slot are found without looking at the others. */
const fewShards = 8;

export class ShardCounts {
  readonly #entries: Entry[] = [];
  #newest: Map<number, Entry> | null = null;

  get unreached(): number {
    let count = 0;
    for (const { isUnreached } of this.#entries) if (isUnreached) count += 1;
    return count;
  }

  /** Whether every shard has told its counts. */
  areAllKnown(slots: readonly Key[]): boolean {
    return slots.every((slot) => this.reportedAt(slot) > 0);
  }

  at(slot: Key): ShardCount {
    const { connections = 0, reserved = 0 } = this.#find(slot) ?? {};
    return { connections, reserved };
  }

  /** When the counts of a shard were true; 0 when they never were told. */
  reportedAt(slot: Key): number {
    return this.#find(slot)?.reportedAt ?? 0;
  }

  /** Whether the shard has told something newer, which came first. */
  isOvertaken(slot: Key, at: number | undefined): boolean {
    const newest = this.#find(slot)?.trueAt ?? 0;
    // By more only a clock that was wrong and is right again can differ.
    return at !== undefined && at < newest && at > newest - maxDelayMs;
  }

  /** Returns by how much both have grown. */
  report(slot: Key, { connections, reserved, at }: Told, now: number): ShardCount {
    const entry = this.#entry(slot);
    if (at !== undefined) entry.trueAt = at;
    const grown = {
      connections: connections - entry.connections,
      reserved: reserved - entry.reserved,
    };
    Object.assign(entry, { connections, reserved, reportedAt: now, isUnreached: false });
    return grown;
  }

  /** Seats held since the last report; it counts the next ones. */
  hold(slot: Key, seats: number): void {
    this.#entry(slot).reserved += seats;
  }

  notReached(slot: Key): void {
    this.#entry(slot).isUnreached = true;
  }

  /** The shard is no more. Returns what was counted there. */
  drop(slot: Key): ShardCount {
    const entry = this.#find(slot);
    if (entry === undefined) return { connections: 0, reserved: 0 };
    this.#entries.splice(this.#entries.indexOf(entry), 1);
    if (this.#newest?.get(slot.number) === entry) this.#newest.delete(slot.number);
    return entry;
  }

  #entry(slot: Key): Entry {
    const known = this.#find(slot);
    if (known !== undefined) return known;
    const { number, generation } = slot;
    const none = { connections: 0, reserved: 0, reportedAt: 0, trueAt: 0, isUnreached: false };
    const entry = { number, generation, ...none };
    this.#entries.push(entry);
    if (this.#newest !== null) this.#newest.set(number, entry);
    else if (this.#entries.length > fewShards) {
      this.#newest = new Map(this.#entries.map((each) => [each.number, each]));
    }
    return entry;
  }

  #find({ number, generation }: Key): Entry | undefined {
    const newest = this.#newest?.get(number);
    if (newest?.generation === generation) return newest;
    return this.#entries.find((each) => each.number === number && each.generation === generation);
  }
}
