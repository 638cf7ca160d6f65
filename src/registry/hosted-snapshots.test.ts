import { expect, test } from "vitest";
import { id, RegistryRig } from "../../test/support/registry-rig.ts";
import { turns } from "../../test/support/turns.ts";
import { defineRooms } from "../core/rooms.ts";
import { digestOf } from "../protocol/snapshot.ts";

const rooms = defineRooms({ game: { maxPlayers: 2, snapshotTtlMs: 60_000, leaseMs: 20_000 } });
const room = "game:1";
const [first, second] = ["i1", "i2"].map((instance, index) => ({
  server: `s${index + 1}`,
  instance,
})) as [Tenant, Tenant];
type Tenant = { readonly server: string; readonly instance: string };

/** The hub with two servers, and a room on the first. */
async function start() {
  const rig = await new RegistryRig(rooms).start();
  const register = ({ server: serverId, instance }: Tenant, capacity = 10) =>
    rig.ask({
      type: "register",
      server: {
        serverId,
        instance,
        capacity,
        address: "game.test",
        roomTypes: ["game"],
        metadata: {},
      },
    });
  await register(first);
  await rig.create(room);
  await register(second);
  const begin = async (from: Tenant, seq: number, text: string) =>
    rig.handle({
      type: "beginHosted",
      room: id(room),
      ...from,
      seq,
      digests: [await digestOf(text)],
    });
  const store = async (from: Tenant, seq: number, text: string) => {
    const begun = await begin(from, seq, text);
    if (!begun.ok) return begun.code;
    const { id: snapshot } = begun.value as { id: string };
    await rig.ask({ type: "snapshotPart", room: id(room), id: snapshot, index: 0, text });
    return rig.failed({ type: "commitHosted", room: id(room), ...from, id: snapshot });
  };
  const newest = async () => {
    const { id: snapshot } = await rig.ask({ type: "snapshot", room: id(room) });
    return (await rig.ask({ type: "readSnapshot", room: id(room), id: snapshot, index: 0 })).text;
  };
  const end = async ({ server }: Tenant) => {
    await rig.ask({ type: "unregister", server });
    await turns();
  };
  return { rig, register, begin, store, newest, end };
}

test("SV13 a server stores snapshots of the rooms that it has, each newer than the one before", async () => {
  const { rig, store, newest } = await start();
  expect(await store(first, 3, "one")).toBeNull();
  expect(await newest()).toBe("one");
  expect(await store(first, 3, "again")).toBe("snapshot-stale");
  expect(await store(second, 9, "stranger")).toBe("room-elsewhere");
  expect(await store({ ...first, instance: "i0" }, 9, "former")).toBe("room-elsewhere");
  await rig.start();
  expect(await store(first, 4, "two")).toBeNull();
  expect(await newest()).toBe("two");
  const unknown = { room: id("game:9"), ...first, seq: 9, digests: [] };
  expect(await rig.failed({ type: "beginHosted", ...unknown })).toBe("unknown-room");
});

test("SV13 after a move the new server's count, whatever it counts, and the former one's do not", async () => {
  const { rig, begin, store, newest, end } = await start();
  expect(await store(first, 1_000, "one")).toBeNull();
  const late = await begin(first, 1_001, "late");
  await end(first);
  expect(await newest()).toBe("one");
  expect(await store(first, 1_002, "later")).toBe("room-elsewhere");
  if (!late.ok) throw new Error(late.detail);
  const { id: snapshot } = late.value as { id: string };
  const part = { type: "snapshotPart", room: id(room), id: snapshot, index: 0 } as const;
  await rig.ask({ ...part, text: "late" });
  const commit = { type: "commitHosted", room: id(room), id: snapshot } as const;
  expect(await rig.failed({ ...commit, ...first })).toBe("room-elsewhere");
  expect(await store(second, 1, "two")).toBeNull();
  expect(await newest()).toBe("two");
});

test("SV13 the clock that went back takes nothing from the new server", async () => {
  const { rig, store, newest, end } = await start();
  expect(await store(first, 1, "one")).toBeNull();
  rig.ports.clock.advance(-5_000);
  await end(first);
  expect(await store(second, 1, "two")).toBeNull();
  expect(await newest()).toBe("two");
});

test("SV13 a snapshot outlives a room that no server took, until its time is over or it is disposed of", async () => {
  const { rig, register, store, newest, end } = await start();
  await end(second);
  expect(await store(first, 1, "one")).toBeNull();
  await end(first);
  expect(await rig.list()).toEqual([]);
  expect(await newest()).toBe("one");
  await register(second);
  await rig.create(room);
  expect(await store(second, 1, "two")).toBeNull();
  await rig.ask({ type: "dispose", room: id(room) });
  expect(await rig.failed({ type: "snapshot", room: id(room) })).toBe("not-found");
  expect(await store(second, 2, "three")).toBe("unknown-room");
});
