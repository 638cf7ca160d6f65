/**
 * What one gate knows of where a room's sockets are: the registry's table, kept about a second, and
 * the gate's own choices since. Pure: time comes in. Knows nothing of the registry or of sockets.
 */
import type { ShardLoad } from "../protocol/registry-calls.ts";
import { generationOf, slotOf, type ShardId } from "../protocol/names.ts";
import type { Region } from "../protocol/registry.ts";
import type { Candidate, PlacementContext, PlacementStrategy } from "./placement.ts";

export type ShardCandidate = Candidate & { readonly id: ShardId };

/** A shard that takes sockets, and how many it is thought to have: a room may have a thousand of them. */
type Estimate = {
  readonly id: ShardId;
  readonly capacity: number;
  readonly reportedAt: number;
  readonly region?: Region;
  connections: number;
};

/** How long a table is used before the gate asks for a new one. */
const tableLifetimeMs = 1_000;
/** A gate whose question got no answer asks again after this. */
const refreshTimeoutMs = 2_000;
/** Choices are remembered until every report must have counted them. */
const choiceMemoryMs = 5_000;

export class PlacementTable {
  #shards: readonly ShardLoad[];
  #answeredAt = 0;
  #freshUntil = 0;
  #refreshingUntil = 0;
  #placed = 0;
  /** Sockets that come to the room for each that this gate places: other gates place too. */
  #share = 1;
  /** Times of this gate's choices, ascending, for each shard. */
  readonly #choices = new Map<ShardId, number[]>();
  /** In the order of the table, as of now. */
  #online: readonly Estimate[] = [];
  #byId: ReadonlyMap<ShardId, Estimate> = new Map();
  /** How many of them seem to be full. */
  #full = 0;

  /** Shards that did not take a socket, and until when others are chosen; the soonest is first. */
  readonly #passedOver = new Map<ShardId, number>();

  /** Starts from the room's configuration, every shard taken for empty. */
  constructor(shards: readonly ShardLoad[]) {
    this.#shards = shards;
    this.#estimate();
  }

  /**
   * Whether the caller should ask the registry now. Says so to one caller at a time: the others
   * place by what is known, so that calls are bounded by time and not by connects.
   */
  startRefresh(now: number): boolean {
    if (now < this.#freshUntil || now < this.#refreshingUntil) return false;
    this.beginRefresh(now);
    return true;
  }

  /** The registry is being asked, whether it was time to or not. */
  beginRefresh(now: number): void {
    this.#refreshingUntil = now + refreshTimeoutMs;
  }

  update(shards: readonly ShardLoad[], now: number): void {
    this.#estimateShare(shards);
    this.#shards = shards;
    this.#endRefresh(now);
    this.#estimate();
  }

  /** The registry did not answer: what is known serves until the next try, a lifetime later. */
  refreshFailed(now: number): void {
    this.#endRefresh(now);
    this.#estimate();
  }

  /**
   * The registry is being told of shards: another table says nothing new before it has looked. However
   * often it is told, no table is used for longer than twice its time.
   */
  holdOff(now: number): void {
    const from = Math.min(now, this.#answeredAt + tableLifetimeMs);
    this.#freshUntil = Math.max(this.#freshUntil, from + tableLifetimeMs);
  }

  isUnusedSince(time: number): boolean {
    return this.#freshUntil < time;
  }

  /** Whether the room has the shard, taking sockets or not. */
  has(shard: ShardId): boolean {
    return this.#shards.some(({ id }) => id === shard);
  }

  /** Whether it is one of those that sockets may go to. */
  takes(shard: ShardId): boolean {
    return this.#shards.some(({ id, status }) => id === shard && status === "online");
  }

  /** Whether a later object serves the shard's slot, so that this one never will again. */
  hasSuccessor(shard: ShardId): boolean {
    const [slot, generation] = [slotOf(shard), generationOf(shard)];
    return this.#shards.some(({ id }) => slotOf(id) === slot && generationOf(id) > generation);
  }

  /**
   * Chooses a shard, not one of `excluded`, and counts the choice. Shards in `crowded` regions, whose
   * least loaded has just refused, are chosen only when there are no others.
   */
  place(
    strategy: PlacementStrategy,
    asked: Omit<PlacementContext, "placed">,
    now: number,
    excluded: ReadonlySet<ShardId>,
    crowded: ReadonlySet<Region>,
  ): ShardCandidate | undefined {
    const candidates = this.#candidates(now, excluded, crowded);
    if (!hasAny(candidates)) return undefined;
    const context = { ...asked, placed: this.#placed };
    const { id, capacity, connections, region } = strategy(candidates, context);
    this.#placed += 1;
    const times = this.#choices.get(id);
    if (times === undefined) this.#choices.set(id, [now]);
    else times.push(now);
    this.#count(id, now, this.#share);
    return { id, capacity, connections, ...placeOf(region) };
  }

  /** A choice that came to nothing is not counted. */
  forget(shard: ShardId): void {
    const at = this.#choices.get(shard)?.pop();
    if (at !== undefined) this.#count(shard, at, -this.#share);
  }

  /** The shard did not take a socket: until a newer table is due, others are chosen that have space. */
  passOver(shard: ShardId, now: number): void {
    this.#passedOver.delete(shard);
    this.#passedOver.set(shard, now + tableLifetimeMs);
  }

  #endRefresh(now: number): void {
    this.#answeredAt = now;
    this.#freshUntil = now + tableLifetimeMs;
    this.#refreshingUntil = 0;
    for (const times of this.#choices.values()) {
      const kept = times.findIndex((at) => at > now - choiceMemoryMs);
      times.splice(0, kept === -1 ? times.length : kept);
    }
  }

  /**
   * Reports are of different ages, and between them only this gate's own choices are known. They
   * stand for the others' too: a shard that reported grew by so many while this gate chose it so often.
   */
  #estimateShare(shards: readonly ShardLoad[]): void {
    const known = new Map(this.#shards.map((shard) => [shard.id, shard]));
    let grown = 0;
    let chosen = 0;
    for (const { id, connections, reportedAt } of shards) {
      const before = known.get(id);
      if (before === undefined || reportedAt <= before.reportedAt) continue;
      grown += Math.max(0, connections - before.connections);
      chosen += this.#choicesSince(id, before.reportedAt) - this.#choicesSince(id, reportedAt);
    }
    if (chosen > 0) this.#share = Math.max(1, grown / chosen);
  }

  /** What there is on the shards that take sockets: as reported, and by the choices since. */
  #estimate(): void {
    const online: Estimate[] = [];
    for (const shard of this.#shards) {
      const { id, status, capacity, reportedAt, region } = shard;
      if (status !== "online") continue;
      const connections = shard.connections + this.#share * this.#choicesSince(id, reportedAt);
      online.push({ id, capacity, reportedAt, connections, ...placeOf(region) });
    }
    this.#online = online;
    this.#byId = new Map(online.map((each) => [each.id, each]));
    this.#full = online.filter(isFull).length;
  }

  /** A choice at that time stands for so many sockets more, or fewer. */
  #count(shard: ShardId, at: number, by: number): void {
    const estimate = this.#byId.get(shard);
    if (estimate === undefined || at < estimate.reportedAt) return;
    const wasFull = isFull(estimate);
    estimate.connections += by;
    this.#full += Number(isFull(estimate)) - Number(wasFull);
  }

  /** Shards that take sockets; those known to be full, or passed over, only when there is no other. */
  #candidates(
    now: number,
    excluded: ReadonlySet<ShardId>,
    crowded: ReadonlySet<Region>,
  ): readonly ShardCandidate[] {
    const online =
      excluded.size === 0 ? this.#online : this.#online.filter(({ id }) => !excluded.has(id));
    const withSpace = this.#full === 0 ? online : online.filter((shard) => !isFull(shard));
    if (withSpace.length === 0) return online;
    const willing = this.#willing(withSpace, now);
    if (crowded.size === 0) return willing;
    const elsewhere = willing.filter(({ region }) => region === undefined || !crowded.has(region));
    return elsewhere.length > 0 ? elsewhere : willing;
  }

  /** Those that are not passed over, or all when there is none. */
  #willing(shards: readonly Estimate[], now: number): readonly Estimate[] {
    for (const [shard, until] of this.#passedOver) {
      if (until > now) break;
      this.#passedOver.delete(shard);
    }
    if (this.#passedOver.size === 0) return shards;
    const willing = shards.filter(({ id }) => !this.#passedOver.has(id));
    return willing.length > 0 ? willing : shards;
  }

  #choicesSince(shard: ShardId, since: number): number {
    const times = this.#choices.get(shard);
    if (times === undefined) return 0;
    let index = times.length;
    while (index > 0 && (times[index - 1] ?? 0) >= since) index -= 1;
    return times.length - index;
  }
}

function isFull({ connections, capacity }: Estimate): boolean {
  return connections >= capacity;
}

function placeOf(region: Region | undefined): { readonly region?: Region } {
  return region === undefined ? {} : { region };
}

function hasAny<Each>(list: readonly Each[]): list is readonly [Each, ...Each[]] {
  return list.length > 0;
}
