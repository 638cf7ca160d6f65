import { expect, test } from "vitest";
import { FakeShards, id, RegistryRig, reserveRequest } from "../../test/support/registry-rig.ts";
import { defineRooms } from "../core/rooms.ts";
import type { RequestTo } from "../protocol/calls.ts";

async function start(rooms = defineRooms({ game: { maxPlayers: 4 } })) {
  const rig = await new RegistryRig(rooms).start();
  const shards = new FakeShards();
  rig.ports.calls.answer = shards.answer;
  return { rig, shards };
}

function players(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `p${index}`);
}

test("DI6 a seat is held in the fullest open room that fits", async () => {
  const { rig } = await start();
  await rig.report("game:a", { players: ["x"] });
  await rig.report("game:b", { players: ["x", "y"] });
  await rig.report("game:c", { players: players(4) });
  expect(await rig.reserve()).toMatchObject({ room: "game:b", server: "game:b-1", redirect: null });
  expect(await rig.reserve()).toMatchObject({ room: "game:b" });
  expect(await rig.reserve()).toMatchObject({ room: "game:a" });
});

test("DI6 a group gets seats in one room: each has its own, with the type's time or the caller's", async () => {
  const { rig } = await start();
  await rig.report("game:a", { players: players(2) });
  await rig.report("game:b", { players: players(1) });
  const held = await rig.reserve({ players: ["u", "v", "w"], ttlMs: 2_000 });
  expect(held.room).toBe("game:b");
  expect(held.expiresAt).toBe(1_002_000);
  expect(held.seats.map(({ player }) => player)).toEqual(["u", "v", "w"]);
  expect(new Set(held.seats.map((seat) => seat.id)).size).toBe(3);
  expect((await rig.reserve()).expiresAt).toBe(1_015_000);
});

function mode(value: string) {
  return { query: { metadata: { mode: value } } };
}

test("DI6 only rooms with the metadata that is asked for, and none that are locked", async () => {
  const { rig } = await start();
  await rig.create("game:duel", { metadata: { mode: "duel", round: 1 } });
  await rig.create("game:team", { metadata: { mode: "team" } });
  await rig.create("game:locked", { metadata: { mode: "ffa" }, isLocked: true });
  expect((await rig.reserve(mode("team"))).room).toBe("game:team");
  expect((await rig.reserve({ query: { metadata: { mode: "duel", round: 1 } } })).room).toBe(
    "game:duel",
  );
  expect(await rig.failed(reserveRequest(mode("ffa")))).toBe("room-full");
  await rig.ask({ type: "change", room: id("game:locked"), isLocked: false });
  expect((await rig.reserve(mode("ffa"))).room).toBe("game:locked");
  await rig.ask({ type: "change", room: id("game:locked"), metadata: { mode: "solo" } });
  expect((await rig.reserve(mode("solo"))).room).toBe("game:locked");
});

test("DI6 the shard decides: one that is full or silent is passed over, and a full one is counted as full", async () => {
  const { rig, shards } = await start();
  await rig.report("game:a", { players: players(3) });
  await rig.report("game:b", { players: players(2) });
  await rig.report("game:c", { players: players(1) });
  shards.seats.set("game:a-1", players(4));
  shards.down.add("game:b-1");
  expect((await rig.reserve()).room).toBe("game:c");
  const asked = rig.ports.calls.made.filter(({ request }) => request.type === "reserve");
  expect(asked.map((call) => call.id)).toEqual(["game:a-1", "game:b-1", "game:c-1"]);
  shards.down.clear();
  expect((await rig.reserve()).room).toBe("game:b");
  // What the shard reports next is right again.
  shards.seats.delete("game:a-1");
  await rig.report("game:a", { players: players(3) });
  const last = [await rig.reserve(), await rig.reserve()].map(({ room }) => room);
  expect(last.toSorted()).toEqual(["game:a", "game:b"]);
});

test("DI6 eight shards are asked and no more", async () => {
  const { rig, shards } = await start();
  for (let number = 10; number < 30; number += 1) {
    await rig.report(`game:${number}`, { players: ["x"] });
    shards.down.add(`game:${number}-1`);
  }
  expect(await rig.failed(reserveRequest())).toBe("room-full");
  expect(rig.ports.calls.of("reserve")).toHaveLength(8);
  expect((await rig.reserve({ create: id("game:new") })).room).toBe("game:new");
});

test("DI7 two hundred who reserve at once fill room after room, and no shard is asked for more than it has", async () => {
  const { rig, shards } = await start();
  const asked = new Map<string, number>();
  rig.ports.calls.answer = async (call) => {
    if (call.request.type === "reserve") asked.set(call.id, (asked.get(call.id) ?? 0) + 1);
    await Promise.resolve();
    return shards.answer(call);
  };
  const held = await Promise.all(
    players(200).map((player, index) =>
      rig.reserve({ players: [player], create: id(`game:${index}`) }),
    ),
  );
  const inRooms = new Map<string, number>();
  for (const { room } of held) inRooms.set(room, (inRooms.get(room) ?? 0) + 1);
  expect([...inRooms.values()]).toEqual(Array.from({ length: 50 }, () => 4));
  expect([...asked.values()]).toEqual(Array.from({ length: 50 }, () => 4));
});

test("DI7 two hundred who reserve the last seat: one has it", async () => {
  const { rig, shards } = await start();
  await rig.report("game:a", { players: players(3) });
  shards.seats.set("game:a-1", players(3));
  const codes = await Promise.all(
    players(200).map((one) => rig.failed(reserveRequest({ players: [one] }))),
  );
  expect(codes.filter((code) => code === null)).toHaveLength(1);
  expect(codes.filter((code) => code === "room-full")).toHaveLength(199);
  expect(rig.ports.calls.of("reserve")).toHaveLength(1);
});

test("DI8 each reason for which no seat is held has its code, and nothing is changed", async () => {
  const { rig, shards } = await start();
  const code = (more: Partial<RequestTo<"registry"> & { type: "reserve" }>) =>
    rig.failed(reserveRequest(more));
  expect(await code({})).toBe("unknown-room");
  expect(await code({ roomType: "chess" })).toBe("unknown-room-type");
  expect(await code({ room: id("game:none") })).toBe("unknown-room");
  expect(await code({ room: id("lobby") })).toBe("malformed-body");
  expect(await code({ create: id("lobby") })).toBe("malformed-body");
  expect(await code({ players: [] })).toBe("malformed-body");
  await rig.create("game:locked", { isLocked: true });
  expect(await code({ room: id("game:locked") })).toBe("room-locked");
  expect(await code({})).toBe("room-full");
  await rig.create("game:full");
  shards.seats.set("game:full-1", players(4));
  expect(await code({ room: id("game:full") })).toBe("room-full");
  expect(await code({ room: id("game:full"), query: { metadata: { mode: "x" } } })).toBe(
    "unknown-room",
  );
  shards.down.add("game:full-1");
  expect(await code({ room: id("game:full") })).toBe("unavailable");
  expect(await rig.list()).toEqual(["game:full", "game:locked"]);
});

test("DI6 a room that is named is entered when the caller may create it", async () => {
  const { rig } = await start();
  const mine = id("game:mine");
  expect((await rig.reserve({ room: mine, create: mine })).room).toBe(mine);
  expect((await rig.reserve({ room: mine })).room).toBe(mine);
  expect(await rig.ask({ type: "room", room: mine })).toMatchObject({
    playerCount: 0,
    maxPlayers: 4,
  });
});

test("DI8 a group that no room can take, and one that a new room does not take, leave no room behind", async () => {
  const { rig, shards } = await start();
  const five = reserveRequest({ players: players(5), create: id("game:new") });
  expect(await rig.failed(five)).toBe("room-full");
  expect(rig.ports.calls.of("reserve")).toEqual([]);
  shards.down.add("game:new-1");
  expect(await rig.failed(reserveRequest({ create: id("game:new") }))).toBe("unavailable");
  expect(await rig.list()).toEqual([]);
  expect([...rig.ports.storage.rows.keys()].filter((key) => key.startsWith("room/"))).toEqual([]);
  shards.down.clear();
  expect((await rig.reserve({ create: id("game:new") })).room).toBe("game:new");
});

test("DI18 players who ask for the same metadata come together in a room that has it", async () => {
  const { rig } = await start();
  const wanted = { query: { metadata: { mode: "duel", round: 1 } } };
  const first = await rig.reserve({ ...wanted, create: id("game:1") });
  const second = await rig.reserve({ ...wanted, create: id("game:2") });
  expect([first.room, second.room]).toEqual(["game:1", "game:1"]);
  expect((await rig.reserve({ ...mode("team"), create: id("game:3") })).room).toBe("game:3");
  expect((await rig.ask({ type: "room", room: id("game:1") })).metadata).toEqual({
    mode: "duel",
    round: 1,
  });
  const long = { query: { metadata: { text: "x".repeat(16 * 1024) } } };
  expect(await rig.failed(reserveRequest({ ...long, create: id("game:4") }))).toBe(
    "malformed-body",
  );
  const named = { room: id("game:5"), create: id("game:5") };
  const [made, other] = await Promise.all([
    rig.tryReserve({ ...named, ...mode("duel") }),
    rig.failed(reserveRequest({ ...named, ...mode("team") })),
  ]);
  expect([made?.room, other]).toEqual(["game:5", "unknown-room"]);
});

test("DI9 in a room of several shards the type's strategy chooses one for the whole group", async () => {
  const rooms = defineRooms({ game: { shards: 3, capacity: 10 } });
  const { rig, shards } = await start(rooms);
  for (const [index, connections] of [9, 2, 5].entries()) {
    await rig.report("game:a", { number: index + 1, connections });
  }
  const held = await rig.reserve({ players: players(3) });
  expect(held).toMatchObject({ room: "game:a", server: "game:a-2" });
  // Its three seats count: five there are, as on the third.
  shards.seats.set("game:a-2", players(4));
  const servers = [
    await rig.reserve({ players: players(2) }),
    await rig.reserve({ players: players(2) }),
  ];
  expect(servers.map(({ server }) => server)).toEqual(["game:a-3", "game:a-3"]);
});

test("DI10 a route leads to a room of the asking server, however full others are", async () => {
  const { rig } = await start();
  await rig.report("game:full", { players: players(3) });
  await rig.report("game:half", { players: players(2) });
  await rig.report("game:own", { players: ["x"] });
  const route = (server: string | null) =>
    rig.ask({
      type: "route",
      roomType: "game",
      room: null,
      player: "ann",
      server,
      query: {},
    });
  expect(await route("game:own-1")).toEqual({ type: "local", roomId: "game:own" });
  for (const other of ["s1", null]) {
    expect(await route(other)).toMatchObject({ type: "redirect", roomId: "game:full" });
  }
});

test("DI10 a route tells where a player would go, and changes nothing", async () => {
  const { rig } = await start();
  const route = (room: string | null, more: { server?: string; mode?: string } = {}) =>
    rig.ask({
      type: "route",
      roomType: "game",
      room: room === null ? null : id(room),
      player: "ann",
      server: more.server ?? null,
      query: more.mode === undefined ? {} : { metadata: { mode: more.mode } },
    });
  expect(await route(null)).toEqual({ type: "create" });
  expect(await route("game:a")).toEqual({ type: "create" });
  expect(await rig.list()).toEqual([]);
  await rig.create("game:a", { metadata: { mode: "duel" } });
  const there = { type: "redirect", roomId: "game:a", serverId: "game:a-1", serverAddress: "" };
  expect(await route(null)).toEqual(there);
  expect(await route("game:a")).toEqual(there);
  expect(await route("game:a", { server: "game:a-1" })).toEqual({
    type: "local",
    roomId: "game:a",
  });
  expect(await route(null, { mode: "team" })).toEqual({ type: "create" });
  expect(await route("game:a", { mode: "team" })).toMatchObject({ type: "unavailable" });
  await rig.report("game:a", { players: players(4) });
  expect(await route("game:a")).toMatchObject({ type: "unavailable" });
  await rig.ask({ type: "change", room: id("game:a"), isLocked: true });
  expect(await route("game:a")).toMatchObject({ type: "unavailable" });
  expect(await route(null)).toEqual({ type: "create" });
  expect(rig.ports.calls.of("reserve")).toEqual([]);
});
