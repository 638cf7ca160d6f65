import type { ShardId } from "../protocol/names.ts";
import { expect, test } from "vitest";
import { lost } from "../../test/support/fake-calls.ts";
import {
  createRequest,
  FakeShards,
  id,
  RegistryRig,
  reserveRequest,
} from "../../test/support/registry-rig.ts";
import { turns } from "../../test/support/turns.ts";
import { defineRooms } from "../core/rooms.ts";

const minute = 60_000;

async function start(rooms = defineRooms({ game: { maxPlayers: 4 }, wide: { shards: 3 } })) {
  const rig = await new RegistryRig(rooms).start();
  const shards = new FakeShards();
  rig.ports.calls.answer = shards.answer;
  return { rig, shards };
}

function rowsOf(rig: RegistryRig): string[] {
  return [...rig.ports.storage.rows.keys()].filter((key) => key.startsWith("room/"));
}

test("DI17 a room is in the directory from its first use: a table, a report, a seat", async () => {
  const { rig } = await start();
  await rig.table("lobby");
  await rig.report("other", { connections: 2 });
  await rig.reserve({ create: id("game:a") });
  expect(await rig.list()).toEqual(["game:a", "lobby", "other"]);
  expect(rowsOf(rig).toSorted()).toEqual(["room/game:a", "room/lobby", "room/other"]);
  const writes = rig.ports.storage.writes;
  for (const connections of [1, 5, 3]) await rig.report("other", { connections });
  expect(rig.ports.storage.writes).toBe(writes);
});

test("DI17 an unknown room that is only told to be empty is not entered", async () => {
  const { rig } = await start();
  await rig.report("lobby", { connections: 0 });
  await rig.report("game:a", { players: [] });
  expect(await rig.list()).toEqual([]);
  expect(rowsOf(rig)).toEqual([]);
});

test("DI17 a created room tells what it was created with, and survives", async () => {
  const { rig, shards } = await start();
  const at = rig.ports.clock.now();
  const created = await rig.create("game:a", {
    metadata: { mode: "duel" },
    maxPlayers: 2,
    isLocked: true,
  });
  const listing = {
    roomId: "game:a",
    roomType: "game",
    serverId: "game:a-1",
    serverIds: ["game:a-1"],
    address: null,
    playerCount: 0,
    maxPlayers: 2,
    isLocked: true,
    metadata: { mode: "duel" },
    createdAt: at,
    updatedAt: at,
  };
  expect(created).toEqual(listing);
  expect(shards.limits.get("game:a-1")).toBe(2);
  await rig.start();
  expect(await rig.ask({ type: "room", room: id("game:a") })).toEqual(listing);
  expect(await rig.create("wide:a")).toMatchObject({
    serverIds: ["wide:a-1", "wide:a-2", "wide:a-3"],
  });
  expect(await rig.create("lobby")).not.toHaveProperty("maxPlayers");
});

test("DI17 rows of the first version, which hold no more than `true`, are rooms", async () => {
  const { rig } = await start();
  rig.ports.storage.put({
    "room/lobby": true,
    "room/gone:1": true,
    "room/bad": { createdAt: "x" },
  });
  await rig.start();
  expect(await rig.list()).toEqual(["lobby"]);
});

test("DI2 a room that was used is forgotten a minute after the last client has left", async () => {
  const { rig } = await start();
  await rig.report("lobby", { connections: 1 });
  await rig.pass(10 * minute);
  await rig.report("lobby", { connections: 0 });
  await rig.pass(minute - 1);
  expect(await rig.list()).toEqual(["lobby"]);
  await rig.pass(1);
  expect(await rig.list()).toEqual([]);
  expect(rowsOf(rig)).toEqual([]);
});

test("DI2 who comes back in time starts the minute anew, and one that nobody came to ends too", async () => {
  const { rig } = await start();
  await rig.table("empty");
  await rig.report("lobby", { connections: 1 });
  await rig.report("lobby", { connections: 0 });
  await rig.pass(minute / 2);
  await rig.report("lobby", { connections: 1 });
  await rig.report("lobby", { connections: 0 });
  await rig.pass(minute / 2);
  expect(await rig.list()).toEqual(["lobby"]);
  await rig.passInSteps(minute / 2);
  expect(await rig.list()).toEqual([]);
});

test("DI2 seats that are held or taken keep the room", async () => {
  const { rig } = await start();
  await rig.reserve({ create: id("game:held") });
  await rig.report("game:taken", { connections: 0, players: ["ann"] });
  await rig.passInSteps(10 * minute);
  expect(await rig.list()).toEqual(["game:held", "game:taken"]);
  await rig.report("game:held", { players: [] });
  await rig.report("game:taken", { players: [] });
  await rig.passInSteps(minute);
  expect(await rig.list()).toEqual([]);
});

test("DI2 a created room stays as long as its creator asked, also when this object dies meanwhile", async () => {
  const { rig } = await start();
  await rig.create("game:a", { keepMs: 10 * minute });
  const end = rig.ports.clock.now() + 10 * minute;
  expect(rig.ports.wakeups.durableAt).toBe(end);
  await rig.passInSteps(9 * minute);
  rig.ports.wakeups.durableAt = null;
  await rig.start();
  expect(rig.ports.wakeups.durableAt).toBe(end);
  await rig.pass(minute - 1);
  expect(await rig.list()).toEqual(["game:a"]);
  await rig.pass(1);
  expect(await rig.list()).toEqual([]);
  expect(rowsOf(rig)).toEqual([]);
});

test("DI2 where there are no alarms, the sweep ends a created room whose time is over", async () => {
  const { rig } = await start();
  await rig.create("game:a", { keepMs: 10 * minute });
  await rig.passInSteps(minute);
  expect(rig.ports.wakeups.at).toBe(null);
  rig.ports.clock.advance(9 * minute);
  await rig.ask({ type: "sweep" });
  await turns();
  expect(await rig.list()).toEqual([]);
});

test("DI2 before a created room is forgotten its shard is asked, and somebody who has just come keeps it", async () => {
  const { rig, shards } = await start();
  await rig.create("game:a", { keepMs: minute, metadata: { mode: "duel" } });
  shards.seats.set("game:a-1", ["ann"]);
  await rig.passInSteps(2 * minute);
  expect(await rig.ask({ type: "room", room: id("game:a") })).toMatchObject({
    metadata: { mode: "duel" },
  });
  shards.seats.delete("game:a-1");
  await rig.report("game:a", { players: [] });
  await rig.passInSteps(minute);
  expect(await rig.list()).toEqual([]);
});

test("DI5 a room that is there, or a limit that its type does not allow, is refused", async () => {
  const { rig } = await start();
  await rig.create("game:a");
  await rig.table("lobby");
  expect(await rig.failed(createRequest("game:a"))).toBe("room-exists");
  expect(await rig.failed(createRequest("lobby"))).toBe("room-exists");
  expect(await rig.failed(createRequest("chess:1"))).toBe("unknown-room-type");
  expect(await rig.failed(createRequest("game:b", { maxPlayers: 5 }))).toBe("malformed-body");
  expect(await rig.failed(createRequest("game:b", { maxPlayers: 0 }))).toBe("malformed-body");
  expect(await rig.failed(createRequest("wide:b", { maxPlayers: 1 }))).toBe("malformed-body");
  expect(await rig.list()).toEqual(["game:a", "lobby"]);
});

test("DI5 of many who create one room at once, one has created it", async () => {
  const { rig } = await start();
  const request = createRequest("game:a", { maxPlayers: 2 });
  const codes = await Promise.all(Array.from({ length: 20 }, () => rig.failed(request)));
  expect(codes.filter((code) => code === null)).toHaveLength(1);
  expect(codes.filter((code) => code === "room-exists")).toHaveLength(19);
});

test("DI5 a limit that its shard was not told is no room, and is taken back until that was heard", async () => {
  const { rig, shards } = await start();
  shards.down.add("game:a-1");
  const request = createRequest("game:a", { maxPlayers: 2 });
  expect(await rig.failed(request)).toBe("unavailable");
  expect(await rig.list()).toEqual([]);
  await rig.pass(1_000);
  await rig.start();
  shards.down.clear();
  await rig.passInSteps(minute);
  expect(shards.limits.get("game:a-1")).toBe(null);
  expect([...rig.ports.storage.rows.keys()].filter((key) => key.startsWith("owed/"))).toEqual([]);
  expect(await rig.failed(request)).toBe(null);
  await rig.passInSteps(minute);
  expect(shards.limits.get("game:a-1")).toBe(2);
});

test("DI5 an object that dies while it tells the limit takes it back in its next life", async () => {
  const { rig, shards } = await start();
  const never = Promise.withResolvers<never>();
  rig.ports.calls.answer = () => never.promise;
  void rig.handle(createRequest("game:a", { maxPlayers: 2 }));
  await turns();
  shards.limits.set("game:a-1", 2);
  rig.ports.calls.answer = shards.answer;
  await rig.start();
  expect(await rig.list()).toEqual([]);
  await rig.passInSteps(minute);
  expect(shards.limits.get("game:a-1")).toBe(null);
});

test("DI5 a room's own limit ends with the room", async () => {
  const { rig, shards } = await start();
  await rig.create("game:a", { maxPlayers: 2, keepMs: minute });
  await rig.passInSteps(2 * minute);
  expect(await rig.list()).toEqual([]);
  expect(shards.limits.get("game:a-1")).toBe(null);
});

test.each(["empty", "disposed"])(
  "DI5 the shard of a room that is %s soon is told again when its limit can come no more",
  async (how) => {
    const { rig, shards } = await start();
    await rig.create("game:a", { maxPlayers: 2, keepMs: 0 });
    if (how === "disposed") await rig.ask({ type: "dispose", room: id("game:a") });
    await rig.passInSteps(10_000);
    expect(await rig.list()).toEqual([]);
    expect(shards.limits.get("game:a-1")).toBe(null);
    shards.limits.set("game:a-1", 2);
    await rig.passInSteps(30_000);
    expect(shards.limits.get("game:a-1")).toBe(null);
    expect([...rig.ports.storage.rows.keys()].filter((key) => key.startsWith("owed/"))).toEqual([]);
  },
);

test("DI16 a room that is disposed of ends at its shards, its sequencer, and then here", async () => {
  const { rig, shards } = await start();
  await rig.report("wide:a", { number: 2, connections: 3 });
  shards.down.add("wide:a-3");
  const dispose = { type: "dispose", room: id("wide:a") } as const;
  expect(await rig.failed(dispose)).toBe("unavailable");
  expect(await rig.list()).toEqual(["wide:a"]);
  shards.down.clear();
  rig.ports.calls.made.length = 0;
  expect(await rig.failed(dispose)).toBe(null);
  const told = rig.ports.calls.made.filter(({ request }) => request.type === "dispose");
  expect(told.map((call) => `${call.role} ${call.id}`)).toEqual([
    "shard wide:a-1",
    "shard wide:a-2",
    "shard wide:a-3",
    "sequencer wide:a",
  ]);
  expect(await rig.list()).toEqual([]);
  expect(rowsOf(rig)).toEqual([]);
  // Once more, and it ends all the same what there may be.
  rig.ports.calls.made.length = 0;
  expect(await rig.failed(dispose)).toBe(null);
  expect(rig.ports.calls.made).toHaveLength(4);
  await rig.report("wide:a", { number: 2, connections: 0 });
  expect(await rig.list()).toEqual([]);
});

test("DI16 what the directory does not know is ended all the same, few objects at a time", async () => {
  const types = defineRooms({ wide: { shards: 20 }, abroad: { hostedBy: "servers" } });
  const { rig } = await start(types);
  let underWay = 0;
  let most = 0;
  rig.ports.calls.answer = async () => {
    underWay += 1;
    most = Math.max(most, underWay);
    await Promise.resolve();
    underWay -= 1;
    return { ok: true, value: null };
  };
  expect(await rig.failed({ type: "dispose", room: id("wide:a") })).toBe(null);
  const told = rig.ports.calls.made.splice(0).map(({ role, id: to }) => `${role} ${to}`);
  expect(told.slice(0, 2)).toEqual(["shard wide:a-1", "shard wide:a-2"]);
  expect([told.length, told.at(-1), most]).toEqual([21, "sequencer wide:a", 6]);
  // Rooms that are always outside have no shards.
  expect(await rig.failed({ type: "dispose", room: id("abroad:a") })).toBe(null);
  expect(rig.ports.calls.made).toEqual([]);
  expect(await rig.failed({ type: "dispose", room: id("chess:a") })).toBe("unknown-room-type");
  rig.ports.calls.answer = () => lost;
  expect(await rig.failed({ type: "dispose", room: id("wide:a") })).toBe("unavailable");
});

test("DI16 nobody is sent to a room that is being disposed of", async () => {
  const { rig, shards } = await start();
  await rig.create("game:a");
  const sequencer = Promise.withResolvers<void>();
  rig.ports.calls.answer = async (call) => {
    if (call.role === "sequencer") await sequencer.promise;
    return shards.answer(call);
  };
  const disposed = rig.failed({ type: "dispose", room: id("game:a") });
  await turns();
  expect(await rig.failed(reserveRequest({ room: id("game:a") }))).toBe("unavailable");
  expect(await rig.failed(reserveRequest())).toBe("room-full");
  sequencer.resolve();
  expect(await disposed).toBe(null);
});

test("DI16 who comes while the room is being disposed of is in the new room", async () => {
  const { rig, shards } = await start();
  await rig.create("game:a", { metadata: { mode: "duel" } });
  const sequencer = Promise.withResolvers<void>();
  rig.ports.calls.answer = async (call) => {
    if (call.role === "sequencer") await sequencer.promise;
    return shards.answer(call);
  };
  const disposed = rig.failed({ type: "dispose", room: id("game:a") });
  await turns();
  const load = { connections: 0, players: [] as string[], reserved: 0, counters: {} };
  const report = { type: "report", shard: "game:a-1" as ShardId, ...load } as const;
  expect(await rig.failed(report)).toBe(null);
  const here = { ...report, players: ["ann"], connections: 1 };
  expect(await rig.failed(here)).toBe("unavailable");
  sequencer.resolve();
  expect(await disposed).toBe(null);
  expect(await rig.list()).toEqual([]);
  expect(await rig.failed(here)).toBe(null);
  const room = await rig.ask({ type: "room", room: id("game:a") });
  expect(room).toMatchObject({ metadata: {}, playerCount: 1 });
});

test("DI12 after a restart loads are asked for a few at a time, and rooms that emptied are forgotten", async () => {
  const { rig, shards } = await start();
  for (let number = 0; number < 30; number += 1)
    await rig.report(`game:${number}`, { players: ["x"] });
  shards.seats.set("game:7-1", ["x"]);
  let underWay = 0;
  let most = 0;
  rig.ports.calls.answer = async (call) => {
    underWay += 1;
    most = Math.max(most, underWay);
    await Promise.resolve();
    underWay -= 1;
    return shards.answer(call);
  };
  await rig.start();
  expect((await rig.ask({ type: "figures" })).rooms).toBe(0);
  await rig.passInSteps(2 * minute);
  expect(await rig.list()).toEqual(["game:7"]);
  expect(most).toBeLessThanOrEqual(6);
  expect(most).toBeGreaterThan(1);
});

test("DI12 a room that somebody asks for does not wait behind those that nobody asks for", async () => {
  const { rig, shards } = await start();
  for (let number = 10; number < 40; number += 1) {
    await rig.report(`game:${number}`, { players: ["x"] });
    shards.seats.set(`game:${number}-1`, ["x"]);
  }
  const silent = Promise.withResolvers<never>();
  rig.ports.calls.answer = (call) =>
    call.id === "game:39-1" ? shards.answer(call) : silent.promise;
  await rig.start();
  await rig.pass(1_000);
  expect(await rig.ask({ type: "room", room: id("game:39") })).toMatchObject({ roomId: "game:39" });
});

test("DI12 a shard that cannot answer is asked again, and until then its room is kept", async () => {
  const { rig, shards } = await start();
  await rig.report("lobby", { connections: 1 });
  rig.ports.calls.answer = () => ({ ok: false, code: "overloaded", detail: "too much" });
  await rig.start();
  await rig.passInSteps(5 * minute);
  expect(await rig.list()).toEqual(["lobby"]);
  rig.ports.calls.answer = shards.answer;
  await rig.passInSteps(3 * minute);
  expect(await rig.list()).toEqual([]);
});

test("DI12 a list after a restart tells counts that are true, and leaves out rooms that are full", async () => {
  const { rig, shards } = await start();
  for (const room of ["game:a", "game:b"]) {
    await rig.report(room, { players: ["x"] });
    shards.seats.set(`${room}-1`, room === "game:a" ? ["1", "2", "3", "4"] : ["1"]);
  }
  await rig.start();
  expect(await rig.list({ query: { hasSpace: true } })).toEqual(["game:b"]);
});

test("DI12 a list after a restart waits two seconds for silent shards, and tells what is known", async () => {
  const { rig, shards } = await start();
  for (const room of ["game:a", "game:b"]) await rig.report(room, { players: ["x"] });
  shards.seats.set("game:a-1", ["1"]);
  rig.ports.calls.answer = (call) =>
    call.id === "game:b-1" ? new Promise<never>(() => {}) : shards.answer(call);
  await rig.start();
  const listed = rig.list();
  const servers = rig.ask({
    type: "servers",
    kind: "shard",
    roomType: null,
    after: null,
    limit: 10,
  });
  await turns();
  await rig.pass(2_000);
  expect(await listed).toEqual(["game:a", "game:b"]);
  expect((await servers).servers.map(({ serverId }) => serverId)).toEqual(["game:a-1"]);
});

test("DI4 a list is of rooms of a type, with space, unlocked, with metadata", async () => {
  const { rig } = await start();
  await rig.create("game:a", { metadata: { mode: "duel", round: 1 } });
  await rig.create("game:b", { isLocked: true });
  await rig.report("game:c", { players: ["1", "2", "3", "4"] });
  await rig.report("lobby", { connections: 9 });
  expect(await rig.list({ roomType: "game" })).toEqual(["game:a", "game:b", "game:c"]);
  expect(await rig.list({ query: { hasSpace: true } })).toEqual(["game:a", "game:b", "lobby"]);
  expect(await rig.list({ query: { notLocked: true } })).toEqual(["game:a", "game:c", "lobby"]);
  expect(await rig.list({ query: { metadata: { round: 1 } } })).toEqual(["game:a"]);
  expect(await rig.list({ query: { metadata: { round: "1" } } })).toEqual([]);
  const chess = { type: "rooms", roomType: "chess", query: {}, after: null, limit: 5 } as const;
  expect(await rig.failed(chess)).toBe("unknown-room-type");
});

test("DI4 a change of lock and metadata is told at once, and survives", async () => {
  const { rig } = await start();
  await rig.create("game:a", { metadata: { mode: "duel" } });
  rig.ports.clock.advance(5);
  const room = id("game:a");
  const changed = await rig.ask({
    type: "change",
    room,
    isLocked: true,
    metadata: { mode: "team" },
  });
  expect(changed).toMatchObject({ isLocked: true, metadata: { mode: "team" } });
  expect(changed.updatedAt).toBe(changed.createdAt + 5);
  expect(await rig.table("game:a")).toMatchObject({ isLocked: true, redirect: null });
  await rig.start();
  expect(await rig.ask({ type: "room", room })).toMatchObject({
    isLocked: true,
    metadata: { mode: "team" },
  });
  expect(await rig.failed({ type: "change", room: id("game:b"), isLocked: true })).toBe(
    "unknown-room",
  );
});

test("DI17 a report that was overtaken by a newer one changes nothing", async () => {
  const { rig, shards } = await start();
  const shard = "game:a-1" as ShardId;
  const now = rig.ports.clock.now();
  const report = { type: "report", shard, reserved: 0, counters: {} } as const;
  const load = { connections: 2, players: ["a", "b"], at: now };
  shards.loads.set(shard, { ...load, reserved: 0 });
  await rig.ask({ ...report, ...load });
  await rig.ask({ ...report, connections: 1, players: ["a"], at: now - 1_000 });
  expect(await rig.ask({ type: "room", room: id("game:a") })).toMatchObject({ playerCount: 2 });
});

test("DI17 a report that is older than the room does not count for good", async () => {
  const { rig } = await start();
  const late = { connections: 3, players: null, reserved: 0, at: rig.ports.clock.now() };
  await rig.pass(1_000);
  await rig.table("wide:a");
  const shard = "wide:a-2" as ShardId;
  await rig.ask({ type: "report", shard, ...late, counters: {} });
  await turns();
  expect(await rig.ask({ type: "room", room: id("wide:a") })).toMatchObject({ playerCount: 0 });
  // What is newer than the room is believed, and nobody is asked.
  const asked = rig.ports.calls.of("load").length;
  await rig.ask({ type: "report", shard, ...late, at: rig.ports.clock.now(), counters: {} });
  await turns();
  expect(await rig.ask({ type: "room", room: id("wide:a") })).toMatchObject({ playerCount: 3 });
  expect([asked, rig.ports.calls.of("load").length]).toEqual([1, 1]);
});

test("DI17 a report of before the registry died, which comes after, does not count for good", async () => {
  const { rig } = await start();
  await rig.create("game:a");
  const load = { connections: 0, players: ["ann"], reserved: 0, at: rig.ports.clock.now() };
  await rig.pass(1_000);
  await rig.start();
  await rig.ask({ type: "report", shard: "game:a-1" as ShardId, ...load, counters: {} });
  await turns();
  expect(await rig.ask({ type: "room", room: id("game:a") })).toMatchObject({ playerCount: 0 });
});

test("DI17 a report of before the room was given up, which comes after, keeps no empty room", async () => {
  const { rig, shards } = await start();
  const shard = "game:a-1" as ShardId;
  const shardSays = (players: string[]) => {
    const load = { connections: 0, players, reserved: 0, at: rig.ports.clock.now() };
    shards.loads.set(shard, load);
    return { type: "report", shard, ...load, counters: {} } as const;
  };
  await rig.create("game:a", { keepMs: 0 });
  await rig.ask(shardSays(["ann"]));
  const late = shardSays(["ann"]);
  rig.ports.clock.advance(1_000);
  await rig.ask(shardSays([]));
  await rig.pass(0);
  expect(await rig.list()).toEqual([]);
  shards.down.add(shard);
  await rig.ask(late);
  await turns();
  expect(await rig.list()).toEqual(["game:a"]);
  shards.down.clear();
  // It is asked until it answers, and then nobody is there for a minute.
  await rig.passInSteps(2 * minute);
  expect(await rig.list()).toEqual([]);
});
