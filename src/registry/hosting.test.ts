import { expect, test } from "vitest";
import { ServersRig } from "../../test/support/servers-rig.ts";
import { turns } from "../../test/support/turns.ts";
import type { RoomId } from "../protocol/names.ts";

const lost = { ok: false, code: "unreachable", detail: "" } as const;
const done = { ok: true, value: null } as const;

test("SV6 a room goes to a server that offers its type, and stays there", async () => {
  const rig = await new ServersRig().start();
  rig.register("a");
  rig.register("b", { address: "wss://b.test", port: 8_443 });
  rig.register("c", { roomTypes: ["quiet"] });
  expect(["game:1", "game:2", "game:3"].map((room) => rig.allocate(room))).toEqual(["a", "b", "a"]);
  expect(["game:1", "game:2", "game:3"].map((room) => rig.allocate(room))).toEqual(["a", "b", "a"]);
  const moved = "game:2" as RoomId;
  expect(rig.servers.allocate({ type: "allocate", room: moved, key: "ann", region: null })).toEqual(
    {
      ok: true,
      value: {
        server: "b",
        instance: "first",
        url: "wss://b.test:8443/parties/router/game:2",
        isOld: true,
      },
    },
  );
  await rig.start();
  expect(["game:1", "game:2", "game:3"].map((room) => rig.allocate(room))).toEqual(["a", "b", "a"]);
  expect(rig.vacate("game:1", "b")).toEqual(done);
  expect(rig.roomCount("a")).toBe(2);
  expect(rig.vacate("game:1", "a")).toEqual(done);
  expect(rig.vacate("game:1", "a")).toEqual(done);
  expect(rig.roomCount("a")).toBe(1);
});

test("SV9 an offer says what a new room would be given, and gives nothing", async () => {
  const rig = await new ServersRig().start();
  const offer = (roomType: string, region: "weur" | "oc" | null = null) =>
    rig.servers.offer({ type: "offer", roomType, key: "ann", region });
  expect(offer("game")).toEqual({ ok: true, value: null });
  expect(offer("outside")).toMatchObject({ ok: false, code: "no-server" });
  expect(offer("no")).toMatchObject({ ok: false, code: "unknown-room-type" });
  rig.register("a", { capacity: 1 });
  rig.register("b", { address: "wss://b.test", port: 8_443 });
  const [a, b] = [
    { server: "a", url: "ws://game.test" },
    { server: "b", url: "wss://b.test:8443" },
  ];
  expect([offer("game"), offer("game")]).toMatchObject([{ value: a }, { value: a }]);
  expect(rig.allocate("game:1")).toBe("a");
  expect(offer("game")).toMatchObject({ value: b });
  rig.drain("b");
  expect(offer("game")).toMatchObject({ ok: false, code: "no-server" });
  expect([rig.roomCount("a"), rig.roomCount("b")]).toEqual([1, 0]);
});

test("SV6 a room that is asked for again is not given up by who gave it up before that", async () => {
  const rig = await new ServersRig().start();
  rig.register("a");
  expect(rig.allocate("game:1")).toBe("a");
  await rig.pass(1_000);
  const givenUpAt = rig.clock.now();
  await rig.pass(1);
  expect(rig.allocate("game:1")).toBe("a");
  const late = { type: "vacate", room: "game:1" as RoomId, server: "a" } as const;
  expect(rig.servers.vacate({ ...late, at: givenUpAt })).toEqual(done);
  expect(rig.roomCount("a")).toBe(1);
  expect(rig.servers.vacate({ ...late, at: rig.clock.now() })).toEqual(done);
  expect(rig.roomCount("a")).toBe(0);
});

test("SV6 a type that no server offers is for the shards, unless it is for servers alone", async () => {
  const rig = await new ServersRig().start();
  expect(rig.allocate("game:1")).toBeNull();
  expect(rig.allocate("inside:1")).toBeNull();
  expect(rig.allocate("outside:1")).toBe("no-server");
  expect(rig.allocate("no:1")).toBe("unknown-room-type");
  rig.register("a", { roomTypes: ["outside"] });
  expect(rig.allocate("game:1")).toBeNull();
  expect(rig.allocate("outside:1")).toBe("a");
});

test("SV6 servers that are full or draining take no new room, and shards do not stand in for them", async () => {
  const rig = await new ServersRig().start();
  rig.register("a", { capacity: 1 });
  expect(rig.allocate("game:1")).toBe("a");
  expect(rig.allocate("game:2")).toBe("no-server");
  rig.register("b");
  expect(rig.drain("b")).toMatchObject({ value: { serverId: "b", status: "draining" } });
  rig.drain("b");
  expect(rig.allocate("game:2")).toBe("no-server");
  expect(rig.allocate("game:1")).toBe("a");
  await rig.start();
  expect(rig.status("b")).toBe("draining");
  expect(rig.register("b")).toMatchObject({ value: { status: "draining" } });
  expect(rig.events.filter(({ type }) => type === "server:draining")).toHaveLength(1);
  expect(rig.drain("c")).toMatchObject({ code: "unknown-server" });
});

test("SV6 the type's strategy chooses: by region, key, rooms or players", async () => {
  const rig = await new ServersRig().start();
  const roomTypes = ["near", "sticky", "filled", "quiet"];
  rig.register("a", { roomTypes, region: "oc", capacity: 10 });
  rig.register("b", { roomTypes, region: "weur", capacity: 20 });
  expect(rig.allocate("near:1", { region: "weur" })).toBe("b");
  expect(rig.allocate("near:2", { region: "oc" })).toBe("a");
  const kept = new Set(
    Array.from({ length: 9 }, (_, index) => rig.allocate(`sticky:${index}`, { key: "bob" })),
  );
  expect(kept.size).toBe(1);
  rig.register("c", { roomTypes: ["filled", "quiet"], capacity: 2 });
  expect(rig.allocate("filled:1")).toBe("c");
  await rig.heartbeat("c", [["filled:1", ["ann", "bob"]]]);
  await rig.heartbeat("a", [["near:2", ["ann"]]]);
  expect(rig.allocate("quiet:1")).toBe("b");
});

test("SV6 the server that asks gets the room where the type prefers it, while it has space", async () => {
  const rig = await new ServersRig().start();
  for (const id of ["a", "b"]) rig.register(id, { roomTypes: ["loyal"], capacity: 5 });
  const offer = { type: "offer", roomType: "loyal", key: "ann", region: null } as const;
  expect(rig.allocate("loyal:0", { local: "b" })).toBe("b");
  expect(rig.servers.offer({ ...offer, local: "b" })).toMatchObject({ value: { server: "b" } });
  expect(rig.servers.offer(offer)).toMatchObject({ value: { server: "a" } });
  const given = [1, 2, 3, 4].map((n) => rig.allocate(`loyal:${n}`, { local: "b" }));
  expect(given).toEqual(["b", "b", "b", "a"]);
  expect(rig.allocate("loyal:5", { local: "elsewhere" })).toBe("a");
});

test("SV7 the partitions of a silent server's rooms are told that they are gone", async () => {
  const rig = await new ServersRig().start();
  rig.register("a");
  const names = Array.from({ length: 12 }, (_, index) => `game:${index}`);
  for (const name of names) rig.allocate(name);
  await rig.pass(15_000);
  expect(rig.gone).toEqual(names.map((name) => `${name} of a`).toSorted());
  expect(rig.roomCount("a")).toBe(0);
  expect([...rig.storage.rows.keys()]).toEqual(["server/a"]);
});

test("SV7 and so for one that unregisters", async () => {
  const rig = await new ServersRig().start();
  rig.register("a");
  rig.allocate("game:1");
  expect(await rig.unregister("a")).toEqual(done);
  expect(rig.gone).toEqual(["game:1 of a"]);
  expect(rig.storage.rows.size).toBe(0);
  expect(await rig.unregister("a")).toMatchObject({ code: "unknown-server" });
  const offline = { type: "server:offline", serverId: "a", reason: "unregistered" };
  expect(rig.events.slice(1)).toEqual([offline]);
});

test("SV7 a partition that cannot be reached is told again until it knows, over a restart too", async () => {
  const rig = await new ServersRig().start();
  rig.register("a");
  rig.allocate("game:1");
  rig.answer = () => lost;
  await rig.unregister("a");
  expect(rig.told).toHaveLength(1);
  await rig.pass(4_000);
  expect(rig.told).toHaveLength(3);
  await rig.start();
  rig.answer = () => done;
  await rig.pass(2_000);
  expect(rig.told).toHaveLength(4);
  expect(rig.gone.at(-1)).toBe("game:1 of a");
  expect(rig.storage.rows.size).toBe(0);
  await rig.pass(60_000);
  expect(rig.told).toHaveLength(4);
});

test("SV7 a room of a server that is gone may be given to another before its partition was told", async () => {
  const rig = await new ServersRig().start();
  rig.register("a");
  rig.allocate("game:1");
  const told = Promise.withResolvers<typeof done>();
  rig.answer = () => told.promise;
  const unregistered = rig.unregister("a");
  rig.register("b");
  expect(rig.allocate("game:1")).toBe("b");
  told.resolve(done);
  await unregistered;
  expect(rig.allocate("game:1")).toBe("b");
  expect(rig.roomCount("b")).toBe(1);
  await rig.start();
  expect(rig.allocate("game:1")).toBe("b");
});

test("SV7 rooms of a process that was replaced are gone, those of the new one are not", async () => {
  const rig = await new ServersRig().start();
  rig.answer = () => lost;
  rig.register("a");
  rig.allocate("game:1");
  await rig.pass(15_000);
  rig.register("a", { instance: "second" });
  expect(rig.allocate("game:2")).toBe("a");
  await rig.start();
  rig.answer = () => done;
  await rig.pass(2_000);
  await turns();
  expect(rig.roomCount("a")).toBe(1);
  expect(rig.gone.filter((text) => text === "game:2 of a")).toEqual([]);
});

test("SV7 a room that the silent server still has when it comes back is to be closed, or stays its own", async () => {
  const rig = await new ServersRig().start();
  rig.register("a");
  rig.allocate("game:1");
  rig.answer = () => lost;
  await rig.pass(15_000);
  // Its partition was never told: the room is where it was.
  rig.register("a");
  rig.answer = () => ({ ok: true, value: { unknown: [] } });
  expect(await rig.heartbeat("a", [["game:1", ["ann"]]])).toMatchObject({ value: { dispose: [] } });
  expect(rig.allocate("game:1")).toBe("a");
  const before = rig.gone.length;
  await rig.pass(10_000);
  expect(rig.gone.length).toBe(before);
});
