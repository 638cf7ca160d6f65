import { expect, test } from "vitest";
import type { Answer, Call } from "../../test/support/fake-calls.ts";
import { fakePorts } from "../../test/support/fake-ports.ts";
import { turns } from "../../test/support/turns.ts";
import { hub } from "../core/partitions.ts";
import { defineRooms } from "../core/rooms.ts";
import type { RequestTo } from "../protocol/calls.ts";
import type { ShardLoad } from "../protocol/registry-calls.ts";
import type { RoomId, ShardId } from "../protocol/names.ts";
import { Registry } from "./registry.ts";

const rooms = defineRooms({ default: { shards: 3, capacity: 50 } });

class RegistryRig {
  ports = fakePorts();
  #registry: Registry | undefined;

  /** A first life, or the next one on the rows of the last. */
  async start(): Promise<this> {
    await turns();
    this.ports.storage = this.ports.storage.restart();
    this.#registry = await Registry.start(rooms, this.ports, hub);
    return this;
  }

  async ask<Value>(request: RequestTo<"registry">): Promise<Value> {
    const reply = await this.#registry?.handle(request);
    if (reply?.ok !== true) throw new Error(reply?.code ?? "not started");
    return reply.value as Value;
  }

  tryAsk(request: RequestTo<"registry">) {
    return this.#registry?.handle(request);
  }

  report(shard: number, connections: number, room = "lobby", counters = {}) {
    const id = `${room}-${shard}` as ShardId;
    return this.ask({
      type: "report",
      players: null,
      reserved: 0,
      shard: id,
      connections,
      counters,
    });
  }

  async table(room = "lobby", counters = {}): Promise<readonly ShardLoad[]> {
    const question = { type: "table", room: room as RoomId, counters } as const;
    return (await this.ask<{ shards: readonly ShardLoad[] }>(question)).shards;
  }

  async loads(room?: string): Promise<number[]> {
    return (await this.table(room)).map(({ connections }) => connections);
  }

  async pass(ms: number): Promise<void> {
    this.ports.clock.advance(ms);
    this.#registry?.wake();
    await turns();
  }

  async sweep(): Promise<readonly string[]> {
    return (await this.ask<{ rooms: readonly string[] }>({ type: "sweep" })).rooms;
  }

  async metrics(): Promise<string> {
    return (await this.ask<{ text: string }>({ type: "metrics" })).text;
  }
}

const loadIs =
  (connections: Readonly<Record<string, number>>) =>
  ({ id }: Call): Answer => {
    const known = connections[id];
    if (known === undefined) return { ok: false, code: "overloaded", detail: "" };
    return { ok: true, value: { connections: known } };
  };

test("RG1 a table holds every shard of the room, as it was last reported", async () => {
  const rig = await new RegistryRig().start();
  await rig.report(2, 7);
  const [first, second, third] = await rig.table();
  const state = { status: "online", capacity: 50, generation: 1 };
  expect(first).toEqual({ ...state, id: "lobby-1", connections: 0, reportedAt: 0 });
  const reportedAt = rig.ports.clock.now();
  expect(second).toEqual({ ...state, id: "lobby-2", connections: 7, reportedAt });
  expect(third?.id).toBe("lobby-3");
});

test("RG1 a newer report takes the place of an older one", async () => {
  const rig = await new RegistryRig().start();
  for (const connections of [5, 9, 2]) await rig.report(1, connections);
  expect(await rig.loads()).toEqual([2, 0, 0]);
});

test("RG2 the rooms that have clients survive, and their loads are learned by asking the shards", async () => {
  const rig = await new RegistryRig().start();
  await rig.report(1, 4);
  await rig.report(1, 1, "other");
  rig.ports.calls.answer = loadIs({ "lobby-1": 5, "lobby-3": 6 });
  await rig.start();
  expect((await rig.sweep()).toSorted()).toEqual(["lobby", "other"]);
  expect(rig.ports.calls.made).toEqual([]);
  expect(await rig.loads()).toEqual([5, 0, 6]);
  expect(rig.ports.calls.made.map(({ id }) => id)).toEqual(["lobby-1", "lobby-2", "lobby-3"]);
});

test("RG2 what a shard reports meanwhile is newer than what it answers", async () => {
  const rig = await new RegistryRig().start();
  await rig.report(1, 4);
  const answer = Promise.withResolvers<void>();
  rig.ports.calls.answer = async (call) => {
    await answer.promise;
    return loadIs({ "lobby-1": 5, "lobby-2": 5, "lobby-3": 5 })(call);
  };
  await rig.start();
  const loads = rig.loads();
  const reported = rig.report(2, 9);
  answer.resolve();
  await reported;
  expect(await loads).toEqual([5, 9, 5]);
});

test("RG2 shards are asked once, whatever the number of tables", async () => {
  const rig = await new RegistryRig().start();
  await rig.report(1, 4);
  rig.ports.calls.answer = loadIs({ "lobby-1": 5 });
  await rig.start();
  await Promise.all([rig.table(), rig.table(), rig.report(3, 1), rig.table()]);
  const asked = rig.ports.calls.made.map(({ id }) => id);
  expect(asked).toEqual(["lobby-1", "lobby-2"]);
});

test("RG2 a room whose last client has left is forgotten", async () => {
  const rig = await new RegistryRig().start();
  await rig.report(1, 1);
  await rig.report(2, 1);
  await rig.report(1, 0);
  expect(await rig.sweep()).toEqual(["lobby"]);
  await rig.report(2, 0);
  expect(await rig.sweep()).toEqual([]);
  await rig.pass(60_000);
  expect(await (await rig.start()).sweep()).toEqual([]);
});

test("RG2 a shard that empties after a restart does not make the others' room forgotten", async () => {
  const rig = await new RegistryRig().start();
  await rig.report(1, 1);
  await rig.report(2, 3);
  rig.ports.calls.answer = loadIs({ "lobby-1": 0, "lobby-2": 3, "lobby-3": 0 });
  await rig.start();
  await rig.report(1, 0);
  expect(await rig.sweep()).toEqual(["lobby"]);
  expect(await rig.loads()).toEqual([0, 3, 0]);
  expect(await (await rig.start()).sweep()).toEqual(["lobby"]);
});

test("RG2 a room of a type that is no longer declared is refused", async () => {
  const rig = await new RegistryRig().start();
  const report = {
    type: "report",
    players: null,
    reserved: 0,
    connections: 1,
    counters: {},
  } as const;
  expect(await rig.tryAsk({ ...report, shard: "gone:1-1" as ShardId })).toMatchObject({
    ok: false,
  });
  const table = { type: "table", room: "gone:1" as RoomId, counters: {} } as const;
  expect(await rig.tryAsk(table)).toMatchObject({ ok: false, code: "unknown-room-type" });
});

test("RG3 metrics are in Prometheus text form: rooms, connections, and what was counted", async () => {
  const rig = await new RegistryRig().start();
  await rig.report(1, 4, "lobby", { room_hook_errors: 2 });
  await rig.report(2, 3, "other");
  await rig.table("lobby", { "room-full": 1, room_hook_errors: 1 });
  expect(await rig.metrics()).toBe(
    [
      "# HELP partyshard_rooms Rooms that have clients.",
      "# TYPE partyshard_rooms gauge",
      "partyshard_rooms 2",
      "# HELP partyshard_connections Open client sockets, as last reported.",
      "# TYPE partyshard_connections gauge",
      "partyshard_connections 7",
      "# HELP partyshard_events_total Refusals and failures, by kind.",
      "# TYPE partyshard_events_total counter",
      'partyshard_events_total{kind="room-full"} 1',
      'partyshard_events_total{kind="room_hook_errors"} 3',
      "",
    ].join("\n"),
  );
});

test("RG4 what the sequencer has gathered counts as if each shard had reported", async () => {
  const rig = await new RegistryRig().start();
  const load = { connections: 4, reserved: 0, at: rig.ports.clock.now() };
  const loads = ["lobby-1", "lobby-3", "other-2"].map((id) => ({ shard: id as ShardId, ...load }));
  const told = await rig.ask({ type: "reports", room: "lobby" as RoomId, loads });
  expect(told).toEqual({ again: [] });
  expect(await rig.loads()).toEqual([4, 0, 4]);
  expect(await rig.sweep()).toEqual(["lobby"]);
});
