import { expect, test } from "vitest";
import { ServersRig } from "../../test/support/servers-rig.ts";
import { turns } from "../../test/support/turns.ts";
import type { RoomId } from "../protocol/names.ts";

const unknownServer = { ok: false, code: "unknown-server" };

test("SV1 a server that registers is online, listed, and told its lease", async () => {
  const rig = await new ServersRig().start();
  const now = rig.clock.now();
  expect(rig.register("a", { port: 3_000, region: "weur" })).toEqual({
    ok: true,
    value: { now, status: "online", leaseMs: 15_000, heartbeatIntervalMs: 5_000, dispose: [] },
  });
  expect(rig.register("b", { roomTypes: ["game", "outside"] })).toMatchObject({
    value: { leaseMs: 60_000, heartbeatIntervalMs: 4_000 },
  });
  expect(rig.servers.list(null, 1)).toEqual({
    servers: [
      {
        serverId: "a",
        kind: "server",
        address: "game.test",
        port: 3_000,
        status: "online",
        roomTypes: ["game"],
        roomCount: 0,
        playerCount: 0,
        capacity: 100,
        lastHeartbeat: now,
        metadata: {},
        region: "weur",
      },
    ],
    through: "a",
  });
  expect(rig.servers.list("a", 5)).toMatchObject({ servers: [{ serverId: "b" }], through: null });
  expect(rig.events).toEqual([
    { type: "server:online", serverId: "a" },
    { type: "server:online", serverId: "b" },
  ]);
});

test("SV1 servers are listed in order of their ids, whatever the order of their coming", async () => {
  const rig = await new ServersRig().start();
  for (const id of ["c", "a", "d", "b"]) rig.register(id);
  const seen: string[] = [];
  for (let after: string | null = null, more = true; more; more = after !== null) {
    const page = rig.servers.list(after, 3);
    seen.push(...page.servers.map(({ serverId }) => serverId));
    after = page.through;
  }
  expect(seen).toEqual(["a", "b", "c", "d"]);
});

test("SV1 a malformed address, an unknown type and one of the shards are refused, and nothing is kept", async () => {
  const rig = await new ServersRig().start();
  expect(rig.register("a", { address: "ftp://x" })).toMatchObject({ code: "malformed-body" });
  expect(rig.register("a", { roomTypes: ["game", "no"] })).toMatchObject({
    code: "unknown-room-type",
  });
  expect(rig.register("a", { roomTypes: ["inside"] })).toMatchObject({ code: "malformed-body" });
  expect(rig.servers.list(null, 10).servers).toEqual([]);
  expect(rig.storage.rows.size).toBe(0);
  expect(rig.events).toEqual([]);
});

test("SV2 the same process may register again, and keeps its rooms", async () => {
  const rig = await new ServersRig().start();
  rig.register("a");
  rig.allocate("game:1");
  expect(rig.register("a", { capacity: 1, port: 4_000 })).toMatchObject({ ok: true });
  expect(rig.roomCount("a")).toBe(1);
  expect(rig.allocate("game:2")).toBe("no-server");
  expect(rig.events).toHaveLength(1);
});

test("SV2 another process gets the id only when the lease of the first is over", async () => {
  const rig = await new ServersRig().start();
  rig.register("a");
  await rig.pass(5_000);
  const refused = { ok: false, code: "server-exists", retryAfterMs: 10_000 };
  expect(rig.register("a", { instance: "second" })).toMatchObject(refused);
  expect(await rig.heartbeat("a", [], { instance: "second" })).toMatchObject(unknownServer);
  await rig.pass(10_000);
  expect(rig.register("a", { instance: "second" })).toMatchObject({ ok: true });
  expect(await rig.heartbeat("a")).toMatchObject(unknownServer);
  expect(await rig.heartbeat("a", [], { instance: "second" })).toMatchObject({ ok: true });
});

test("SV2 another process gets the id at once when the first is unregistered, or drained and empty", async () => {
  const rig = await new ServersRig().start();
  rig.register("a");
  await rig.unregister("a");
  expect(rig.register("a", { instance: "second" })).toMatchObject({ ok: true });
  rig.allocate("game:1");
  rig.drain("a");
  expect(rig.register("a", { instance: "third" })).toMatchObject({ code: "server-exists" });
  rig.vacate("game:1", "a");
  expect(rig.register("a", { instance: "third" })).toMatchObject({ value: { status: "online" } });
  expect(rig.events.map((event) => event.type)).toEqual([
    "server:online",
    "server:offline",
    "server:online",
    "server:draining",
    "server:offline",
    "server:online",
  ]);
});

test("SV3 heartbeats keep a server online; its silence for a lease ends that", async () => {
  const rig = await new ServersRig().start();
  rig.register("a");
  for (let times = 0; times < 4; times += 1) {
    await rig.pass(14_000);
    expect(await rig.heartbeat("a")).toMatchObject({ value: { now: rig.clock.now() } });
  }
  await rig.pass(14_999);
  expect(rig.status("a")).toBe("online");
  expect(rig.events).toHaveLength(1);
  await rig.pass(1);
  expect(rig.events[1]).toEqual({ type: "server:offline", serverId: "a", reason: "lease" });
  expect(rig.status("a")).toBe("offline");
});

test("SV3 a lease that is over is over even before the wake-up comes", async () => {
  const rig = await new ServersRig().start();
  rig.register("a");
  rig.clock.advance(15_000);
  expect(rig.allocate("game:1")).toBeNull();
  expect(await rig.heartbeat("a")).toMatchObject(unknownServer);
  expect(rig.status("a")).toBe("offline");
});

test("SV3 an offline server is listed for an hour, and the same process may come back", async () => {
  const rig = await new ServersRig().start();
  rig.register("a");
  rig.register("b");
  await rig.pass(15_000);
  rig.register("b");
  expect(rig.status("b")).toBe("online");
  for (let times = 0; times < 360; times += 1) {
    expect(rig.status("a")).toBe("offline");
    await rig.pass(10_000);
    await rig.heartbeat("b");
  }
  expect(rig.status("a")).toBeUndefined();
  expect([...rig.storage.rows.keys()]).toEqual(["server/b"]);
});

test("SV3 after a restart of the registry every lease begins anew", async () => {
  const rig = await new ServersRig().start();
  rig.register("a");
  await rig.pass(14_000);
  await rig.start();
  await rig.pass(14_000);
  expect(rig.status("a")).toBe("online");
  expect(await rig.heartbeat("a")).toMatchObject({ ok: true });
  await rig.pass(15_000);
  expect(rig.status("a")).toBe("offline");
  await rig.start();
  expect(rig.status("a")).toBe("offline");
});

test("SV4 the heartbeat of an unknown server or process, or of one that is offline, is refused", async () => {
  const rig = await new ServersRig().start();
  rig.register("a");
  expect(await rig.heartbeat("b")).toMatchObject(unknownServer);
  expect(await rig.heartbeat("a", [], { instance: "second" })).toMatchObject(unknownServer);
  expect(rig.told).toEqual([]);
});

test("SV4 a report from the future, or of what is no room, changes nothing", async () => {
  const rig = await new ServersRig().start();
  rig.register("a");
  await rig.pass(10_000);
  const asOf = rig.clock.now() + 1_001;
  const malformed = { ok: false, code: "malformed-body" };
  expect(await rig.heartbeat("a", [["game:1", []]], { asOf })).toMatchObject(malformed);
  expect(await rig.heartbeat("a", [["no/room", []]])).toMatchObject(malformed);
  expect(rig.told).toEqual([]);
  await rig.pass(5_000);
  expect(rig.status("a")).toBe("offline");
});

test("SV4 a report that was overtaken keeps the lease and is not told on", async () => {
  const rig = await new ServersRig().start();
  rig.register("a");
  const asOf = rig.clock.now();
  await rig.heartbeat("a", [["game:1", ["ann"]]], { asOf });
  await rig.pass(10_000);
  expect(await rig.heartbeat("a", [], { asOf: asOf - 1 })).toMatchObject({ ok: true });
  expect(rig.servers.list(null, 1).servers[0]?.playerCount).toBe(1);
  expect(rig.told).toHaveLength(1);
  await rig.pass(10_000);
  expect(rig.status("a")).toBe("online");
});

test("SV5 what a server says of a room reaches the room's partition", async () => {
  const rig = await new ServersRig().start();
  rig.register("a");
  const names = Array.from({ length: 20 }, (_, index) => `game:${index}`);
  for (const name of names) rig.allocate(name);
  const asOf = rig.clock.now();
  await rig.heartbeat(
    "a",
    names.slice(5).map((name) => [name, name === "game:7" ? ["ann", "bob"] : []]),
    { asOf },
  );
  expect(new Set(rig.told.map(({ partition }) => partition)).size).toBe(3);
  const said = rig.told.flatMap((call) => (call.type === "hosted" ? call.rooms : []));
  // Those that it does not speak of are empty.
  expect(said.map(({ room }) => room).toSorted()).toEqual(names.toSorted());
  expect(said.find(({ room }) => room === "game:7")).toEqual({
    room: "game:7",
    players: ["ann", "bob"],
    seats: ["seat-ann", "seat-bob"],
  });
  expect(rig.told.every((call) => call.type === "hosted" && call.asOf === asOf)).toBe(true);
  expect(rig.servers.list(null, 1).servers[0]).toMatchObject({ roomCount: 20, playerCount: 2 });
});

test("SV5 reports of one server reach a partition one after the other", async () => {
  const rig = await new ServersRig().start();
  rig.register("a");
  const slow = Promise.withResolvers<{ ok: true; value: { unknown: [] } }>();
  rig.answer = () => slow.promise;
  const first = rig.heartbeat("a", [["game:1", ["ann"]]]);
  const second = rig.heartbeat("a", [["game:1", []]]);
  await turns();
  expect(rig.told).toHaveLength(1);
  slow.resolve({ ok: true, value: { unknown: [] } });
  await Promise.all([first, second]);
  expect(rig.told).toHaveLength(2);
});

test("SV5 a silent partition holds up no heartbeat, no other partition, and gets the newest report next", async () => {
  const rig = await new ServersRig().start();
  rig.register("a");
  const names = Array.from({ length: 20 }, (_, index) => `game:${index}`);
  for (const name of names) rig.allocate(name);
  const slow = Promise.withResolvers<{ ok: true; value: { unknown: RoomId[] } }>();
  rig.answer = ({ partition }) =>
    partition === "default-1" ? slow.promise : { ok: true, value: { unknown: [] } };
  const beat = async (player: string) => {
    const said = names.map((name) => [name, [player]] as const);
    const answered = rig.heartbeat("a", said, { asOf: rig.clock.now() });
    await turns();
    await rig.pass(2_000);
    return answered;
  };
  for (const player of ["ann", "bob", "cay"]) {
    expect(await beat(player)).toMatchObject({ ok: true, value: { dispose: [] } });
  }
  const playersAt = (wanted: string) =>
    rig.told.flatMap((call) =>
      call.type === "hosted" && call.partition === wanted ? call.rooms[0]?.players : [],
    );
  expect(playersAt("default-2")).toEqual(["ann", "bob", "cay"]);
  expect(playersAt("default-1")).toEqual(["ann"]);
  const [moved] = rig.told.flatMap((call) =>
    call.type === "hosted" && call.partition === "default-1" ? call.rooms : [],
  );
  if (moved === undefined) throw new Error("no room of that partition");
  rig.answer = () => ({ ok: true, value: { unknown: [moved.room] } });
  slow.resolve({ ok: true, value: { unknown: [] } });
  await turns();
  expect(playersAt("default-1")).toEqual(["ann", "cay"]);
  // What a late answer says comes with the next one.
  rig.answer = () => ({ ok: false, code: "unreachable", detail: "" });
  expect(await beat("dan")).toMatchObject({ value: { dispose: [moved.room] } });
  expect(await beat("eve")).toMatchObject({ value: { dispose: [] } });
});

test("SV5 a room that a server was given after its partition had been asked is not to be closed", async () => {
  const rig = await new ServersRig().start();
  rig.register("a");
  const late = Promise.withResolvers<{ ok: true; value: { unknown: RoomId[] } }>();
  rig.answer = () => late.promise;
  const beat = async () => {
    const answered = rig.heartbeat("a", [["game:1", ["ann"]]]);
    await rig.pass(2_000);
    return answered;
  };
  await beat();
  expect(rig.allocate("game:1")).toBe("a");
  rig.answer = () => ({ ok: false, code: "unreachable", detail: "" });
  late.resolve({ ok: true, value: { unknown: ["game:1" as RoomId] } });
  await turns();
  expect(await beat()).toMatchObject({ value: { dispose: [] } });
});

test("SV5 a report that waited for its partition is not told when its server is gone", async () => {
  const rig = await new ServersRig().start();
  rig.register("a");
  const slow = Promise.withResolvers<{ ok: true; value: { unknown: [] } }>();
  rig.answer = () => slow.promise;
  const first = rig.heartbeat("a", [["game:1", ["ann"]]]);
  const second = rig.heartbeat("a", [["game:1", ["bob"]]]);
  await turns();
  await rig.unregister("a");
  slow.resolve({ ok: true, value: { unknown: [] } });
  await Promise.all([first, second]);
  expect(rig.told).toHaveLength(1);
});

test("SV5 a room that its partition does not place there is to be closed", async () => {
  const rig = await new ServersRig().start();
  rig.register("a");
  rig.allocate("game:1");
  rig.answer = (call) => ({
    ok: true,
    value: { unknown: call.type === "hosted" ? call.rooms.map(({ room }) => room) : [] },
  });
  const said = [["game:2", ["ann"]]] as const;
  expect(await rig.heartbeat("a", said)).toMatchObject({ value: { dispose: ["game:2"] } });
  // Its partition may not have written down yet what it was given.
  expect(rig.roomCount("a")).toBe(1);
  for (let times = 0; times < 6; times += 1) {
    await rig.pass(10_000);
    await rig.heartbeat("a");
  }
  expect(rig.roomCount("a")).toBe(0);
});

test("SV5 a room that its partition places there is the server's, even if the hub had forgotten", async () => {
  const rig = await new ServersRig().start();
  rig.register("a");
  expect(await rig.heartbeat("a", [["game:1", []]])).toMatchObject({ value: { dispose: [] } });
  expect(rig.roomCount("a")).toBe(1);
  rig.register("b");
  expect(rig.allocate("game:1")).toBe("a");
});

test("SV5 a partition that cannot be reached makes no room closed", async () => {
  const rig = await new ServersRig().start();
  rig.register("a");
  rig.allocate("game:1");
  rig.answer = () => ({ ok: false, code: "unreachable", detail: "" });
  expect(await rig.heartbeat("a", [["game:1", []]])).toMatchObject({
    ok: true,
    value: { dispose: [] },
  });
  expect(rig.roomCount("a")).toBe(1);
});
