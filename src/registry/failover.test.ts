import fc from "fast-check";
import { expect, test } from "vitest";
import { lost, type Answer, type Call } from "../../test/support/fake-calls.ts";
import { id, RegistryRig } from "../../test/support/registry-rig.ts";
import { turns } from "../../test/support/turns.ts";
import { partitionNames } from "../core/partitions.ts";
import { defineRooms, type RoomTypeOptions } from "../core/rooms.ts";
import type { ShardId } from "../protocol/names.ts";

type Mood = "alive" | "throws" | "hangs" | "wakes" | "overloaded" | "fenced" | "drains";

/** A partition, and shards of the room `lobby` in any mood. */
class FailoverRig extends RegistryRig {
  readonly moods = new Map<string, Mood>();
  isSequencerDeaf = false;
  /** When those that wake are awake. */
  readonly awake = Promise.withResolvers<undefined>();
  /** Called after a shard was asked. */
  onLoad: () => void = () => {};

  constructor(options: RoomTypeOptions = {}) {
    super(defineRooms({ default: { shards: 2, ...options } }));
  }

  override async start(): Promise<this> {
    await super.start();
    this.ports.calls.answer = (call) => this.#answer(call);
    return this;
  }

  #answer({ role, id: name, request }: Call): Answer | Promise<Answer> {
    if (role === "sequencer") return this.isSequencerDeaf ? lost : { ok: true, value: null };
    if (role !== "shard") return { ok: true, value: { isHeard: true } };
    const load = { connections: 3, players: null, reserved: 0 };
    const mood = this.moods.get(name) ?? "alive";
    if (request.type === "load") this.onLoad();
    switch (mood) {
      case "alive":
        return { ok: true, value: request.type === "load" ? load : null };
      case "fenced":
        return { ok: true, value: { ...load, connections: 0, status: "fenced" } };
      case "drains":
        return { ok: true, value: { ...load, connections: 0, status: "draining" } };
      case "overloaded":
        return { ok: false, code: "overloaded", detail: "too much" };
      case "throws":
        return lost;
      case "hangs":
        return new Promise(() => {});
      case "wakes":
        return this.awake.promise.then(() => ({ ok: true, value: load }));
    }
  }

  async suspect(shard: string, isOverloaded = false): Promise<void> {
    await this.ask({
      ...({ type: "suspect", shard: shard as ShardId } as const),
      ...(isOverloaded ? { isOverloaded } : {}),
    });
    await turns();
  }

  async shards(): Promise<string[]> {
    return (await this.layout()).map(({ id: shard }) => shard);
  }

  async layout() {
    return (await this.ask({ type: "layout", room: id("lobby") })).shards;
  }

  /** Milliseconds until the shard is replaced, by the registry's own timers. */
  async timeUntilReplaced(most: number): Promise<number> {
    const before = String(await this.shards());
    const { clock } = this.ports;
    const began = clock.now();
    while (String(await this.shards()) === before) {
      if (clock.now() - began > most) throw new Error("it was not replaced");
      const at = this.ports.wakeups.at ?? clock.now() + 1_000;
      await this.pass(Math.max(0, at - clock.now()));
    }
    return clock.now() - began;
  }

  reportTo(shard: string, connections = 3) {
    const load = { connections, players: null, reserved: 0, counters: {} };
    return this.handle({ type: "report", shard: shard as ShardId, ...load });
  }
}

/** Of any shard with clients. */
const report = {
  type: "report",
  connections: 3,
  players: null,
  reserved: 0,
  counters: {},
} as const;

const used = async (options: RoomTypeOptions = {}): Promise<FailoverRig> => {
  const rig = await new FailoverRig(options).start();
  await rig.report("lobby", { number: 1, connections: 3 });
  await rig.report("lobby", { number: 2, connections: 3 });
  return rig;
};

test("FO1, FO3 a shard that throws on every call is replaced within two seconds of the first report", async () => {
  const rig = await used();
  rig.moods.set("lobby-2", "throws");
  await rig.suspect("lobby-2");
  expect(await rig.timeUntilReplaced(2_000)).toBe(250);
  expect(await rig.shards()).toEqual(["lobby-1", "lobby-2~2"]);
  expect(rig.ports.calls.of("fence")).toEqual([{ type: "fence", shard: "lobby-2~2" }]);
});

test("FO3 a shard that falls silent is replaced within its lease and two seconds", async () => {
  const rig = await used({ leaseMs: 15_000 });
  await rig.reportTo("lobby-1", 0);
  rig.moods.set("lobby-2", "hangs");
  const time = await rig.timeUntilReplaced(17_000);
  expect(time).toBeGreaterThanOrEqual(15_000);
  expect(time).toBeLessThanOrEqual(17_000);
  expect(await rig.shards()).toEqual(["lobby-1", "lobby-2~2"]);
});

test("FO3 so is one of which its sequencer told half a second late", async () => {
  const rig = await used({ leaseMs: 15_000 });
  await rig.reportTo("lobby-1", 0);
  const at = rig.ports.clock.now();
  rig.moods.set("lobby-2", "hangs");
  await rig.pass(500);
  const loads = [{ shard: "lobby-2" as ShardId, connections: 3, reserved: 0, at }];
  await rig.ask({ type: "reports", room: id("lobby"), loads });
  await rig.timeUntilReplaced(17_000);
  expect(rig.ports.clock.now() - at).toBeLessThanOrEqual(17_000);
});

test("FO3 a shard that hangs is replaced in less than two seconds of the first report", async () => {
  const rig = await used();
  rig.moods.set("lobby-2", "hangs");
  await rig.suspect("lobby-2");
  expect(await rig.timeUntilReplaced(2_000)).toBe(1_700);
});

test("FO2 a shard that answers keeps its place, and is asked no more until it reports again", async () => {
  const rig = await used();
  await rig.passInSteps(600_000);
  expect(rig.ports.calls.of("load")).toHaveLength(2);
  expect(await rig.shards()).toEqual(["lobby-1", "lobby-2"]);
  await rig.reportTo("lobby-2");
  await rig.passInSteps(60_000);
  expect(rig.ports.calls.of("load")).toHaveLength(3);
});

test("FO2 a dead shard without clients is found when its room is disposed of, which then succeeds", async () => {
  const rig = await used();
  await rig.reportTo("lobby-2", 0);
  rig.moods.set("lobby-2", "throws");
  const dispose = { type: "dispose", room: id("lobby") } as const;
  expect(await rig.failed(dispose)).toBe("unavailable");
  await rig.passInSteps(1_000);
  expect(await rig.shards()).toEqual(["lobby-1", "lobby-2~2"]);
  expect(await rig.failed(dispose)).toBeNull();
  expect(await rig.list()).toEqual([]);
});

test("FO2 a shard that died while the registry was away is found when it is asked for its load", async () => {
  const rig = await used();
  rig.moods.set("lobby-2", "throws");
  await rig.start();
  await rig.passInSteps(3_000);
  expect(await rig.shards()).toEqual(["lobby-1", "lobby-2~2"]);
  await rig.reportTo("lobby-1", 0);
  await rig.reportTo("lobby-2~2", 0);
  await rig.passInSteps(180_000);
  expect(await rig.list()).toEqual([]);
});

test("FO2 a shard without clients is asked nothing, however long it is silent", async () => {
  const rig = await used();
  await rig.reportTo("lobby-1", 0);
  await rig.reportTo("lobby-2", 0);
  rig.ports.calls.made.length = 0;
  await rig.passInSteps(50_000);
  expect(rig.ports.calls.of("load")).toEqual([]);
});

test("FO2 one question without an answer is no verdict", async () => {
  const rig = await used();
  rig.moods.set("lobby-2", "throws");
  await rig.suspect("lobby-2");
  rig.moods.set("lobby-2", "alive");
  await rig.passInSteps(10_000);
  expect(await rig.shards()).toEqual(["lobby-1", "lobby-2"]);
});

test.each(["lobby-2", null])(
  "FO2 a shard that takes its time to wake keeps its place (told of: %s, else its lease is over)",
  async (told) => {
    const leaseMs = 15_000;
    const rig = await used({ leaseMs });
    await rig.reportTo("lobby-1", 0);
    rig.moods.set("lobby-2", "wakes");
    if (told === null) await rig.passInSteps(leaseMs - 500);
    else await rig.suspect(told);
    await rig.passInSteps(told === null ? 1_899 : 1_699);
    expect(rig.ports.calls.of("load")).toHaveLength(2);
    expect(await rig.shards()).toEqual(["lobby-1", "lobby-2"]);
    rig.awake.resolve(undefined);
    await rig.passInSteps(10_000);
    expect(await rig.shards()).toEqual(["lobby-1", "lobby-2"]);
  },
);

test("FO2 a question that begins late has a second all the same", async () => {
  const rig = await used();
  rig.moods.set("lobby-2", "hangs");
  await rig.suspect("lobby-2");
  await rig.pass(30_000);
  await rig.pass(999);
  expect(await rig.shards()).toEqual(["lobby-1", "lobby-2"]);
  await rig.pass(1);
  expect(await rig.shards()).toEqual(["lobby-1", "lobby-2~2"]);
});

test("FO2 what comes while it is being asked is an answer: a report, or a late reply", async () => {
  const rig = await used();
  rig.moods.set("lobby-2", "hangs");
  await rig.suspect("lobby-2");
  await rig.pass(500);
  await rig.reportTo("lobby-2");
  await rig.passInSteps(10_000);
  expect(await rig.shards()).toEqual(["lobby-1", "lobby-2"]);
});

test("FO4 a shard that has too much to do is left alone, and gets no new sockets for a while", async () => {
  const rig = await used();
  rig.moods.set("lobby-2", "overloaded");
  await rig.suspect("lobby-2");
  await rig.pass(0);
  expect(await rig.shards()).toEqual(["lobby-1", "lobby-2"]);
  expect((await rig.table("lobby")).shards.map(({ id: shard }) => shard)).toEqual(["lobby-1"]);
  await rig.pass(5_000);
  expect((await rig.table("lobby")).shards).toHaveLength(2);
});

test("FO4 one that a gate was told has too much to do is asked nothing, and spared for a while", async () => {
  const rig = await used();
  rig.moods.set("lobby-2", "throws");
  rig.ports.calls.made.length = 0;
  await rig.suspect("lobby-2");
  await rig.suspect("lobby-2", true);
  await rig.passInSteps(4_000);
  expect(rig.ports.calls.of("load")).toHaveLength(1);
  expect(await rig.shards()).toEqual(["lobby-1", "lobby-2"]);
  expect((await rig.table("lobby")).shards.map(({ id: shard }) => shard)).toEqual(["lobby-1"]);
  await rig.suspect("lobby-1", true);
  // With every shard resting, clients are better off with any than with none.
  expect((await rig.table("lobby")).shards).toHaveLength(2);
  await rig.passInSteps(1_000);
  expect((await rig.table("lobby")).shards.map(({ id: shard }) => shard)).toEqual(["lobby-2"]);
});

test("FO1 what a replaced shard reports is answered fenced, and counts for nothing", async () => {
  const rig = await used();
  rig.moods.set("lobby-2", "throws");
  await rig.suspect("lobby-2");
  await rig.timeUntilReplaced(2_000);
  expect(await rig.reportTo("lobby-2", 900)).toMatchObject({ ok: false, code: "fenced" });
  expect((await rig.layout()).map(({ connections }) => connections)).toEqual([3, 0]);
  await rig.suspect("lobby-2");
  await rig.passInSteps(5_000);
  expect(await rig.shards()).toEqual(["lobby-1", "lobby-2~2"]);
});

test("FO5 a sequencer that tells the load of a shard that was replaced is told of that again", async () => {
  const rig = await used();
  rig.moods.set("lobby-2", "throws");
  await rig.suspect("lobby-2");
  await rig.timeUntilReplaced(2_000);
  await rig.passInSteps(5_000);
  const before = rig.ports.calls.of("fence").length;
  const load = { connections: 9, reserved: 0, at: rig.ports.clock.now() };
  const loads = [{ shard: "lobby-2" as ShardId, ...load }];
  await rig.ask({ type: "reports", room: id("lobby"), loads });
  await rig.passInSteps(5_000);
  const told = rig.ports.calls.of("fence").slice(before);
  expect(told).toMatchObject([{ shard: "lobby-2~2" }]);
});

test("FO1 a shard that says of itself that it is fenced serves nobody, and is replaced", async () => {
  const rig = await used();
  rig.moods.set("lobby-2", "fenced");
  await rig.suspect("lobby-2");
  expect(await rig.shards()).toEqual(["lobby-1", "lobby-2~2"]);
});

test("FO5 the replacement and the fence survive the registry, and the fence is sent until it is heard", async () => {
  const rig = await used();
  rig.isSequencerDeaf = true;
  rig.moods.set("lobby-2", "throws");
  await rig.suspect("lobby-2");
  await rig.timeUntilReplaced(2_000);
  await rig.start();
  expect(await rig.shards()).toEqual(["lobby-1", "lobby-2~2"]);
  await rig.passInSteps(10_000);
  const before = rig.ports.calls.of("fence").length;
  expect(before).toBeGreaterThan(2);
  rig.isSequencerDeaf = false;
  await rig.passInSteps(120_000);
  const after = rig.ports.calls.of("fence").length;
  expect(after).toBeGreaterThan(before);
  await rig.passInSteps(300_000);
  expect(rig.ports.calls.of("fence")).toHaveLength(after);
  await rig.start();
  await rig.passInSteps(60_000);
  expect(rig.ports.calls.of("fence")).toHaveLength(after);
});

test("FO5 whoever meets an older object has its sequencer told again", async () => {
  const rig = await used();
  rig.moods.set("lobby-2", "throws");
  await rig.suspect("lobby-2");
  await rig.timeUntilReplaced(2_000);
  await rig.passInSteps(60_000);
  rig.ports.calls.made.length = 0;
  await rig.suspect("lobby-2");
  await rig.suspect("lobby-2~3");
  await rig.passInSteps(10_000);
  expect(rig.ports.calls.of("fence")).toEqual([{ type: "fence", shard: "lobby-2~2" }]);
  expect(await rig.shards()).toEqual(["lobby-1", "lobby-2~2"]);
});

test("FO9 a dead shard that no layout names is forgotten, and its slot goes on after it", async () => {
  const rig = await used({ shards: { min: 2, max: 5 } });
  rig.moods.set("lobby-5", "throws");
  rig.isSequencerDeaf = true;
  await rig.suspect("lobby-5");
  await rig.pass(250);
  expect(rig.ports.calls.of("fence")).toEqual([{ type: "fence", shard: "lobby-5~2" }]);
  expect(await rig.shards()).toEqual(["lobby-1", "lobby-2"]);
  await rig.start();
  rig.isSequencerDeaf = false;
  await rig.pass(60_000);
  expect(rig.ports.calls.of("fence")).toContainEqual({ type: "fence", shard: "lobby-5~2" });
  // Should it live, it hears that it is over.
  expect(await rig.failed({ ...report, shard: "lobby-5" as ShardId })).toBe("fenced");
  await rig.ask({ type: "resize", room: id("lobby"), shards: 5 });
  expect(await rig.shards()).toEqual(["lobby-1", "lobby-2", "lobby-3", "lobby-4", "lobby-5~2"]);
});

test.each(["alive", "overloaded"] as const)(
  "FO9 one that no layout names and that is %s may still join",
  async (mood) => {
    const rig = await used();
    rig.moods.set("lobby-5", mood);
    await rig.suspect("lobby-5");
    await rig.pass(5_000);
    expect(rig.ports.calls.of("fence")).toEqual([]);
    expect((await rig.handle({ ...report, shard: "lobby-5" as ShardId })).ok).toBe(true);
    expect(await rig.shards()).toContain("lobby-5");
  },
);

test("FO9 one that joins while it is asked is not judged by what it was asked before", async () => {
  const rig = await used({ shards: { min: 2, max: 5 } });
  rig.moods.set("lobby-5", "hangs");
  await rig.suspect("lobby-5");
  await rig.handle({ ...report, shard: "lobby-5" as ShardId });
  await rig.pass(5_000);
  expect(await rig.shards()).toEqual(["lobby-1", "lobby-2", "lobby-5"]);
  expect(rig.ports.calls.of("fence")).toEqual([]);
});

test("FO2 a dead shard of a room that the directory has forgotten is replaced", async () => {
  const rig = await new FailoverRig().start();
  rig.moods.set("lobby-2", "throws");
  await rig.suspect("lobby-2");
  expect(await rig.list()).toEqual(["lobby"]);
  await rig.passInSteps(1_000);
  expect(await rig.shards()).toEqual(["lobby-1", "lobby-2~2"]);
  expect(rig.ports.calls.of("fence")).toEqual([{ type: "fence", shard: "lobby-2~2" }]);
});

test("FO5 no sequencer of a type that is not declared is told, until the type is declared again", async () => {
  const rig = await new RegistryRig().start();
  rig.ports.calls.answer = () => ({ ok: true, value: null });
  rig.ports.storage.put({ "fence/other:1-2": "other:1-2~2" });
  await rig.start(defineRooms({ game: {} }));
  await rig.passInSteps(120_000);
  expect(rig.ports.calls.of("fence")).toEqual([]);
  expect(rig.ports.wakeups.durableAt).toBeNull();
  await rig.start(defineRooms({ other: {} }));
  await rig.passInSteps(1_000);
  expect(rig.ports.calls.of("fence")).toEqual([{ type: "fence", shard: "other:1-2~2" }]);
});

test("FO5 a partition that is one no longer tells the sequencer before it is let go", async () => {
  const [, former] = partitionNames(2);
  const rig = await new RegistryRig(defineRooms({ default: {} }), former).start();
  rig.ports.storage.put({ "fence/lobby-2": "lobby-2~2" });
  await rig.start();
  expect(await rig.failed({ type: "handOver" })).toBe("unavailable");
  rig.ports.calls.answer = () => ({ ok: true, value: null });
  await rig.passInSteps(120_000);
  expect(rig.ports.calls.of("fence").length).toBeGreaterThan(0);
  expect(await rig.failed({ type: "handOver" })).toBeNull();
});

test("FO5 a room that was forgotten meanwhile begins with the generations that it had", async () => {
  const rig = await used();
  rig.moods.set("lobby-2", "throws");
  await rig.suspect("lobby-2");
  await rig.timeUntilReplaced(2_000);
  await rig.reportTo("lobby-1", 0);
  await rig.passInSteps(180_000);
  expect(await rig.list()).toEqual([]);
  await rig.start();
  expect(await rig.shards()).toEqual(["lobby-1", "lobby-2~2"]);
});

test("FO6 without failover a dead shard is offline until it is heard of", async () => {
  const rig = await used({ failover: false });
  rig.moods.set("lobby-2", "throws");
  await rig.suspect("lobby-2");
  await rig.passInSteps(1_000);
  expect((await rig.layout()).map(({ status }) => status)).toEqual(["online", "offline"]);
  await rig.reportTo("lobby-2");
  expect((await rig.layout()).map(({ status }) => status)).toEqual(["online", "online"]);
});

test("FO6 one that is offline is asked when somebody wants the room, and serves again once it answers", async () => {
  const rig = await used({ failover: false });
  rig.moods.set("lobby-2", "hangs");
  await rig.suspect("lobby-2");
  await rig.passInSteps(3_000);
  rig.moods.set("lobby-2", "alive");
  await rig.table("lobby");
  await turns();
  expect((await rig.layout()).map(({ status }) => status)).toEqual(["online", "online"]);
});

test("FO6 a room with a shard that is offline can end: by itself after a restart, and by hand", async () => {
  const rig = await used({ failover: false });
  rig.moods.set("lobby-2", "throws");
  await rig.suspect("lobby-2");
  await rig.passInSteps(1_000);
  await rig.start();
  await rig.reportTo("lobby-1", 0);
  await rig.passInSteps(180_000);
  expect(await rig.list()).toEqual([]);
  rig.ports.calls.made.length = 0;
  await rig.passInSteps(180_000);
  expect(rig.ports.calls.of("load")).toEqual([]);
  await rig.reportTo("lobby-1");
  await rig.suspect("lobby-2");
  await rig.passInSteps(1_000);
  expect((await rig.layout()).map(({ status }) => status)).toEqual(["online", "offline"]);
  expect(await rig.failed({ type: "dispose", room: id("lobby") })).toBeNull();
  expect(await rig.list()).toEqual([]);
});

test("FO6 a room's end does not wait for a shard that drains and cannot be reached", async () => {
  const rig = await used();
  rig.moods.set("lobby-2", "throws");
  await rig.ask({ type: "drainShard", shard: "lobby-2" as ShardId });
  expect(await rig.failed({ type: "dispose", room: id("lobby") })).toBeNull();
  expect(await rig.list()).toEqual([]);
});

test("AS7 a shard that drains, which the layout does not know, leaves once it is asked", async () => {
  const rig = await used();
  rig.moods.set("lobby-2", "drains");
  await rig.suspect("lobby-2");
  await rig.passInSteps(1_000);
  expect(await rig.shards()).toEqual(["lobby-1", "lobby-3"]);
});

test("FO1 a room's own limit goes with it to the fresh shard", async () => {
  const rig = await new FailoverRig({ shards: 1 }).start();
  await rig.create("lobby", { maxPlayers: 7 });
  await rig.report("lobby", { players: ["ann"] });
  rig.moods.set("lobby-1", "throws");
  await rig.suspect("lobby-1");
  await rig.timeUntilReplaced(2_000);
  await rig.passInSteps(1_000);
  const limits = rig.ports.calls.made.filter(({ request }) => request.type === "limit");
  expect(limits.at(-1)).toMatchObject({ id: "lobby-1~2", request: { maxPlayers: 7 } });
  expect(await rig.ask({ type: "room", room: id("lobby") })).toMatchObject({
    serverId: "lobby-1~2",
    serverIds: ["lobby-1~2"],
    playerCount: 0,
  });
});

test("FO1 a fresh shard gets its time to start: a slot is replaced once in its lease", async () => {
  const rig = await used();
  for (const shard of ["lobby-2", "lobby-2~2", "lobby-2~3"]) rig.moods.set(shard, "throws");
  await rig.suspect("lobby-2");
  await rig.timeUntilReplaced(2_000);
  for (let seconds = 0; seconds < 14; seconds += 1) {
    await rig.suspect("lobby-2~2");
    await rig.passInSteps(1_000);
  }
  expect(await rig.shards()).toEqual(["lobby-1", "lobby-2~2"]);
  await rig.passInSteps(2_000);
  await rig.suspect("lobby-2~2");
  await rig.passInSteps(1_000);
  expect(await rig.shards()).toEqual(["lobby-1", "lobby-2~3"]);
});

const evidence = fc.array(
  fc.record({
    what: fc.constantFrom("suspect", "report", "table", "pass", "restart"),
    ms: fc.integer({ min: 0, max: 400 }),
  }),
  { minLength: 1, maxLength: 20 },
);

test("FO1 whatever order evidence comes in, there is one replacement, and the other shard keeps its place", async () => {
  await fc.assert(
    fc.asyncProperty(evidence, fc.constantFrom<Mood>("throws", "hangs"), async (all, mood) => {
      const rig = await used();
      rig.moods.set("lobby-2", mood);
      for (const { what, ms } of all) {
        if (what === "suspect") await rig.suspect("lobby-2");
        else if (what === "report") await rig.reportTo("lobby-1");
        else if (what === "table") void rig.table("lobby");
        else if (what === "restart") await rig.start();
        else await rig.passInSteps(ms);
      }
      await rig.suspect("lobby-2");
      await rig.suspect("lobby-1");
      await rig.passInSteps(3_000);
      expect(await rig.shards()).toEqual(["lobby-1", "lobby-2~2"]);
    }),
    { numRuns: 60 },
  );
});

const failing = fc.record({
  leaseMs: fc.integer({ min: 2_000, max: 60_000 }),
  /** How long before its failure the shard was heard of last. */
  heardMs: fc.integer({ min: 0, max: 1_000 }),
  /** How each of the two questions fails: at once, or by its time; the second may differ. */
  moods: fc.tuple(
    fc.constantFrom<Mood>("throws", "hangs"),
    fc.constantFrom<Mood>("throws", "hangs"),
  ),
});

test("FO3 however a silent shard fails, its slot is replaced within leaseMs and two seconds of the failure", async () => {
  await fc.assert(
    fc.asyncProperty(failing, async ({ leaseMs, heardMs, moods: [mood, next] }) => {
      const rig = await used({ leaseMs, heartbeatIntervalMs: 1_000 });
      await rig.reportTo("lobby-1", 0);
      await rig.pass(heardMs);
      rig.moods.set("lobby-2", mood);
      const replaced = rig.timeUntilReplaced(leaseMs + 2_000);
      rig.onLoad = () => rig.moods.set("lobby-2", next);
      expect(await replaced).toBeLessThanOrEqual(leaseMs + 2_000 - heardMs);
    }),
    { numRuns: 100 },
  );
});

test("FO3 a shard that throws is replaced in less than two seconds of the first report, whatever else is told", async () => {
  const more = fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(more, async (pauses) => {
      const rig = await used();
      rig.moods.set("lobby-2", "throws");
      const { clock } = rig.ports;
      const failedAt = clock.now();
      await rig.suspect("lobby-2");
      for (const ms of pauses) {
        if ((await rig.shards()).includes("lobby-2~2")) break;
        await rig.pass(ms);
        await rig.suspect("lobby-2");
      }
      if (!(await rig.shards()).includes("lobby-2~2")) await rig.timeUntilReplaced(2_000);
      expect(clock.now() - failedAt).toBeLessThan(2_000);
    }),
    { numRuns: 100 },
  );
});
