/** Snapshots that this code has not stored, and shards that die for good, inside the runtime. */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test, vi } from "vitest";
import { RegistryApi } from "../../contract/registry-api.ts";
import { expectProblem, TestRoom } from "../../contract/test-room.ts";
import { SnapshotStore } from "../../../src/core/snapshot-store.ts";
import { encodeSnapshot } from "../../../src/core/snapshot-value.ts";
import { createCaller } from "../../../src/host/partyserver/ports.ts";
import { isRoomId } from "../../../src/protocol/names.ts";
import { rooms } from "../../support/apps/rooms.ts";
import { kill } from "../objects.ts";
import { workersHost } from "../workers-host.ts";

const host = workersHost("Workers", "test-admin-token");
const api = new RegistryApi(host);
const patience = { timeout: 20_000, interval: 100 };

function textOf(roomType: string): string {
  const encoded = encodeSnapshot(roomType, { total: 1_000, count: 1_000 });
  if (!encoded.ok) throw new Error(encoded.detail);
  return encoded.value;
}

/** The room's newest snapshot is this text from now on, its digests as they should be. */
async function plant(room: TestRoom, seq: number, text: string): Promise<void> {
  if (!isRoomId(room.id)) throw new Error("no room");
  const { epoch } = await room.status();
  const store = new SnapshotStore(room.id, "default", createCaller(env, rooms));
  expect(await store.store({ epoch, seq }, text)).toMatchObject({ ok: true });
}

async function listen() {
  const headers = { authorization: "Bearer test-admin-token" };
  const path = "/parties/registry/default/events?pattern=snapshot:failed,room:migrated";
  const { socket } = await host.upgrade(path, headers);
  if (socket === null) throw new Error("no events");
  await socket.received(1);
  return {
    socket,
    hears: (event: object) =>
      vi.waitFor(() => {
        const events = socket.frames.map((frame) => JSON.parse(String(frame)) as object);
        expect(events).toContainEqual(expect.objectContaining(event));
      }, patience),
  };
}

test.each([
  ["of another room type", textOf("chess"), /of a "chess", not of a "solo"/],
  ["of a newer version", textOf("solo").replace('"format":1', '"format":2'), /form 2.*reads 1/],
])(
  "SN2, SN11, SN16, SN17 a snapshot %s is told of, is never taken up, and the room is served",
  async (_, text, detail) => {
    const room = new TestRoom(host, "solo");
    const events = await listen();
    const client = await room.join();
    await room.deliver("1");
    await room.deliver("2");
    await plant(room, 1, text);
    const path = `snapshots/${room.id}`;
    const refused = await api.ask(`${path}/restore`, { method: "POST" });
    expect(expectProblem(refused, 500, "state-failed")).toMatch(detail);
    await client.receivedThrough("2");
    expect(await client.ask("sum")).toBe("3 of 2");
    await kill(env.Main.getByName(`${room.id}-1`));
    await client.closed();
    const next = await room.join();
    // By the log, which still holds all.
    expect(await next.ask("sum")).toBe("3 of 2");
    expect((await room.status()).snapshotError).toMatch(detail);
    const serverId = `${room.id}-1`;
    await events.hears({ type: "snapshot:failed", serverId, reason: "snapshot_foreign" });
    expect((await api.ask("metrics")).text).toMatch(/kind="snapshot_foreign"} [1-9]/);
    await room.deliver("3");
    await next.receivedThrough("3");
    expect(await api.json(path, { method: "PUT" })).toMatchObject({ seq: 3 });
    expect((await room.status()).snapshotError).toBeUndefined();
    events.socket.close();
  },
);

test("FO1, SN9 what takes the place of a shard that is dead for good has the state of the others", async () => {
  const room = new TestRoom(host, "adding");
  const events = await listen();
  const sockets = await room.joinMany(2);
  const headers = { "content-type": "application/x-ndjson" };
  await room.deliver("1\n2\n3", { headers });
  expect(await api.json(`snapshots/${room.id}`, { method: "PUT" })).toMatchObject({ seq: 3 });
  for (const socket of sockets) await socket.received(3);
  const places = await Promise.all(sockets.map(async (socket) => socket.ask("where")));
  const dying = sockets[places.indexOf(`${room.id}-1`)];
  const staying = sockets[places.indexOf(`${room.id}-2`)];
  const from = `${room.id}-1`;
  const to = `${from}~2`;
  // Every call to it fails from now on.
  await runInDurableObject(env.Main.getByName(from), (shard) => {
    Object.defineProperty(shard, "partyshardCall", { value: null });
  });
  // More than history holds.
  await room.deliver("4\n5\n6\n7\n8\n9\n10", { headers });
  await env.Registry.getByName("default").partyshardCall({ type: "suspect", shard: from });
  await events.hears({ type: "room:migrated", roomId: room.id, from, to });
  expect(await dying?.closed()).toMatchObject({ code: 4000 });
  const next = await vi.waitFor(async () => {
    const socket = await room.join();
    expect(await socket.ask("where")).toBe(to);
    return socket;
  }, patience);
  expect(await next.ask("sum")).toBe("55 of 10");
  await room.deliver("11");
  for (const socket of [next, staying]) {
    await socket?.receivedThrough("11");
    expect(await socket?.ask("sum")).toBe("66 of 11");
  }
  events.socket.close();
});
