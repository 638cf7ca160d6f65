/**
 * Carries out a schedule of the registry: the actions one after the other, then a healed network and
 * as much time as the registry's bounds say, then the end of everything. Throws the first violation.
 */
import { hub, partitionNames } from "../../../src/core/partitions.ts";
import { Violation } from "../environment.ts";
import { checkDirectory, checkNothingLeft, listRooms } from "./directory-judge.ts";
import { Operators } from "./operators.ts";
import { Players } from "./players.ts";
import type { RegistryAction, RegistrySchedule } from "./schedule.ts";
import { Servers } from "./servers.ts";
import { RegistryWorld, type AnyObject } from "./world.ts";

/** PartyKit's cron. */
const sweepMs = 60_000;
/** Requests that were given up still arrive within 30 s, and calls are tried again within 61 s. */
const settledMs = 100_000;
/** An empty room is forgotten after 60 s, is looked at again after another 60 s when it was not reached. */
const emptiedMs = 200_000;
/** Shards run the new code within so long. */
const deployMs = 20_000;

export async function simulateRegistry(schedule: RegistrySchedule): Promise<RegistryWorld> {
  const run = new Run(schedule);
  try {
    await run.all();
  } catch (error) {
    if (error instanceof Error && schedule.options.isTraced === true) {
      error.message += `\n${run.world.story.slice(-400).join("\n")}`;
    }
    throw error;
  }
  return run.world;
}

class Run {
  readonly world: RegistryWorld;
  readonly #schedule: RegistrySchedule;
  readonly #players: Players;
  readonly #operators: Operators;
  readonly #servers: Servers;
  #sweptAt: number;

  constructor(schedule: RegistrySchedule) {
    this.#schedule = schedule;
    this.world = new RegistryWorld(schedule.options);
    this.#players = new Players(this.world);
    this.#operators = new Operators(this.world);
    this.#servers = new Servers(this.world);
    this.#sweptAt = this.world.timeline.now;
    for (const name of partitionNames(schedule.options.partitions)) this.world.partition(name);
  }

  async all(): Promise<void> {
    for (const { action, gapMs } of this.#schedule.actions) {
      this.world.trace(() => `--- ${JSON.stringify(action)}`);
      await this.#act(action);
      await this.#pass(gapMs);
    }
    this.world.trace(() => "--- heal");
    this.world.network.heal();
    for (const each of this.world.objects) each.spare();
    await this.#pass(settledMs);
    await this.#visit();
    await this.#pass(settledMs);
    await this.#soon(checkDirectory(this.world));
    await this.#soon(this.#servers.checkDirectory());
    await this.#checkChanges();
    this.world.trace(() => "--- everybody leaves");
    this.#players.leaveAll();
    this.#servers.leaveAll();
    for (const { id } of this.#servers.running) this.#servers.kill(id);
    await this.#pass(emptiedMs);
    await this.#soon(this.#servers.checkDirectory());
    await this.#soon(checkNothingLeft(this.world));
  }

  async #act(action: RegistryAction): Promise<void> {
    const { world } = this;
    const players = this.#players;
    const servers = this.#servers;
    switch (action.type) {
      case "reserve":
        return world.start(players.reserve(action));
      case "race":
        for (let left = action.count; left > 0; left -= 1) {
          world.start(players.reserve(action.reserve));
        }
        return;
      case "join":
        return world.start(players.join(action.room, action.speaksProtocol));
      case "drop":
        return players.drop(action.player, action.isClean, action.backMs);
      case "create":
        return world.start(this.#operators.create(action));
      case "change":
        return world.start(this.#operators.change(action.room, action.isLocked, action.mode));
      case "dispose":
        return world.start(this.#operators.dispose(action.room));
      case "lock":
        return world.start(this.#operators.lock(action.key, action.ttlMs, action.holding));
      case "host":
        return world.start(servers.host(action));
      case "server":
        return servers.start(action.server, action.aheadMs);
      case "kill":
        return servers.kill(action.server);
      case "drain":
        return servers.drain(action.server);
      case "leave":
        return servers.leave(action.server);
      case "drop-there":
        return servers.drop(action.server, action.player);
      case "partitions":
        return this.#changePartitions(action.count);
      case "crash":
        return this.#object(action.object)?.crash(action.keep);
      case "crash-at-write":
        return this.#object(action.object)?.crashAtNextWrite(action.keep);
      case "evict":
        this.#object(action.object)?.evict();
        return;
      case "part":
        return this.#part(action.one, action.other, action.forMs);
      case "wait":
        return this.#pass(action.forMs);
      default:
        action satisfies never;
    }
  }

  /** A deployment: the registry's objects start anew, shards do within a while. */
  #changePartitions(count: number): void {
    const { world } = this;
    const { partitions } = world.rooms.deployment;
    // One deployment after the other: the hub must have seen the last.
    const seen = world.partition(hub).object.rows.values.get("partitions");
    if ((seen as { count: number } | undefined)?.count !== partitions && partitions > 1) return;
    world.changePartitions(count);
    for (const { object } of world.partitions) {
      object.crash(world.random.chance(0.5) ? "all" : "some");
    }
    for (const name of partitionNames(count)) world.partition(name);
    for (const { object } of world.shards.values()) {
      world.timeline.after(world.random.between(0, deployMs), () => object.crash("all"));
    }
  }

  /** Time passes, and on PartyKit the cron comes by. */
  async #pass(forMs: number): Promise<void> {
    const { timeline, options } = this.world;
    let left = forMs;
    while (left > 0) {
      const step = Math.min(left, sweepMs);
      await timeline.advance(step, this.world.check);
      left -= step;
      if (timeline.now - this.#sweptAt < sweepMs) continue;
      this.#sweptAt = timeline.now;
      if (options.host === "partykit") this.world.start(this.#sweep());
    }
    await timeline.advance(0, this.world.check);
    this.world.check();
  }

  async #sweep(): Promise<void> {
    const calls = this.world.outsider("cron");
    for (const id of partitionNames(this.world.rooms.deployment.partitions)) {
      const known = await calls.call({ role: "registry", id }, { type: "sweep" });
      if (!known.ok) continue;
      for (const room of known.value.rooms) {
        await calls.call({ role: "sequencer", id: room }, { type: "wake" });
      }
    }
  }

  /** Somebody asks the hub, and comes by at each room: an object that died is not missed before. */
  async #visit(): Promise<void> {
    const calls = this.world.outsider("gate/1");
    const servers = {
      type: "servers",
      kind: "server",
      roomType: null,
      after: null,
      limit: 1,
    } as const;
    await this.#soon(calls.call({ role: "registry", id: hub }, servers));
    for (const shard of this.world.shards.keys()) {
      await this.#soon(calls.call({ role: "shard", id: shard }, { type: "load" }));
    }
  }

  /** What was changed and answered outlives the partitions' memory. */
  async #checkChanges(): Promise<void> {
    const changed = new Set<string>();
    for (const { roomId } of await this.#soon(listRooms(this.world))) {
      const isDone = await this.#soon(this.#operators.change(roomId, true, "changed"));
      if (isDone) changed.add(roomId);
    }
    for (const { object } of this.world.partitions) object.crash("none");
    for (const { roomId, isLocked, metadata } of await this.#soon(listRooms(this.world))) {
      if (!changed.has(roomId)) continue;
      if (isLocked && metadata["mode"] === "changed") continue;
      throw new Violation("DI1", `"${roomId}" has lost its lock or metadata`);
    }
  }

  async #soon<Value>(work: Promise<Value>): Promise<Value> {
    const box: { settled?: Promise<Value> } = {};
    const settle = (): void => {
      box.settled = work;
    };
    work.then(settle, settle);
    for (let tries = 0; tries < 100 && box.settled === undefined; tries += 1) {
      await this.world.timeline.advance(100, this.world.check);
    }
    if (box.settled === undefined) throw new Violation("FA1", "a request hangs");
    return box.settled;
  }

  #part(one: number, other: number, forMs: number): void {
    const addresses = [
      ...this.world.objects.map((each) => each.address),
      "gate/1",
      "gate/2",
      "gate/3",
      ...this.#servers.addresses,
    ];
    const [from, to] = [pick(addresses, one), pick(addresses, other)];
    if (from !== undefined && to !== undefined && from !== to) {
      this.world.network.part(from, to, forMs);
    }
  }

  #object(number: number): AnyObject | undefined {
    return pick(this.world.objects, number);
  }
}

function pick<Item>(items: readonly Item[], number: number): Item | undefined {
  return items[number % items.length];
}
