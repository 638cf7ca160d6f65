import { expect, test } from "vitest";
import type { Answer, Call } from "../../test/support/fake-calls.ts";
import { id, RegistryRig, reserveRequest } from "../../test/support/registry-rig.ts";
import { ServersRig } from "../../test/support/servers-rig.ts";
import { turns } from "../../test/support/turns.ts";
import { partitionOf } from "../core/partitions.ts";
import { defineRooms } from "../core/rooms.ts";
import type { RoomId } from "../protocol/names.ts";

const minute = 60_000;
const types = { maxPlayers: 3, seatTtlMs: 10_000 };
const rooms = defineRooms({ game: types }, { partitions: 2 });
const steady = defineRooms({ game: { ...types, failover: false } }, { partitions: 2 });
/** The partition under test is not the hub, which the test stands for. */
const name = "default-1";
const names = Array.from({ length: 50 }, (_, index) => `game:${index}`);
const room = names.find((each) => partitionOf(each, 2) === name) ?? "";
const first = { server: "s1", instance: "i1" };
const second = { server: "s2", instance: "i2" };
const at = (tenant: typeof first) => ({ ...tenant, url: `wss://${tenant.server}.example` });
const noServer = { ok: false, code: "no-server", detail: "none has space" } as const;
const lost = { ok: false, code: "unreachable", detail: "" } as const;

/** A room on the first server; the hub gives it the second from then on, or what the test says. */
async function start(declared = rooms) {
  const rig = await new RegistryRig(declared, name).start();
  const hub: { answer: Answer | Promise<Answer>; asked: Call["request"][] } = {
    answer: { ok: true, value: at(first) },
    asked: [],
  };
  const events: Record<string, unknown>[] = [];
  rig.ports.calls.answer = ({ request }) => {
    if (request.type === "events") {
      events.push(...request.events);
      return { ok: true, value: { isHeard: true } };
    }
    hub.asked.push(request);
    return request.type === "allocate" ? hub.answer : { ok: true, value: null };
  };
  const gone = () => rig.ask({ type: "gone", ...first, rooms: [id(room)] });
  const relocate = () => rig.handle({ type: "relocate", room: id(room), ...first });
  const report = (players: string[], from = first) =>
    rig.ask({ type: "hosted", ...from, asOf: 0, rooms: [{ room: id(room), players, seats: [] }] });
  const shown = () => rig.ask({ type: "room", room: id(room) });
  const eventsOf = async (type: string) => {
    await rig.passInSteps(1_000);
    return events.filter((event) => event["type"] === type);
  };
  return { rig, hub, gone, relocate, report, shown, eventsOf };
}

const moved: Answer = { ok: true, value: at(second) };
const table = { type: "table", room: id(room), counters: {} } as const;

test("SV10 the room of a server that is gone goes to another with all that the directory keeps of it", async () => {
  const { rig, hub, gone, report, shown, eventsOf } = await start();
  const metadata = { mode: "duel" };
  await rig.create(room, { keepMs: minute, metadata, maxPlayers: 2, isLocked: true });
  const { createdAt } = await shown();
  await report(["ann"]);
  hub.answer = moved;
  await gone();
  await turns();
  expect(hub.asked.at(-1)).toMatchObject({ type: "allocate", room, leaving: first });
  const address = at(second).url;
  const kept = { metadata, maxPlayers: 2, isLocked: true, createdAt };
  expect(await shown()).toMatchObject({ serverId: "s2", address, playerCount: 0, ...kept });
  expect((await rig.table(room)).redirect).toBe(address);
  expect(await eventsOf("room:migrated")).toMatchObject([{ roomId: room, from: "s1", to: "s2" }]);
  expect(await eventsOf("player:left")).toMatchObject([{ playerId: "ann", playerCount: 0 }]);
  expect(await eventsOf("room:disposed")).toEqual([]);
  expect(await report(["ann"])).toEqual({ unknown: [room] });
  expect(await report(["bob"], second)).toEqual({ unknown: [] });
  expect(await shown()).toMatchObject({ playerCount: 1 });
});

test("SV10 seats of before hold no more, and all places of the room are free again", async () => {
  const { rig, hub, gone, report } = await start();
  await rig.reserve({ create: id(room), players: ["a", "b"] });
  await report(["x"]);
  expect(await rig.failed(reserveRequest())).toBe("room-full");
  hub.answer = moved;
  await gone();
  await turns();
  expect([...rig.ports.storage.rows.keys()].filter((key) => key.startsWith("seats/"))).toEqual([]);
  expect(await rig.reserve({ players: ["a", "b", "c"] })).toMatchObject({ room, ...second });
});

test("SV10 a room that nobody comes back to ends when its time is over", async () => {
  const { rig, hub, gone, report } = await start();
  await rig.reserve({ create: id(room) });
  await report(["ann"]);
  hub.answer = moved;
  await gone();
  await rig.passInSteps(minute + 1_000);
  expect(await rig.list()).toEqual([]);
  expect(hub.asked.filter(({ type }) => type === "vacate")).toMatchObject([{ server: "s2" }]);
});

test("SV10 without another server, with failover: false, and when nobody would miss it the room is gone", async () => {
  for (const [declared, answer] of [
    [rooms, noServer],
    [rooms, { ok: true, value: null } as const],
    [steady, moved],
  ] as const) {
    const { rig, hub, gone, report, eventsOf } = await start(declared);
    await rig.create(room, { keepMs: minute });
    await report(["ann"]);
    hub.answer = answer;
    await gone();
    await turns();
    expect(await rig.list()).toEqual([]);
    expect(await eventsOf("room:disposed")).toMatchObject([{ reason: "server-offline" }]);
    expect(await rig.failed({ type: "room", room: id(room) })).toBe("unknown-room");
  }
  const { rig, hub, gone, report } = await start();
  await rig.reserve({ create: id(room), ttlMs: 1_000 });
  await rig.pass(2_000);
  await rig.ask({
    type: "hosted",
    ...first,
    asOf: rig.ports.clock.now(),
    rooms: [{ room: id(room), players: [], seats: [] }],
  });
  await report([]);
  hub.answer = moved;
  await gone();
  expect(await rig.list()).toEqual([]);
  expect(hub.asked.filter(({ type }) => type === "allocate")).toHaveLength(1);
});

test("SV11 nobody is sent to a room that is moving; the hub is asked until it says where", async () => {
  const { rig, hub, gone, shown } = await start();
  await rig.create(room, { keepMs: minute });
  hub.answer = lost;
  await gone();
  await turns();
  expect(await rig.failed(table)).toBe("unavailable");
  expect(await rig.failed(reserveRequest({ room: id(room) }))).toBe("unavailable");
  expect(await rig.failed(reserveRequest())).toBe("room-full");
  const route = {
    type: "route",
    roomType: "game",
    player: "ann",
    server: null,
    query: {},
  } as const;
  expect(await rig.ask({ ...route, room: id(room) })).toMatchObject({ type: "unavailable" });
  hub.answer = moved;
  await rig.passInSteps(2_000);
  expect(await shown()).toMatchObject({ serverId: "s2" });
});

test("SV11 a move goes on in the object's next life, and the answer that was lost is given again", async () => {
  const { rig, hub, gone, shown } = await start();
  await rig.create(room, { keepMs: minute });
  hub.answer = lost;
  await gone();
  await turns();
  hub.answer = { ok: true, value: { ...at(second), isOld: true } };
  await rig.start();
  await rig.passInSteps(2_000);
  expect(await shown()).toMatchObject({ serverId: "s2" });
  // Somebody may be there since the first answer: its server says.
  expect(await rig.failed(reserveRequest({ room: id(room) }))).toBe("unavailable");
  await rig.start();
  await rig.passInSteps(2_000);
  expect(hub.asked.filter(({ type }) => type === "allocate")).toHaveLength(3);
});

test("SV11 a room that is disposed of while it moves gives the server back that it was given", async () => {
  const { rig, hub, gone } = await start();
  await rig.create(room, { keepMs: minute });
  const chosen = Promise.withResolvers<Answer>();
  hub.answer = chosen.promise;
  await gone();
  await rig.ask({ type: "dispose", room: id(room) });
  chosen.resolve(moved);
  await rig.passInSteps(2_000);
  expect(await rig.list()).toEqual([]);
  expect(hub.asked.findLast(({ type }) => type === "vacate")).toMatchObject({ server: "s2" });
});

test("SV12 a server that lets go of a room is told where it went, as often as it asks", async () => {
  const { rig, hub, relocate, report } = await start();
  expect(await relocate()).toMatchObject({ code: "unknown-room" });
  await rig.create(room, { keepMs: minute });
  await report(["ann"]);
  hub.answer = moved;
  const there = { ok: true, value: { serverId: "s2" } };
  expect(await Promise.all([relocate(), relocate()])).toMatchObject([there, there]);
  expect(await relocate()).toMatchObject(there);
  expect(hub.asked.filter(({ type }) => type === "allocate")).toHaveLength(2);
});

test("SV12 a room that no other server takes stays where it is, until that is gone", async () => {
  const { rig, hub, relocate, gone, shown } = await start();
  await rig.create(room, { keepMs: minute });
  hub.answer = noServer;
  expect(await relocate()).toMatchObject({ code: "no-server" });
  expect(await shown()).toMatchObject({ serverId: "s1" });
  expect((await rig.table(room)).redirect).toBe(at(first).url);
  const answer = Promise.withResolvers<Answer>();
  hub.answer = answer.promise;
  const asked = relocate();
  await turns();
  await gone();
  answer.resolve(noServer);
  expect(await asked).toMatchObject({ code: "no-server" });
  expect(await rig.list()).toEqual([]);
  const other = await start(steady);
  await other.rig.create(room, { keepMs: minute });
  expect(await other.relocate()).toMatchObject({ code: "no-server" });
});

test("SV11 the hub gives a room that leaves a server to any other, and to the same one again", async () => {
  const rig = await new ServersRig().start();
  const allocate = (leaving: { server: string; instance: string }) => {
    const question = { key: "k", region: null, leaving } as const;
    const reply = rig.servers.allocate({ type: "allocate", room: "game:1" as RoomId, ...question });
    return reply.ok ? [reply.value?.server, reply.value?.isOld ?? false] : reply.code;
  };
  const a = { server: "a", instance: "first" };
  rig.register("a");
  expect(rig.allocate("game:1")).toBe("a");
  expect(allocate(a)).toBe("no-server");
  expect(rig.allocate("game:1")).toBe("a");
  rig.register("b");
  expect(allocate(a)).toEqual(["b", false]);
  expect(allocate(a)).toEqual(["b", true]);
  expect([rig.roomCount("a"), rig.roomCount("b")]).toEqual([0, 1]);
  // What its partition hears late of the former server says nothing of the new one.
  await rig.unregister("a");
  expect(rig.gone).toEqual([]);
  rig.register("a", { instance: "second" });
  expect(allocate({ server: "b", instance: "first" })).toEqual(["a", false]);
});
