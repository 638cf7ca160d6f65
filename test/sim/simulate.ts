/**
 * Carries out a schedule: the actions one after the other, then a healed network until the world
 * rests, then one more write. Throws the first violation.
 */
import { shardId, slotOf, type ShardId } from "../../src/protocol/names.ts";
import type { Client } from "./client.ts";
import { Disasters } from "./disasters.ts";
import { Violation } from "./environment.ts";
import { Outside } from "./outside.ts";
import { ReferenceClients } from "./reference-clients.ts";
import { noFaults } from "./network.ts";
import type { Action, Schedule } from "./schedule.ts";
import type { Link } from "./link.ts";
import { room, World, type AnyObject } from "./world.ts";

/** PartyKit's cron. */
const sweepMs = 60_000;
/** What is further away than this is the end of a snapshot's life. */
const quietMs = 3_600_000;
/** What could not be reached has been tried again. */
const retriedMs = 30_000;
/** Where nothing goes wrong, a client is in by then. */
const welcomedMs = 2_000;

export async function simulate(schedule: Schedule): Promise<World> {
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
  readonly world: World;
  readonly #outside: Outside;
  readonly #speakers: ReferenceClients;
  readonly #disasters: Disasters;
  readonly #schedule: Schedule;
  #sweptAt: number;

  constructor(schedule: Schedule) {
    this.#schedule = schedule;
    this.world = new World(schedule.options);
    this.#outside = new Outside(this.world);
    this.#speakers = new ReferenceClients(this.world, this.#outside);
    this.#disasters = new Disasters(this.world);
    this.#sweptAt = this.world.timeline.now;
  }

  async all(): Promise<void> {
    await this.#begin();
    for (const { action, gapMs } of this.#schedule.actions) {
      this.world.trace(() => `--- ${JSON.stringify(action)}`);
      await this.#act(action);
      await this.#pass(gapMs);
    }
    this.world.trace(() => "--- heal");
    this.world.network.heal();
    for (const each of this.world.objects) each.spare();
    await this.#followAudience();
    await this.#rest();
    await this.#sweepAndRest();
    this.#checkRest();
    await this.#finish();
  }

  /** What a room is sent before its first client may have left the log before anybody asks for it. */
  async #begin(): Promise<void> {
    const { network, timeline, options, check } = this.world;
    if (options.snapshotIntervalMs === undefined) return;
    network.rates = noFaults;
    this.#outside.connect();
    await timeline.advance(welcomedMs, check);
    network.rates = options.rates;
  }

  /** Calls that were late, of which the last may have said how many shards there are to be, have come. */
  async #followAudience(): Promise<void> {
    if (this.world.options.failover !== true) return;
    await this.#pass(retriedMs);
    this.#disasters.act({ type: "resize", shards: null });
  }

  async #act(action: Action): Promise<void> {
    const { world } = this;
    const outside = this.#outside;
    switch (action.type) {
      case "publish":
        return outside.publish(action.kind, action.padding, action.topic);
      case "burst":
        for (let left = action.count; left > 0; left -= 1) {
          outside.publish("plain", action.padding ?? 0, action.topic);
        }
        return;
      case "connect":
        for (let left = action.count; left > 0; left -= 1) outside.connect(action.topics);
        return;
      case "leave":
        return this.#client(action.client)?.leave();
      case "drop":
        return this.#client(action.client)?.break();
      case "everybody-leaves":
        for (const client of world.clients) client.leave();
        return;
      case "crash":
        return this.#object(action.object)?.crash(action.keep);
      case "crash-at-write":
        return this.#object(action.object)?.crashAtNextWrite(action.keep);
      case "evict":
        this.#object(action.object)?.evict();
        return;
      case "hibernate":
        await this.#pass(action.forMs);
        for (const each of world.objects) each.evict();
        return;
      case "part":
        return this.#part(action.one, action.other, action.forMs);
      case "break-link":
        return this.#link(action.link)?.break(action.unnoticedMs);
      case "status":
        return outside.status();
      case "probe":
        return outside.probe();
      case "sweep":
        void this.#sweep();
        return;
      case "fence":
        return world.generations.fence(action.shard);
      case "drain":
        return world.generations.drain(action.shard);
      case "wait":
        return this.#pass(action.forMs);
      case "cut-off":
      case "sick":
      case "suspect":
      case "migrate":
      case "empty":
      case "state":
      case "resize":
      case "role-crash":
        return this.#disasters.act(action);
      default:
        return this.#speakers.act(action);
    }
  }

  /** Time passes, and on PartyKit the cron comes by. */
  async #pass(forMs: number): Promise<void> {
    const { timeline } = this.world;
    await timeline.advance(forMs, this.world.check);
    this.world.check();
    if (timeline.now - this.#sweptAt < sweepMs) return;
    this.#sweptAt = timeline.now;
    if (this.world.options.host === "partykit") void this.#sweep();
  }

  /** As the cron of a PartyKit deployment does it. */
  async #sweep(): Promise<void> {
    const cron = { busy: 0, isOver: false, output: (run: () => void) => run() };
    const calls = this.world.callerOf("cron", cron);
    const known = await calls.call({ role: "registry", id: "default" }, { type: "sweep" });
    if (!known.ok) return;
    for (const id of known.value.rooms) {
      await calls.call({ role: "sequencer", id }, { type: "wake" });
    }
  }

  async #rest(): Promise<void> {
    await this.world.timeline.rest(this.world.check, quietMs);
    this.world.check();
  }

  async #sweepAndRest(): Promise<void> {
    if (this.world.options.host !== "partykit") return;
    void this.#sweep();
    await this.#rest();
  }

  #checkRest(): void {
    if (this.world.sequencer.links.size > 0) throw new Violation("LK1", "a link stays open");
    this.world.generations.checkRest();
    this.#disasters.checkRest();
    this.world.invariants.checkRest();
    this.#outside.checkRest();
    this.#speakers.checkRest();
  }

  /** A world that was through all this still works. */
  async #finish(): Promise<void> {
    const { world } = this;
    await world.timeline.advance(retriedMs, world.check);
    this.#outside.publish("delivered", 0);
    await this.#rest();
    this.#checkRest();
    this.#checkStates();
    const last = this.#outside.writes.at(-1);
    if (last?.status !== 200) throw new Violation("FA1", `the last write got ${last?.status}`);
    const whole = this.#speakers.cutAll();
    await this.#rest();
    this.#checkRest();
    this.#speakers.checkRecovered(whole);
    // A subscription whose end was lost lives until its shard says that it has no clients.
    this.#outside.isReconnecting = false;
    this.#outside.publish("plain", 0);
    await this.#rest();
    this.#checkRest();
    this.#checkSubscribers();
    const open = this.#openClients();
    await this.#soon(this.#outside.connectNow(open.length < world.placesTried));
    await this.#checkStatus();
    await this.#checkDirectory();
  }

  /** Every shard with clients has just been sent a message. */
  #checkStates(): void {
    const occupied = new Set(this.#openClients().map(({ shard }) => shard));
    for (const shard of occupied) this.world.states.checkShard(shard);
    if (this.world.options.failover !== true) return;
    this.world.layouts.checkRest(this.world.sequencer.object.rows.values, occupied);
  }

  /** Nobody is owed anything who has no clients. */
  #checkSubscribers(): void {
    const rows = this.world.sequencer.object.rows.values;
    for (const [shard, { welcomed }] of this.world.shards) {
      const hasClients = [...welcomed].some((client) => client.isOpenAtShard);
      if (rows.has(`sub/${shard}`) === hasClients) continue;
      throw new Violation(
        "SU1",
        `${shard} has ${hasClients ? "" : "no "}clients, and is the other`,
      );
    }
  }

  /** The sweep of PartyKit reaches a room that has clients. */
  async #checkDirectory(): Promise<void> {
    const cron = { busy: 0, isOver: false, output: (run: () => void) => run() };
    const calls = this.world.callerOf("cron", cron);
    const known = await this.#soon(
      calls.call({ role: "registry", id: "default" }, { type: "sweep" }),
    );
    const isKnown = known.ok && known.value.rooms.includes(room);
    if (isKnown || this.#openClients().length === 0) return;
    throw new Violation("PL1", "the registry has forgotten a room with clients");
  }

  async #checkStatus(): Promise<void> {
    const status = await this.#soon(this.#outside.statusNow());
    const { log } = this.world.invariants;
    const [seq, count] = [status["seq"], status["connections"]];
    if (seq !== log.head) throw new Violation("DL5", `status says ${String(seq)}, not ${log.head}`);
    // The world's hand gives slots to objects that the registry does not list.
    const shards = status["shards"] as { readonly id: ShardId; readonly generation: number }[];
    const listed = new Set(
      shards.map(({ id, generation }) => shardId(room, slotOf(id), generation)),
    );
    const open = this.#openClients().filter(({ shard }) => listed.has(shard)).length;
    if (count !== open) throw new Violation("FA1", `status counts ${String(count)} of ${open}`);
  }

  async #soon<Value>(work: Promise<Value>): Promise<Value> {
    const box: { settled?: Promise<Value> } = {};
    const settle = (): void => {
      box.settled = work;
    };
    work.then(settle, settle);
    await this.#rest();
    if (box.settled === undefined) throw new Violation("FA1", `a request to ${room} hangs`);
    return box.settled;
  }

  #openClients(): Client[] {
    return this.world.clients.filter((client) => client.isOpen);
  }

  #part(one: number, other: number, forMs: number): void {
    const addresses = [...this.world.objects.map((each) => each.address), ...this.world.gates];
    const [from, to] = [pick(addresses, one), pick(addresses, other)];
    if (from !== undefined && to !== undefined && from !== to) {
      this.world.network.part(from, to, forMs);
    }
  }

  #client(number: number): Client | undefined {
    return pick(this.#openClients(), number);
  }

  #object(number: number): AnyObject | undefined {
    return pick(this.world.objects, number);
  }

  #link(number: number): Link | undefined {
    return pick([...this.world.sequencer.links], number);
  }
}

function pick<Item>(items: readonly Item[], number: number): Item | undefined {
  return items[number % items.length];
}
