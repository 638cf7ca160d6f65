import fc from "fast-check";
import { expect, test } from "vitest";
import {
  joinDespite,
  StateWorld,
  until,
  type StatefulShard,
} from "../../test/support/state-world.ts";
import { turns } from "../../test/support/turns.ts";
import type { RoomId } from "../protocol/names.ts";

const take = (shard: StatefulShard) => shard.shard.handle({ type: "takeSnapshot" });
const restore = (shard: StatefulShard) => shard.shard.handle({ type: "restoreSnapshot" });

/** How often the shard has reported this, once it has. */
async function counted(world: StateWorld, shard: StatefulShard, kind: string): Promise<number> {
  for (;;) {
    const reports = shard.ports.calls.of("report").map(({ counters }) => counters[kind] ?? 0);
    const sum = reports.reduce((total, each) => total + each, 0);
    if (sum > 0) return sum;
    await world.pass(1_000);
  }
}

async function used(options = {}, shards = 1): Promise<[StateWorld, StatefulShard]> {
  const world = await StateWorld.start(shards, options);
  await world.at(1).join();
  await world.say("a", "b");
  return [world, world.at(1)];
}

test("SN8 a state that has changed is stored once an interval, one that has not is left alone", async () => {
  const [world, shard] = await used({ snapshotIntervalMs: 10_000 });
  await world.pass(8_900);
  expect(world.stored).toBeNull();
  await world.pass(2_200);
  await until(() => world.snapshotted?.seq === 2);
  expect(world.stored).toBe(2);
  const begun = shard.ports.calls.of("beginSnapshot").length;
  for (let passed = 0; passed < 10; passed += 1) await world.pass(10_000);
  expect(shard.ports.calls.of("beginSnapshot")).toHaveLength(begun);
  await world.say("c");
  await world.pass(11_100);
  await until(() => world.stored === 3);
});

test("SN4 a state that is stored in time gives way to one on its way, and is stored an interval later", async () => {
  const [world, shard] = await used({ snapshotIntervalMs: 10_000 });
  await world.pass(8_000);
  const begins = (): number => shard.ports.calls.of("beginSnapshot").length;
  const room = "lobby" as RoomId;
  const other = world.snapshots.begin(room, { epoch: "e01", seq: 1 }, ["0".repeat(64)], 1_000_000);
  expect(other.ok).toBe(true);
  await world.pass(3_100);
  await until(() => begins() === 1);
  await turns();
  expect(world.stored).toBeNull();
  await world.pass(11_100);
  await until(() => world.stored === 2);
});

test("SN8 an interval of 0 stores nothing of itself", async () => {
  const [world, shard] = await used({ snapshotIntervalMs: 0 });
  await world.pass(100_000);
  expect(shard.ports.calls.of("beginSnapshot")).toEqual([]);
  expect(await take(shard)).toMatchObject({ ok: true, value: { position: { seq: 2 } } });
});

test("SN8 the next snapshot is waited for until a whole millisecond, as clocks tell it", async () => {
  const world = await StateWorld.start(1, { snapshotIntervalMs: 1_001 });
  const shard = world.at(1);
  await shard.join();
  await world.pass(1_000);
  await world.say("a");
  expect(shard.ports.wakeups.at).not.toBeNull();
  expect(Number.isInteger(shard.ports.wakeups.at)).toBe(true);
  expect(shard.ports.wakeups.at).toBeLessThan(world.clock.now() + 1_102);
});

test("SN8 of shards that would store one position, one does, and the others are content", async () => {
  const [world, first] = await used({ snapshotIntervalMs: 0 }, 2);
  const second = world.at(2);
  await second.join();
  await world.say("c");
  const both = await Promise.all([take(first), take(second)]);
  const won = both.filter((result) => result.ok);
  expect(won.length).toBeGreaterThan(0);
  expect(both.every((result) => result.ok || result.code === "snapshot-stale")).toBe(true);
  expect(await take(second)).toMatchObject({ ok: true, value: { position: { seq: 3 } } });
  expect(first.shard.handle({ type: "load" })).not.toHaveProperty("value.stateError");
});

test("SN8 messages wait while the class makes its snapshot, five seconds at most", async () => {
  const [world, shard] = await used({ snapshotIntervalMs: 0 });
  const answer = Promise.withResolvers<unknown>();
  shard.ledger.getSnapshot = () => answer.promise;
  const taken = take(shard);
  await turns();
  const said = world.say("c");
  await turns();
  expect(shard.ledger.seen).toEqual(["a", "b"]);
  answer.resolve([...shard.ledger.seen]);
  expect(await taken).toMatchObject({ ok: true, value: { position: { seq: 2 } } });
  await said;
  expect(shard.ledger.seen).toEqual(["a", "b", "c"]);
  shard.ledger.getSnapshot = () => new Promise(() => {});
  const late = take(shard);
  await turns();
  const after = world.say("d");
  await world.pass(4_999);
  expect(shard.ledger.seen).toHaveLength(3);
  await world.pass(1);
  expect(await late).toMatchObject({ ok: false, code: "hook-late" });
  await after;
  expect(shard.ledger.seen).toHaveLength(4);
  // It still owes its answer: nobody waits for it again.
  expect(await take(shard)).toMatchObject({ ok: false, code: "hook-late" });
});

test.each([
  ["throws", () => fail(), "snapshot_threw"],
  ["rejects", () => Promise.reject(new Error("on purpose")), "snapshot_threw"],
  ["returns what cannot be cloned", () => () => 0, "snapshot_impossible"],
  ["returns too much", () => "x".repeat(32 * 1024 * 1024), "snapshot_too_large"],
])(
  "SN11 a getSnapshot that %s is counted and told of, and the old one stays",
  async (_, hook, kind) => {
    const [world, shard] = await used({ snapshotIntervalMs: 0 });
    await take(shard);
    await world.say("c");
    const { getSnapshot } = shard.ledger;
    shard.ledger.getSnapshot = hook;
    expect(await take(shard)).toMatchObject({ ok: false });
    expect(shard.errors).toHaveLength(1);
    expect(shard.shard.handle({ type: "load" })).toHaveProperty("value.stateError");
    expect(world.stored).toBe(2);
    await world.say("d");
    expect(shard.clients[0]?.sent).toEqual(["a", "b", "c", "d"]);
    expect(await counted(world, shard, "snapshot_errors")).toBe(1);
    expect(await counted(world, shard, kind)).toBe(1);
    shard.ledger.getSnapshot = getSnapshot;
    await take(shard);
    expect(world.stored).toBe(4);
    expect(shard.shard.handle({ type: "load" })).not.toHaveProperty("value.stateError");
  },
);

function fail(): never {
  throw new Error("on purpose");
}

test("SN11 a registry that cannot be reached is counted, and tried again after an interval", async () => {
  const [world, shard] = await used({ snapshotIntervalMs: 10_000 });
  world.down.add("registry");
  await world.pass(11_100);
  await until(() => shard.ports.calls.of("beginSnapshot").length > 1);
  await turns();
  world.down.clear();
  expect(await counted(world, shard, "snapshot_unstored")).toBeGreaterThan(0);
  await world.pass(11_100);
  await until(() => world.stored === 2);
});

test.each([
  ["throws", () => fail(), 2],
  ["returns what cannot be cloned", () => () => 0, 2],
  // It still owes its first answer.
  ["never returns", () => new Promise(() => {}), 1],
])(
  "SN8 a getSnapshot that %s is asked again when something has changed, and keeps nobody awake",
  async (_, hook, times) => {
    const [world, shard] = await used({ snapshotIntervalMs: 10_000 });
    let asked = 0;
    shard.ledger.getSnapshot = () => {
      asked += 1;
      return hook();
    };
    for (let passed = 0; passed < 100; passed += 1) await world.pass(5_000);
    expect(asked).toBe(1);
    await world.say("c");
    for (let passed = 0; passed < 100; passed += 1) await world.pass(5_000);
    expect(asked).toBe(times);
    shard.leave();
    for (let passed = 0; passed < 100; passed += 1) await world.pass(5_000);
    expect(shard.ports.wakeups.at).toBeNull();
  },
);

test("SN8 while the registry is down a shard with clients tries ever less often, an empty one not at all", async () => {
  const [world, shard] = await used({ snapshotIntervalMs: 10_000 });
  world.down.add("registry");
  // Each is a call that is made twice.
  const tries = (): number => shard.ports.calls.of("beginSnapshot").length / 2;
  const passToTry = async (intervals: number): Promise<void> => {
    const before = tries();
    await world.pass(9_000 * intervals - 1);
    expect(tries()).toBe(before);
    await world.pass(2_000 * intervals + 2);
    await until(() => tries() === before + 1);
    await turns();
  };
  for (const intervals of [1, 1, 2, 4, 8, 16, 32, 60, 60]) await passToTry(intervals);
  await world.say("c");
  await passToTry(1);
  shard.leave();
  await passToTry(60);
  for (let passed = 0; passed < 200; passed += 1) await world.pass(10_000);
  expect(tries()).toBe(11);
});

test("SN9 a shard that is new to a room has the state of the others before its first client", async () => {
  const [world, first] = await used({ snapshotIntervalMs: 0 }, 2);
  await take(first);
  await world.say("c", "d");
  await world.say("e");
  const second = world.at(2);
  expect(await second.join()).toBe(true);
  expect(second.ledger.seen).toEqual(["a", "b", "c", "d", "e"]);
  expect(second.ledger.handed).toEqual(["restoring c", "restoring d", "restoring e"]);
  expect(second.clients[0]?.sent).toEqual([]);
  await world.say("f");
  expect(second.ledger.handed.at(-1)).toBe("new f");
  expect(second.ledger.seen).toEqual(first.ledger.seen);
});

test("SN9 a shard that lost its memory has the state again before the next message", async () => {
  const [world, shard] = await used({ snapshotIntervalMs: 0 });
  await take(shard);
  await world.say("c");
  await shard.sleep();
  await world.say("d");
  expect(shard.ledger.handed).toEqual(["restoring c", "new d"]);
  expect(shard.ledger.seen).toEqual(["a", "b", "c", "d"]);
  expect(shard.clients[0]?.sent).toEqual(["a", "b", "c", "d"]);
});

test("SN9 what the room said while a shard had no clients, its state gets from the log", async () => {
  const [world, shard] = await used({ snapshotIntervalMs: 0 }, 2);
  await world.at(2).join();
  shard.leave();
  await world.pass(5_000);
  shard.forgetClients();
  await world.say("c", "d");
  await shard.join();
  expect(shard.ledger.seen).toEqual(["a", "b", "c", "d"]);
});

test("SN9 what a shard's clients lost, its state gets from the log, later if need be", async () => {
  const [world, shard] = await used({ snapshotIntervalMs: 0 });
  await take(shard);
  shard.isLagging = true;
  await world.say("c");
  await shard.reset();
  world.down.add("sequencer");
  shard.isLagging = false;
  await world.pass(1_000);
  world.down.clear();
  await shard.join();
  world.down.add("sequencer");
  shard.isLagging = true;
  await world.say("d");
  await shard.reset();
  world.down.clear();
  shard.isLagging = false;
  await shard.join();
  await world.say("e");
  expect(shard.ledger.seen).toEqual(["a", "b", "c", "d", "e"]);
});

test("SN9 a snapshot further on than the shard's clients is not counted twice", async () => {
  const [world, first] = await used({ snapshotIntervalMs: 0 }, 2);
  const second = world.at(2);
  await second.join();
  await second.sleep();
  const { clients } = second;
  second.clients = [];
  await world.say("c", "d");
  await take(first);
  second.clients = clients;
  await second.catchUp();
  expect(second.ledger.handed).toEqual(["again c", "again d"]);
  expect(second.ledger.seen).toEqual(["a", "b", "c", "d"]);
  expect(clients[0]?.sent).toEqual(["c", "d"]);
});

test("SN9 while the registry is silent no first client is let in; who is here is served", async () => {
  const [world, shard] = await used({ snapshotIntervalMs: 0 }, 2);
  await take(shard);
  world.down.add("registry");
  expect(await world.at(2).join()).toBe(false);
  await shard.sleep();
  await world.say("c");
  expect(shard.clients[0]?.sent).toEqual(["a", "b", "c"]);
  expect(await take(shard)).toMatchObject({ ok: false, code: "unavailable" });
  world.down.clear();
  await world.pass(5_000);
  await world.say("d");
  expect(shard.ledger.seen).toEqual(["a", "b", "c", "d"]);
  expect(await world.at(2).join()).toBe(true);
});

test("SN9 a state that could not be had is had five seconds later, however often it was asked for", async () => {
  const [world, shard] = await used({ snapshotIntervalMs: 0 }, 2);
  await take(shard);
  world.down.add("registry");
  const second = world.at(2);
  expect(await second.join()).toBe(false);
  world.down.clear();
  for (let passed = 0; passed < 4; passed += 1) {
    await world.pass(1_000);
    expect(await take(second)).toMatchObject({ ok: false, code: "unavailable" });
    expect(await second.join()).toBe(false);
  }
  await world.pass(1_000);
  expect(await second.join()).toBe(true);
  expect(second.ledger.seen).toEqual(["a", "b"]);
});

test("SN9 what the log let go since a snapshot was looked for is taken from one that is newer", async () => {
  const [world, first] = await used({ snapshotIntervalMs: 0 }, 2);
  const answer = world.answer.bind(world);
  world.answer = async (call) => {
    if (call.request.type !== "read") return answer(call);
    world.answer = answer;
    await take(first);
    world.trim();
    return answer(call);
  };
  const second = world.at(2);
  expect(await second.join()).toBe(true);
  expect(world.log).toEqual([]);
  expect(second.ledger.seen).toEqual(["a", "b"]);
  expect(second.shard.handle({ type: "load" })).not.toHaveProperty("value.stateError");
});

test("SN10 no client is let in until the sequencer knows that all of the log is needed", async () => {
  const world = await StateWorld.start(1, { snapshotIntervalMs: 0 });
  const answer = world.answer.bind(world);
  world.answer = (call) =>
    call.request.type === "snapshotted"
      ? { ok: false, code: "unreachable", detail: "" }
      : answer(call);
  expect(await world.at(1).join()).toBe(false);
  world.answer = answer;
  await world.pass(5_000);
  expect(await world.at(1).join()).toBe(true);
  expect(world.snapshotted).toEqual({ epoch: "e01", seq: 0 });
});

test("SN10 until there is a snapshot, the sequencer is asked to keep all of the log", async () => {
  const [world] = await used({ snapshotIntervalMs: 0 });
  expect(world.snapshotted).toEqual({ epoch: "e01", seq: 0 });
});

test("SN11 a log that no longer reaches back to the snapshot is counted, and the room goes on", async () => {
  const [world, shard] = await used({ snapshotIntervalMs: 0 });
  await take(shard);
  await world.say("c");
  world.trim(true);
  await world.say("d");
  await shard.crash();
  await shard.join();
  expect(shard.ledger.seen).toEqual(["a", "b", "d"]);
  expect(await counted(world, shard, "state_lost")).toBe(1);
  await world.say("e");
  expect(shard.ledger.seen).toEqual(["a", "b", "d", "e"]);
});

test("SN11 a snapshot that is damaged or foreign is counted, and the class begins with the log", async () => {
  const [world, shard] = await used({ snapshotIntervalMs: 0 });
  await take(shard);
  await world.say("c");
  const answer = world.answer.bind(world);
  world.answer = (call) => {
    const isPart = call.request.type === "readSnapshot";
    return isPart ? { ok: true, value: { text: "damaged" } } : answer(call);
  };
  await shard.crash();
  await shard.join();
  expect(shard.ledger.seen).toEqual(["a", "b", "c"]);
  expect(await counted(world, shard, "state_lost")).toBe(1);
});

test.each([
  ["throws", () => fail()],
  ["never returns", () => new Promise(() => {})],
])("SN11 an onRestore that %s is counted and told of, and the room is served", async (_, hook) => {
  const [world, shard] = await used({ snapshotIntervalMs: 0 });
  await take(shard);
  await shard.crash();
  expect(await joinDespite(hook, world, shard)).toBe(true);
  await world.say("c");
  expect(shard.clients[0]?.sent).toEqual(["c"]);
  expect(await counted(world, shard, "restore_errors")).toBe(1);
});

test("SN12 another life of the room begins with the class as it was at first", async () => {
  const [world, shard] = await used({ snapshotIntervalMs: 0 });
  await take(shard);
  world.dispose();
  await shard.join();
  expect(shard.ledger.seen).toEqual([]);
  await world.say("z");
  expect(shard.ledger.seen).toEqual(["z"]);
});

test("SN13 every shard goes back to the newest snapshot, and on by the log", async () => {
  const [world, shard] = await used({ snapshotIntervalMs: 0 });
  await take(shard);
  await world.say("c");
  shard.ledger.seen = ["spoilt"];
  expect(await restore(shard)).toEqual({ ok: true, value: { epoch: "e01", seq: 3 } });
  expect(shard.ledger.seen).toEqual(["a", "b", "c"]);
});

const anyNumber = fc.integer({ min: 1, max: 3 });
const anyAct = fc.oneof(
  fc.record({ act: fc.constant("say"), number: anyNumber }),
  fc.record({
    act: fc.constantFrom("join", "leave", "sleep", "crash", "take", "restore", "lag", "deliver"),
    number: anyNumber,
  }),
  fc.record({ act: fc.constantFrom("trim", "dispose", "pass", "down", "up"), number: anyNumber }),
);

test("SN9 whatever dies or sleeps, every shard's state is the fold of the log", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyAct, { maxLength: 40, size: "max" }), async (acts) => {
      const world = await StateWorld.start(3, { snapshotIntervalMs: 0 });
      let said = 0;
      for (const { act, number } of acts) {
        const shard = world.at(number);
        if (act === "say") {
          await world.say(...Array.from({ length: number }, () => `m${(said += 1)}`));
        } else if (act === "join") await shard.join();
        else if (act === "leave") shard.leave();
        else if (act === "sleep") await shard.sleep();
        else if (act === "crash") await shard.crash();
        else if (act === "take") await take(shard);
        else if (act === "restore" && world.stored !== null) await restore(shard);
        else if (act === "trim") world.trim();
        else if (act === "lag") shard.isLagging = true;
        else if (act === "deliver") {
          shard.isLagging = false;
          await shard.catchUp();
        } else if (act === "dispose") world.dispose(number > 1);
        else if (act === "pass") await world.pass(6_000);
        else if (act === "down") world.down.add(number === 1 ? "sequencer" : "registry");
        else if (act === "up") world.down.clear();
      }
      world.down.clear();
      await world.pass(6_000);
      for (const shard of world.shards) {
        shard.isLagging = false;
        await shard.catchUp();
        await shard.join();
      }
      await world.say("end");
      for (const shard of world.shards) {
        expect(shard.clients.length).toBeGreaterThan(0);
        expect(shard.ledger.seen).toEqual(world.said);
      }
    }),
    { numRuns: 300 },
  );
});

test("SN13 a shard that was asked to go back before it held anything begins like any other", async () => {
  const [world, first] = await used({ snapshotIntervalMs: 0 }, 2);
  await take(first);
  const second = world.at(2);
  await restore(second);
  world.dispose(false);
  await world.say("z");
  await second.join();
  expect(second.ledger.seen).toEqual(["z"]);
});
