import { expect, test } from "vitest";
import { ServersRig } from "../../test/support/servers-rig.ts";
import { turns } from "../../test/support/turns.ts";
import type { RoomId } from "../protocol/names.ts";
import type { SnapshotOrder } from "../protocol/registry.ts";
import { success, type Result } from "../protocol/result.ts";

const changed = { isPartial: true };
const known = success({ unknown: [] });

/** What partitions were told since the last time: rooms with their players, and as of when. */
function told(rig: ServersRig): Record<string, string> {
  const rooms: Record<string, string> = {};
  for (const call of rig.told.splice(0)) {
    if (call.type !== "hosted") continue;
    for (const { room, players } of call.rooms) rooms[room] = `${players.join()} ${call.asOf}`;
  }
  return rooms;
}

/** A server with three rooms, two of which it has told of. */
async function start(): Promise<ServersRig> {
  const rig = await new ServersRig().start();
  rig.clock.advance(1_000);
  rig.register("a");
  for (const room of ["game:1", "game:2", "game:3"]) expect(rig.allocate(room)).toBe("a");
  await rig.heartbeat("a", [
    ["game:1", ["ann"]],
    ["game:2", ["bob", "cem"]],
  ]);
  expect(told(rig)).toEqual({ "game:1": "ann 0", "game:2": "bob,cem 0", "game:3": " 0" });
  return rig;
}

function playersOf(rig: ServersRig): number | undefined {
  return rig.servers.list(null, 10).servers[0]?.playerCount;
}

test("SV16 a report of changes tells of them alone, one of all rooms also of those that are no more", async () => {
  const rig = await start();
  expect(playersOf(rig)).toBe(3);
  await rig.heartbeat("a", [["game:1", ["ann", "dan"]]], changed);
  expect([told(rig), playersOf(rig)]).toEqual([{ "game:1": "ann,dan 0" }, 4]);
  await rig.heartbeat("a", [], changed);
  expect([told(rig), playersOf(rig)]).toEqual([{}, 4]);
  await rig.heartbeat("a", [["game:2", []]], changed);
  expect([told(rig), playersOf(rig)]).toEqual([{ "game:2": " 0" }, 2]);
  await rig.heartbeat("a", [["game:3", ["eve"]]]);
  expect(told(rig)).toEqual({ "game:1": " 0", "game:2": " 0", "game:3": "eve 0" });
  expect(playersOf(rig)).toBe(1);
});

test("SV16, SV5 what a partition is too slow for waits, the newest of each room, as of the earliest", async () => {
  const rig = await start();
  const gates: PromiseWithResolvers<Result<{ unknown: RoomId[] }>>[] = [];
  rig.answer = () => {
    const gate = Promise.withResolvers<Result<{ unknown: RoomId[] }>>();
    gates.push(gate);
    return gate.promise;
  };
  const beats = [
    rig.heartbeat("a", [["game:1", ["one"]]], { ...changed, asOf: 10 }),
    rig.heartbeat("a", [["game:1", ["two"]]], { ...changed, asOf: 20 }),
    rig.heartbeat("a", [["game:1", ["three"]]], { ...changed, asOf: 30 }),
  ];
  await turns();
  expect(told(rig)).toEqual({ "game:1": "one 10" });
  gates[0]?.resolve(known);
  await turns();
  expect(told(rig)).toEqual({ "game:1": "three 20" });
  gates[1]?.resolve(known);
  for (const each of await Promise.all(beats)) expect(each.ok).toBe(true);
  expect(gates).toHaveLength(2);
});

test("SV16, SV5 a room that is placed elsewhere is to be closed, whichever report its server is answered with", async () => {
  const rig = await start();
  const gate = Promise.withResolvers<Result<{ unknown: RoomId[] }>>();
  rig.answer = () => gate.promise;
  const first = rig.heartbeat("a", [["game:1", ["ann"]]]);
  await rig.pass(2_000);
  expect(await first).toMatchObject({ value: { dispose: [] } });
  gate.resolve(success({ unknown: ["game:1" as RoomId, "game:2" as RoomId] }));
  await turns();
  rig.answer = () => known;
  // It said nothing of the second.
  const next = await rig.heartbeat("a", [["game:3", []]], changed);
  expect(next).toMatchObject({ value: { dispose: ["game:1"] } });
  expect(await rig.heartbeat("a", [], changed)).toMatchObject({ value: { dispose: [] } });
});

test("SV15, SV16 what a server is to do is in every answer until its partition has heard of it", async () => {
  const rig = await start();
  const order = { order: "o", roomId: "game:1" as RoomId, type: "takeSnapshot" } as const;
  rig.answer = (call) =>
    call.type === "hosted" && call.rooms.some(({ room }) => room === order.roomId)
      ? success({ unknown: [], orders: [order] })
      : known;
  const ordersOf = async (
    ...beat: Parameters<ServersRig["heartbeat"]>
  ): Promise<readonly SnapshotOrder[] | undefined> => {
    const answer = await rig.heartbeat(...beat);
    return answer.ok ? answer.value.orders : [];
  };
  expect(await ordersOf("a", [])).toEqual([order]);
  expect(await ordersOf("a", [["game:2", []]], changed)).toEqual([order]);
  rig.answer = () => known;
  expect(await ordersOf("a", [["game:2", []]], changed)).toEqual([order]);
  expect(await ordersOf("a", [])).toBeUndefined();
});

test("SV16, SV2 the same start of a server that registers anew has its rooms still", async () => {
  const rig = await start();
  rig.register("a");
  expect(playersOf(rig)).toBe(3);
  await rig.heartbeat("a", [["game:1", []]], changed);
  expect(playersOf(rig)).toBe(2);
});
