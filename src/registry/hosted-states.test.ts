import { expect, test } from "vitest";
import { id, RegistryRig } from "../../test/support/registry-rig.ts";
import { turns } from "../../test/support/turns.ts";
import { defineRooms } from "../core/rooms.ts";
import type { SnapshotOrder } from "../protocol/registry.ts";
import { digestOf } from "../protocol/snapshot.ts";

const rooms = defineRooms({ game: { maxPlayers: 2, leaseMs: 20_000 } });
const room = id("game:1");
type Tenant = { readonly server: string; readonly instance: string };
const one: Tenant = { server: "s1", instance: "i1" };
const two: Tenant = { server: "s2", instance: "i2" };
const threw = { reason: "snapshot_threw", detail: "getSnapshot threw: no" } as const;

/** The hub with a server, and a room on it. */
async function start() {
  const rig = await new RegistryRig(rooms).start();
  const register = ({ server: serverId, instance }: Tenant) => {
    const body = { address: "game.test", roomTypes: ["game"], capacity: 10, metadata: {} };
    return rig.ask({ type: "register", server: { serverId, instance, ...body } });
  };
  await register(one);
  await rig.create(room);
  const beat = async ({ server, instance }: Tenant): Promise<readonly SnapshotOrder[]> => {
    const report = { instance, asOf: 0, rooms: [{ roomId: room, players: ["ann"], seats: [] }] };
    return (await rig.ask({ type: "heartbeat", server, report })).orders ?? [];
  };
  const say = (
    from: Tenant,
    failures: readonly { readonly reason: string; readonly detail: string }[],
    error: string | null,
    done?: { readonly order: string; readonly problem?: { code: string; detail: string } },
  ) => {
    const said = { failures: [...failures], error, ...(done === undefined ? {} : { done }) };
    return rig.ask({ type: "hostedState", room, ...from, ...said });
  };
  const store = async (from: Tenant, seq: number, text: string) => {
    const digests = [await digestOf(text)];
    const begun = await rig.ask({ type: "beginHosted", room, ...from, seq, digests });
    await rig.ask({ type: "snapshotPart", room, id: begun.id, index: 0, text });
    return rig.ask({ type: "commitHosted", room, ...from, id: begun.id });
  };
  const error = async () => (await rig.ask({ type: "room", room })).snapshotError;
  const counters = async () => (await rig.ask({ type: "figures" })).counters;
  return { rig, register, beat, say, store, error, counters };
}

test("SV14 what went wrong with a room's state is counted, and shown until it is mended, also after a restart", async () => {
  const { rig, say, store, error, counters } = await start();
  await say(one, [threw, { reason: "restore_late", detail: "late" }], threw.detail);
  await say(one, [{ reason: "snapshot_damaged", detail: "part 0" }], threw.detail);
  expect(await counters()).toMatchObject({
    snapshot_errors: 1,
    snapshot_threw: 1,
    restore_errors: 1,
    restore_late: 1,
    state_lost: 1,
    snapshot_damaged: 1,
  });
  expect(await error()).toBe(threw.detail);
  await rig.start();
  expect(await error()).toBe(threw.detail);
  await say(one, [], null);
  expect(await error()).toBeUndefined();
  await say(one, [threw], threw.detail);
  await store(one, 1, "a state");
  expect(await error()).toBeUndefined();
});

test("SV14 what a server that has the room no more says of it is told, and not shown", async () => {
  const { rig, register, say, error, counters } = await start();
  await say(one, [threw], threw.detail);
  await register(two);
  await rig.ask({ type: "relocate", room, ...one });
  expect(await error()).toBeUndefined();
  await say(one, [threw], threw.detail);
  expect([await error(), (await counters())["snapshot_threw"]]).toEqual([undefined, 2]);
  await say(two, [threw], "the new one's");
  await say({ ...two, instance: "i1" }, [], null);
  expect(await error()).toBe("the new one's");
});

test("SV15 a server is told what to do until it has said how it went, and each kind once for all who ask", async () => {
  const { rig, beat, say, store } = await start();
  expect(await beat(one)).toEqual([]);
  const asked = [1, 2].map(() => rig.handle({ type: "takeSnapshot", room }));
  await turns();
  const orders = await beat(one);
  expect(orders).toMatchObject([{ roomId: room, type: "takeSnapshot" }]);
  expect(await beat(one)).toEqual(orders);
  const [order = ""] = orders.map((each) => each.order);
  // Of another one, or from another server.
  await say(one, [], null, { order: "other" });
  await say(two, [], null, { order });
  expect(await beat(one)).toEqual(orders);
  const info = await store(one, 1, "a state");
  await say(one, [], null, { order });
  const { id: snapshot } = info;
  for (const each of await Promise.all(asked)) {
    expect(each).toMatchObject({ ok: true, value: { id: snapshot } });
  }
  expect(await beat(one)).toEqual([]);
  const failed = rig.failed({ type: "restoreSnapshot", room });
  await turns();
  const [next] = await beat(one);
  expect(next?.type).toBe("restoreSnapshot");
  const problem = { code: "hook-threw", detail: "no" };
  await say(one, [], null, { order: next?.order ?? "", problem });
  expect(await failed).toBe("hook-threw");
});

test("SV15 a server that says nothing is waited for no longer than its lease and ten seconds", async () => {
  const { rig, beat } = await start();
  let answer: string | null = "none";
  const asked = rig.failed({ type: "takeSnapshot", room }).then((code) => (answer = code));
  for (const _ of [1, 2]) {
    await rig.passInSteps(14_000);
    await beat(one);
  }
  expect(answer).toBe("none");
  await rig.passInSteps(2_000);
  expect(await asked).toBe("unavailable");
  expect(await beat(one)).toEqual([]);
});

test("SV15 an order goes with its room to another server", async () => {
  const { rig, register, beat, say, store } = await start();
  await store(one, 1, "a state");
  const asked = rig.handle({ type: "restoreSnapshot", room });
  await turns();
  await register(two);
  await rig.ask({ type: "relocate", room, ...one });
  expect(await beat(one)).toEqual([]);
  const [order] = await beat(two);
  await say(two, [], null, { order: order?.order ?? "" });
  expect(await asked).toMatchObject({ ok: true });
});

test("SV15 rooms that are on no server outside, or have nothing to go back to, are not asked", async () => {
  const { rig } = await start();
  const other = id("game:2");
  expect(await rig.ask({ type: "takeSnapshot", room: other })).toBeNull();
  expect(await rig.ask({ type: "restoreSnapshot", room: other })).toBeNull();
  expect(await rig.failed({ type: "restoreSnapshot", room })).toBe("no-snapshot");
});
