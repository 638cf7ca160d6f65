import fc from "fast-check";
import { expect, test } from "vitest";
import { RegistryRig } from "../../test/support/registry-rig.ts";
import { defineRooms } from "../core/rooms.ts";
import type { RequestTo } from "../protocol/calls.ts";

type Asked = Partial<Extract<RequestTo<"registry">, { type: "servers" }>>;

const rooms = defineRooms({
  default: { shards: 12, capacity: 9 },
  game: { maxPlayers: 4 },
  abroad: {},
});

function startRig(): Promise<RegistryRig> {
  return new RegistryRig(rooms).start();
}

function page(rig: RegistryRig, more: Asked = {}) {
  const all = { kind: null, roomType: null, after: null, limit: 50, ...more };
  return rig.ask({ type: "servers", ...all });
}

/** The ids of every page, one after the other. */
async function listed(rig: RegistryRig, more: Asked = {}): Promise<string[]> {
  const ids: string[] = [];
  let after: string | null = null;
  do {
    const { servers, through } = await page(rig, { ...more, after });
    ids.push(...servers.map(({ serverId }) => serverId));
    if (after !== null && through !== null && through <= after) throw new Error(`again ${after}`);
    after = through;
  } while (after !== null);
  return ids;
}

function register(rig: RegistryRig, serverId: string) {
  const server = { serverId, address: "game.test", capacity: 1, metadata: {}, instance: "i" };
  return rig.ask({ type: "register", server: { ...server, roomTypes: ["abroad"] } });
}

test("SV8 a shard is listed with its load from its first report on", async () => {
  const rig = await startRig();
  rig.ports.calls.answer = () => ({ ok: true, value: null });
  await rig.table("lobby");
  await rig.create("game:a", { maxPlayers: 2 });
  expect(await page(rig)).toEqual({ servers: [], through: null });
  rig.ports.clock.advance(500);
  await rig.report("lobby", { number: 3, connections: 7 });
  await rig.report("game:a", { players: ["ann"] });
  const plain = { kind: "shard", address: "", status: "online", metadata: {}, roomCount: 1 };
  const lastHeartbeat = rig.ports.clock.now();
  expect(await page(rig)).toEqual({
    servers: [
      {
        ...plain,
        serverId: "game:a-1",
        roomTypes: ["game"],
        playerCount: 1,
        capacity: 2,
        lastHeartbeat,
      },
      {
        ...plain,
        serverId: "lobby-3",
        roomTypes: ["default"],
        playerCount: 7,
        capacity: 9,
        lastHeartbeat,
      },
    ],
    through: null,
  });
});

test("SV8 the hub lists servers outside and shards, by kind and by type", async () => {
  const rig = await startRig();
  await rig.report("lobby", { number: 2, connections: 1 });
  await rig.report("game:a", { players: ["ann"] });
  await register(rig, "eu-1");
  await register(rig, "us-1");
  expect(await listed(rig, { limit: 1 })).toEqual(["eu-1", "game:a-1", "lobby-2", "us-1"]);
  expect(await listed(rig, { kind: "shard" })).toEqual(["game:a-1", "lobby-2"]);
  expect(await listed(rig, { kind: "server", limit: 1 })).toEqual(["eu-1", "us-1"]);
  expect(await listed(rig, { roomType: "game" })).toEqual(["game:a-1"]);
  expect(await listed(rig, { roomType: "abroad" })).toEqual(["eu-1", "us-1"]);
  const unknown = { kind: null, roomType: "chess", after: null, limit: 1 } as const;
  expect(await rig.failed({ type: "servers", ...unknown })).toBe("unknown-room-type");
});

test("SV8 after a restart shards are asked before they are listed", async () => {
  const rig = await startRig();
  await rig.report("game:a", { players: ["ann"] });
  await rig.start();
  rig.ports.calls.answer = () => ({
    ok: true,
    value: { connections: 3, players: ["a", "b", "c"], reserved: 0 },
  });
  expect((await page(rig)).servers).toMatchObject([{ serverId: "game:a-1", playerCount: 3 }]);
});

test("SV8 page after page gives every shard once, in order of ids, whatever the rooms' names", async () => {
  const name = fc.stringMatching(/^[a:-][-.a1:~]{0,4}$/).filter((id) => !id.includes(":"));
  const shards = fc.uniqueArray(fc.tuple(name, fc.integer({ min: 1, max: 12 })), {
    selector: ([room, number]) => `${room}-${number}`,
    maxLength: 30,
  });
  await fc.assert(
    fc.asyncProperty(shards, fc.integer({ min: 1, max: 5 }), async (used, limit) => {
      const rig = await startRig();
      for (const [room, number] of used) await rig.report(room, { number, connections: 1 });
      const ids = used.map(([room, number]) => `${room}-${number}`);
      expect(await listed(rig, { limit })).toEqual(ids.toSorted());
    }),
    { numRuns: 200 },
  );
});

test("SV8 one call looks at about 1,000 shards, and says where the next begins", async () => {
  const rig = await startRig();
  const names = Array.from({ length: 200 }, (_, n) => `room-${String(n).padStart(3, "0")}`);
  for (const room of names) await rig.table(room);
  await rig.report("room-199", { number: 12, connections: 1 });
  const first = await page(rig);
  expect(first.servers).toEqual([]);
  expect(first.through).toBe("room-084-");
  expect(await listed(rig)).toEqual(["room-199-12"]);
});

test("RE5 a shard is listed with its region, where its type names any", async () => {
  const world = defineRooms({ world: { shards: 3, regions: ["weur", "oc"] }, here: {} });
  const rig = await new RegistryRig(world).start();
  rig.ports.calls.answer = () => ({ ok: true, value: null });
  for (const number of [1, 2, 3]) await rig.report("world:a", { number, connections: 1 });
  await rig.report("here:a", { connections: 1 });
  const { servers } = await page(rig);
  expect(servers.map(({ serverId, region }) => [serverId, region])).toEqual([
    ["here:a-1", undefined],
    ["world:a-1", "weur"],
    ["world:a-2", "oc"],
    ["world:a-3", "weur"],
  ]);
  expect(servers[0]).not.toHaveProperty("region");
});
