/**
 * Who serves the slots of a world's room, and the hand that gives them to later generations or has them
 * drained, as a registry does it: it writes down the new one, then tells the sequencer until it has
 * heard. Gates follow in their own time. Where the registry does all that itself, only the objects are
 * here. Knows nothing of why.
 */
import { hub } from "../../src/core/partitions.ts";
import type { Caller } from "../../src/core/ports.ts";
import {
  generationOf,
  roomOfShard,
  shardId,
  slotOf,
  type ShardId,
} from "../../src/protocol/names.ts";
import { Violation, type Environment, type Outlet } from "./environment.ts";
import type { ShardHost } from "./shard-host.ts";

/** Of one slot. */
const maxGenerations = 4;

export class Generations {
  /** The objects of every generation. */
  readonly hosts = new Map<ShardId, ShardHost>();
  readonly #world: Environment;
  readonly #create: (shard: ShardId) => ShardHost;
  readonly #calls: Caller;
  readonly #newest = new Map<number, ShardId>();
  readonly #draining = new Set<ShardId>();
  /** The log's end when a generation was fenced: nothing later may reach its clients. */
  readonly #fencedAt = new Map<number, { readonly lowest: number; readonly head: number }>();

  constructor(world: Environment, create: (shard: ShardId) => ShardHost) {
    this.#world = world;
    this.#create = create;
    const outlet: Outlet = { busy: 0, isOver: false, output: (run) => run() };
    this.#calls = world.callerOf("registry/default", outlet);
  }

  start(shards: readonly ShardId[]): void {
    for (const shard of shards) this.#begin(shard);
  }

  /** The object, which the registry may have laid out by itself. */
  host(shard: ShardId): ShardHost {
    const known = this.hosts.get(shard);
    if (known !== undefined) return known;
    const newest = this.#newest.get(slotOf(shard));
    if (newest !== undefined && generationOf(newest) > generationOf(shard)) {
      const former = this.#create(shard);
      this.hosts.set(shard, former);
      return former;
    }
    return this.#begin(shard);
  }

  /** Where a gate hands over what it means for a slot: some know less than others. */
  route(shard: ShardId): ShardId {
    if (this.#isByRegistry) return shard;
    const known = this.#newest.get(slotOf(shard)) ?? shard;
    const newest = generationOf(known) > generationOf(shard) ? known : shard;
    const generation = generationOf(newest);
    const { random, network } = this.#world;
    if (generation === 1 || network.isHealed || !random.chance(0.15)) return newest;
    return shardId(roomOfShard(shard), slotOf(shard), 1 + random.below(generation));
  }

  /** The slot gets another object, whatever became of the one that it has. */
  fence(index: number): void {
    void this.#replace(this.#newestAt(index)).catch((error: unknown) => this.#world.fail(error));
  }

  drain(index: number): void {
    const shard = this.#newestAt(index);
    if (this.#draining.has(shard) || generationOf(shard) >= maxGenerations) return;
    this.#draining.add(shard);
    void this.#empty(shard).catch((error: unknown) => this.#world.fail(error));
  }

  /** Rows of the sequencer have become durable, with these fences among them. */
  stored(rows: Readonly<Record<string, unknown>>, head: number): void {
    for (const [name, lowest] of Object.entries(rows)) {
      if (!name.startsWith("fence/") || typeof lowest !== "number") continue;
      this.#fencedAt.set(Number(name.slice("fence/".length)), { lowest, head });
    }
  }

  /** A shard has had its clients sent everything up to `seq`. */
  checkDelivered(shard: ShardId, seq: number): void {
    const fence = this.#fencedAt.get(slotOf(shard));
    if (fence === undefined || generationOf(shard) >= fence.lowest || seq <= fence.head) return;
    // What the latest fence shut out may have been allowed more than those before it.
    throw new Violation("GD3", `${shard} was fenced at ${fence.head} and has delivered ${seq}`);
  }

  checkRest(): void {
    if (this.#isByRegistry) return;
    for (const [shard, { welcomed }] of this.hosts) {
      if (shard === this.#newestOf(slotOf(shard))) continue;
      for (const client of welcomed) {
        if (!client.isOpen) continue;
        throw new Violation("GD4", `client ${client.number} is still at ${shard}`);
      }
    }
  }

  /** Slots that have left are not there, so that there may be gaps. */
  #newestAt(index: number): ShardId {
    const all = [...this.#newest.values()];
    const newest = all[index % all.length];
    if (newest === undefined) throw new Error("the room has no slots");
    return newest;
  }

  get #isByRegistry(): boolean {
    return this.#world.options.failover === true;
  }

  #newestOf(slot: number): ShardId {
    const newest = this.#newest.get(slot);
    if (newest === undefined) throw new Error(`there is no slot ${slot}`);
    return newest;
  }

  #begin(shard: ShardId): ShardHost {
    const host = this.#create(shard);
    this.hosts.set(shard, host);
    this.#newest.set(slotOf(shard), shard);
    return host;
  }

  async #replace(former: ShardId): Promise<void> {
    const slot = slotOf(former);
    const generation = generationOf(former) + 1;
    if (this.#newestOf(slot) !== former || generation > maxGenerations) return;
    const room = roomOfShard(former);
    const next = shardId(room, slot, generation);
    this.#begin(next);
    const { timeline, random } = this.#world;
    await timeline.sleep(random.between(0, 200) * random.below(2));
    for (;;) {
      const request = { type: "fence", shard: next } as const;
      const heard = await this.#calls.call({ role: "sequencer", id: room }, request);
      if (heard.ok) return;
      await timeline.sleep(random.between(100, 2_000));
    }
  }

  /** The registry is told until it has heard: it has the shard emptied, and another in its place. */
  async #empty(shard: ShardId): Promise<void> {
    const { timeline, random } = this.#world;
    for (;;) {
      const request = { type: "drainShard", shard } as const;
      const told = await this.#calls.call({ role: "registry", id: hub }, request);
      if (told.ok || told.code !== "unreachable") return;
      await timeline.sleep(random.between(500, 3_000));
    }
  }
}
