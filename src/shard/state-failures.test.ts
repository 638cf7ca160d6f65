/** What is told of a room class whose state cannot be stored or taken up. */
import { expect, test } from "vitest";
import { lost } from "../../test/support/fake-calls.ts";
import {
  joinDespite,
  StateWorld,
  until,
  type StatefulShard,
} from "../../test/support/state-world.ts";
import { turns } from "../../test/support/turns.ts";
import { SnapshotStore } from "../core/snapshot-store.ts";
import { encodeSnapshot } from "../core/snapshot-value.ts";
import type { RoomId } from "../protocol/names.ts";
import { StateFailures } from "./state-failures.ts";

const take = (shard: StatefulShard) => shard.shard.handle({ type: "takeSnapshot" });
const restore = (shard: StatefulShard) => shard.shard.handle({ type: "restoreSnapshot" });

async function used(): Promise<[StateWorld, StatefulShard]> {
  const world = await StateWorld.start(1, { snapshotIntervalMs: 0 });
  const shard = world.at(1);
  await shard.join();
  await world.say("a", "b");
  return [world, shard];
}

/** Failures that the registry was told of and has heard, and what was counted with them. */
async function told(world: StateWorld, shard: StatefulShard) {
  await world.pass(1_000);
  const reports = shard.ports.calls.of("report");
  const failures = reports.flatMap((report) => report.failures ?? []);
  const reasons = failures.map(({ reason }) => reason);
  const counted = reports.flatMap(({ counters }) => Object.keys(counters)).toSorted();
  return { reasons, failures, counted };
}

function fail(): never {
  throw new Error("on purpose");
}

/** A snapshot that some other code has stored, its digests as they should be. */
async function plant(shard: StatefulShard, seq: number, text: string): Promise<void> {
  const store = new SnapshotStore("lobby" as RoomId, "default", shard.ports.calls);
  expect(await store.store({ epoch: "e01", seq }, text)).toMatchObject({ ok: true });
}

function textOf(roomType: string, state: unknown): string {
  const encoded = encodeSnapshot(roomType, state);
  if (!encoded.ok) throw new Error(encoded.detail);
  return encoded.value;
}

const unreadable: Record<string, readonly [text: string, reason: string]> = {
  "of another room type": [textOf("chess", ["x"]), "snapshot_foreign"],
  "of a newer version": [
    textOf("default", ["x"]).replace('"format":1', '"format":2'),
    "snapshot_foreign",
  ],
  "that is no snapshot": ["nothing", "snapshot_damaged"],
};

test.each([
  ["throws", () => fail(), "snapshot_threw"],
  ["never returns", () => new Promise(() => {}), "snapshot_late"],
  ["returns what cannot be cloned", () => () => 0, "snapshot_impossible"],
  ["returns too much", () => "x".repeat(32 * 1024 * 1024), "snapshot_too_large"],
])("SN16 the registry is told of a getSnapshot that %s", async (_, hook, reason) => {
  const [world, shard] = await used();
  shard.ledger.getSnapshot = hook;
  const taken = take(shard);
  await turns();
  await world.pass(5_000);
  expect(await taken).toMatchObject({ ok: false });
  const { reasons, counted } = await told(world, shard);
  expect(reasons).toEqual([reason]);
  expect(counted).toEqual([reason, "snapshot_errors"].toSorted());
  expect((await told(world, shard)).reasons).toEqual([reason]);
});

test.each([
  ["throws", () => fail(), "restore_threw"],
  ["never returns", () => new Promise(() => {}), "restore_late"],
])("SN16 the registry is told of an onRestore that %s", async (_, hook, reason) => {
  const [world, shard] = await used();
  await take(shard);
  const called = Promise.withResolvers<undefined>();
  shard.ledger.onRestore = () => {
    called.resolve(undefined);
    return hook();
  };
  const restored = restore(shard);
  await called.promise;
  await turns();
  await world.pass(5_000);
  expect(await restored).toMatchObject({ ok: false, code: "state-failed" });
  const { reasons, counted } = await told(world, shard);
  expect(reasons).toEqual([reason]);
  expect(counted).toEqual(["restore_errors", reason].toSorted());
});

test.each(Object.keys(unreadable))(
  "SN16 the registry is told of a snapshot %s that a shard would begin with, and the room goes on",
  async (what) => {
    const [text, reason] = unreadable[what] ?? ["", ""];
    const [world, shard] = await used();
    await plant(shard, 1, text);
    await shard.crash();
    expect(await shard.join()).toBe(true);
    expect(shard.ledger.seen).toEqual(["a", "b"]);
    const { reasons, counted } = await told(world, shard);
    expect(reasons).toEqual([reason]);
    expect(counted).toEqual([reason, "state_lost"].toSorted());
    expect(shard.shard.handle({ type: "load" })).toHaveProperty("value.stateError");
    await world.say("c");
    expect(shard.ledger.seen).toEqual(["a", "b", "c"]);
    expect(await take(shard)).toMatchObject({ ok: true, value: { position: { seq: 3 } } });
    expect(shard.shard.handle({ type: "load" })).not.toHaveProperty("value.stateError");
  },
);

test.each(Object.keys(unreadable))(
  "SN17 going back to a snapshot %s is refused, and the shard keeps its state",
  async (what) => {
    const [text, reason] = unreadable[what] ?? ["", ""];
    const [world, shard] = await used();
    await plant(shard, 2, text);
    world.trim(true);
    const code = reason.replaceAll("_", "-");
    expect(await restore(shard)).toMatchObject({ ok: false, code });
    expect(shard.ledger.seen).toEqual(["a", "b"]);
    expect((await told(world, shard)).reasons).toEqual([reason]);
    await world.say("c");
    expect(shard.ledger.seen).toEqual(["a", "b", "c"]);
  },
);

test.each(Object.keys(unreadable))(
  "SN17 a snapshot %s is not taken for one of the same position, and the next takes its place",
  async (what) => {
    const [text] = unreadable[what] ?? [""];
    const [world, shard] = await used();
    await plant(shard, 2, text);
    await shard.crash();
    await shard.join();
    expect(await take(shard)).toMatchObject({ ok: false });
    expect(shard.shard.handle({ type: "load" })).toHaveProperty("value.stateError");
    await world.say("c");
    expect(await take(shard)).toMatchObject({ ok: true, value: { position: { seq: 3 } } });
    expect(await restore(shard)).toMatchObject({ ok: true });
    expect(shard.ledger.seen).toEqual(["a", "b", "c"]);
  },
);

test.each([
  ["throws", () => fail()],
  ["never returns", () => new Promise(() => {})],
])(
  "SN18 a snapshot that an onRestore which %s could not take up stays, until one that can comes",
  async (_, hook) => {
    const world = await StateWorld.start(1);
    const shard = world.at(1);
    await shard.join();
    await world.say("a", "b");
    await take(shard);
    await shard.crash();
    expect(await joinDespite(hook, world, shard)).toBe(true);
    await world.say("c");
    await world.pass(600_000);
    expect(shard.ports.calls.of("beginSnapshot")).toHaveLength(1);
    await shard.crash();
    await shard.join();
    expect(shard.ledger.seen).toEqual(["a", "b", "c"]);
  },
);

test("SN18 nor does a drain store over it", async () => {
  const [world, shard] = await used();
  await plant(shard, 2, textOf("chess", ["x"]));
  await shard.crash();
  await shard.join();
  await world.say("c");
  shard.shard.handle({ type: "drain", limitMs: 60_000 });
  while (shard.clients[0]?.closedWith === null) await world.pass(100);
  expect(world.stored).toBe(2);
});

test("SN18 what a class without the snapshot holds takes its place on demand, and from then on of itself", async () => {
  const world = await StateWorld.start(1);
  const shard = world.at(1);
  await shard.join();
  await world.say("a", "b");
  await plant(shard, 2, textOf("chess", ["x"]));
  await shard.crash();
  await shard.join();
  await world.say("c");
  await world.pass(40_000);
  expect(world.stored).toBe(2);
  expect(await take(shard)).toMatchObject({ ok: true, value: { position: { seq: 3 } } });
  await world.say("d");
  await world.pass(40_000);
  await until(() => world.stored === 4);
});

test("SN17 while the registry is silent nothing goes back, and nothing is lost", async () => {
  const [world, shard] = await used();
  await take(shard);
  world.down.add("registry");
  expect(await restore(shard)).toMatchObject({ ok: false, code: "unreachable" });
  await world.say("c");
  expect(shard.ledger.seen).toEqual(["a", "b", "c"]);
});

test("SN16 what the registry has not heard is told again, the last of each reason", async () => {
  const [world, shard] = await used();
  shard.ledger.getSnapshot = () => {
    throw new Error("first");
  };
  await take(shard);
  world.down.add("registry");
  await world.pass(1_000);
  shard.ledger.getSnapshot = () => {
    throw new Error("second");
  };
  await take(shard);
  world.down.clear();
  shard.ports.calls.made.length = 0;
  await world.pass(10_000);
  const { failures } = await told(world, shard);
  const detail = "getSnapshot threw: Error: second";
  expect(failures).toEqual([{ reason: "snapshot_threw", detail }]);
});

test("SN16 an error's text is cut to 500 characters, wherever it is told", async () => {
  const [world, shard] = await used();
  shard.ledger.getSnapshot = () => {
    throw new Error("x".repeat(10_000));
  };
  await take(shard);
  const { failures } = await told(world, shard);
  expect(failures.map(({ detail }) => detail.length)).toEqual([500]);
  const stateError = failures[0]?.detail;
  expect(shard.shard.handle({ type: "load" })).toMatchObject({ value: { stateError } });
});

test("SN15 a shard that drains stores its state before the first client goes", async () => {
  const [world, shard] = await used();
  const answer = Promise.withResolvers<unknown>();
  shard.ledger.getSnapshot = () => answer.promise;
  shard.shard.handle({ type: "drain", limitMs: 60_000 });
  await world.pass(4_000);
  expect(shard.clients[0]?.closedWith).toBeNull();
  expect(world.stored).toBeNull();
  answer.resolve([...shard.ledger.seen]);
  await until(() => world.stored === 2);
  expect(shard.clients[0]?.closedWith).toBeNull();
  while (shard.clients[0]?.closedWith === null) await world.pass(100);
  expect(shard.clients[0]?.closedWith).toBe(4000);
});

test("SN15 a shard that lost its memory while it drains stores its state before more clients go", async () => {
  const [world, shard] = await used();
  shard.ledger.getSnapshot = () => new Promise(() => {});
  shard.shard.handle({ type: "drain", limitMs: 60_000 });
  await world.pass(1_000);
  await shard.sleep();
  const answer = Promise.withResolvers<unknown>();
  shard.ledger.getSnapshot = () => answer.promise;
  await world.pass(4_000);
  expect(shard.clients[0]?.closedWith).toBeNull();
  answer.resolve([...shard.ledger.seen]);
  await until(() => world.stored === 2);
  expect(shard.clients[0]?.closedWith).toBeNull();
  while (shard.clients[0]?.closedWith === null) await world.pass(100);
  expect(shard.clients[0]?.closedWith).toBe(4000);
  expect(shard.ports.calls.of("commitSnapshot")).toHaveLength(1);
});

test.each([
  [60_000, 10_000],
  [8_000, 4_000],
  [0, 0],
])(
  "SN15 of a drain of %i ms clients wait %i at most for what is not stored",
  async (limitMs, holdMs) => {
    const [world, shard] = await used();
    const answer = world.answer.bind(world);
    world.answer = (call) => {
      return call.request.type === "beginSnapshot" ? new Promise(() => {}) : answer(call);
    };
    shard.shard.handle({ type: "drain", limitMs });
    if (holdMs > 0) await world.pass(holdMs - 1);
    expect(shard.clients[0]?.closedWith).toBe(null);
    await world.pass(1);
    expect(shard.clients[0]?.closedWith).toBe(4000);
  },
);

test("SN15, SN16 a state that cannot be stored holds nobody up, and is told of", async () => {
  const [world, shard] = await used();
  shard.ledger.getSnapshot = () => fail();
  shard.shard.handle({ type: "drain", limitMs: 60_000 });
  await turns();
  expect((await told(world, shard)).reasons).toEqual(["snapshot_threw"]);
  await world.pass(500);
  expect(shard.clients[0]?.closedWith).toBe(4000);
});

test("SN15, GD5 a shard that is fenced while its state is on the way stores it no more", async () => {
  const [world, shard] = await used();
  const answer = Promise.withResolvers<unknown>();
  shard.ledger.getSnapshot = () => answer.promise;
  shard.shard.handle({ type: "drain", limitMs: 60_000 });
  await turns();
  shard.shard.handle({ type: "fenced" });
  expect(shard.clients[0]?.closedWith).toBe(4000);
  answer.resolve([...shard.ledger.seen]);
  await turns();
  expect(shard.ports.calls.of("beginSnapshot")).toEqual([]);
  expect(world.stored).toBeNull();
  expect(shard.ports.wakeups.at).toBeNull();
});

test("SN16 what is mended meanwhile is told all the same, once", () => {
  const failures = new StateFailures({ count: () => {}, onFailed: () => {} });
  const failed = { reason: "snapshot_late", detail: lost.detail };
  failures.failed("snapshot_errors", failed);
  failures.mended();
  expect(failures.load).toEqual({});
  const taken = failures.take();
  failures.giveBack(taken);
  expect([failures.take(), failures.take()]).toEqual([[failed], []]);
});
