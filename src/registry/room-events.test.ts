import { expect, test } from "vitest";
import type { Answer } from "../../test/support/fake-calls.ts";
import { FakeShards, id, RegistryRig } from "../../test/support/registry-rig.ts";
import { partitionOf } from "../core/partitions.ts";
import { defineRooms } from "../core/rooms.ts";
import type { ShardId } from "../protocol/names.ts";

/** A partition beside the hub, whose batches of events the test takes in the hub's place. */
const name = "default-1";
const rooms = defineRooms({ game: { maxPlayers: 4 }, wide: { shards: 2 } }, { partitions: 2 });

function roomOf(type: string): string {
  const ids = Array.from({ length: 20 }, (_, index) => `${type}:${index}`);
  return ids.find((each) => partitionOf(each, 2) === name) ?? "";
}

async function start() {
  const rig = await new RegistryRig(rooms, name).start();
  const shards = new FakeShards();
  rig.ports.calls.answer = (call): Answer => {
    if (call.request.type === "events") return { ok: true, value: { isHeard: true } };
    if (call.role === "registry") return { ok: true, value: null };
    if (call.request.type === "drain") {
      return { ok: true, value: { connections: 0, players: null, reserved: 0 } };
    }
    return shards.answer(call);
  };
  /** The events since the last time, without their times. */
  const events = async (): Promise<object[]> => {
    await rig.passInSteps(1_000);
    const batches = rig.ports.calls.of("events").flatMap((batch) => batch.events);
    rig.ports.calls.made.length = 0;
    return batches.map((event) => ({ ...event, at: 0 }));
  };
  return { rig, shards, events };
}

test("DI13 a room is told of when it is created, changed and disposed of, with the reason", async () => {
  const { rig, events } = await start();
  const roomId = roomOf("game");
  await rig.create(roomId, { metadata: { mode: "duel" }, keepMs: 0 });
  expect(await events()).toEqual([
    { type: "room:created", roomId, serverId: `${roomId}-1`, at: 0 },
    { type: "room:disposed", roomId, reason: "empty", at: 0 },
  ]);
  await rig.table(roomId);
  await events();
  await rig.ask({ type: "change", room: id(roomId), isLocked: true });
  const updated = { type: "room:updated", roomId, isLocked: true, metadata: {}, at: 0 };
  expect(await events()).toEqual([updated]);
  await rig.ask({ type: "dispose", room: id(roomId) });
  expect(await events()).toEqual([{ type: "room:disposed", roomId, reason: "disposed", at: 0 }]);
});

test("DI13 players of a room with a limit are told of by name, of a large room by their number", async () => {
  const { rig, events } = await start();
  const [small, large] = [roomOf("game"), roomOf("wide")];
  await rig.table(small);
  await rig.table(large);
  await events();
  await rig.report(small, { players: ["ann", "bob"] });
  await rig.report(small, { players: ["bob", "cy"] });
  await rig.report(small, { players: ["bob", "cy"] });
  const told = { roomId: small, playerCount: 2, at: 0 };
  expect(await events()).toEqual([
    { type: "player:joined", playerId: "ann", ...told },
    { type: "player:joined", playerId: "bob", ...told },
    { type: "player:joined", playerId: "cy", ...told },
    { type: "player:left", playerId: "ann", ...told },
  ]);
  await rig.report(large, { number: 1, connections: 5 });
  await rig.report(large, { number: 2, connections: 2 });
  await rig.report(large, { number: 1, connections: 4 });
  expect(await events()).toEqual([
    { type: "player:joined", roomId: large, count: 5, playerCount: 5, at: 0 },
    { type: "player:joined", roomId: large, count: 2, playerCount: 7, at: 0 },
    { type: "player:left", roomId: large, count: 1, playerCount: 6, at: 0 },
  ]);
});

test("DI13 players whom a restart has this object learn of again are no news", async () => {
  const { rig, events } = await start();
  const roomId = roomOf("game");
  await rig.report(roomId, { players: ["ann"] });
  await events();
  await rig.start();
  await rig.report(roomId, { players: ["ann", "bob"] });
  await rig.report(roomId, { players: ["ann", "bob", "cy"] });
  const joined = { type: "player:joined", roomId, playerId: "cy", playerCount: 3, at: 0 };
  expect(await events()).toEqual([joined]);
});

test("SN16 what went wrong with a room's state is told with its shard, also of a room that empties", async () => {
  const { rig, events } = await start();
  const roomId = roomOf("wide");
  const failed = { reason: "snapshot_threw", detail: "getSnapshot threw: Error: no" };
  const late = { reason: "snapshot_late", detail: "getSnapshot did not answer within 5000 ms" };
  const report = { type: "report", players: null, reserved: 0, counters: {} } as const;
  const shard = `${roomId}-2` as ShardId;
  const where = { type: "snapshot:failed", roomId, serverId: shard, at: 0 };
  await rig.ask({ ...report, shard, connections: 1, failures: [failed, late] });
  const first = await events();
  expect(first.filter((event) => "reason" in event)).toEqual([
    { ...where, ...failed },
    { ...where, ...late },
  ]);
  await rig.ask({ ...report, shard, connections: 0, failures: [failed] });
  expect(await events()).toContainEqual({ ...where, ...failed });
  await rig.ask({ ...report, shard, connections: 1 });
  expect((await events()).filter((event) => "reason" in event)).toEqual([]);
});

test("SN16, FO1 what a shard of a former generation says of its state is told to nobody", async () => {
  const { rig, events } = await start();
  const roomId = roomOf("wide");
  const report = { type: "report", players: null, reserved: 0, counters: {} } as const;
  await rig.ask({ ...report, shard: `${roomId}-1~3` as ShardId, connections: 1 });
  await events();
  const failures = [{ reason: "snapshot_threw", detail: "no" }];
  const former = { ...report, shard: `${roomId}-1` as ShardId, connections: 1, failures };
  expect(await rig.failed(former)).toBe("fenced");
  expect(await events()).toEqual([]);
});

test("AS5, AS6 a drain and a move of clients are told from their beginning to their end", async () => {
  const { rig, events } = await start();
  const roomId = roomOf("wide");
  await rig.report(roomId, { number: 1, connections: 3 });
  await events();
  await rig.ask({ type: "migrate", shard: `${roomId}-1` as ShardId });
  await rig.ask({ type: "drainShard", shard: `${roomId}-2` as ShardId });
  const told = (await events()).filter((event) =>
    /"(server:|room:migrated)/.test(JSON.stringify(event)),
  );
  const [from, to] = [`${roomId}-1`, `${roomId}-3`];
  expect(told).toEqual([
    { type: "server:draining", serverId: from, at: 0 },
    { type: "server:online", serverId: to, at: 0 },
    { type: "room:migrated", roomId, from, to, at: 0 },
    { type: "server:draining", serverId: `${roomId}-2`, at: 0 },
    { type: "server:online", serverId: `${roomId}-4`, at: 0 },
    { type: "server:offline", serverId: from, reason: "drained", at: 0 },
    { type: "server:offline", serverId: `${roomId}-2`, reason: "drained", at: 0 },
  ]);
});
