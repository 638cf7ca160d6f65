import { expect, onTestFinished, test, vi } from "vitest";
import type { RegistryEvent } from "../../../client/registry-client.ts";
import { RegistryClient } from "../../../client/registry-client.ts";
import { Recording } from "../../../test/support/recording.ts";
import { ServerSideSocket } from "../../../test/support/server-side-socket.ts";
import { defineRooms } from "../../core/rooms.ts";
import { GameServer } from "./game-server.ts";
import { createLocalRegistry } from "./local-registry.ts";
import { MemoryStorage } from "./memory-storage.ts";

// Leases and seats run out in it, by the clock.
vi.setConfig({ testTimeout: 30_000 });

const secret = "a secret of at least thirty-two bytes";
const token = "token";
const timing = { seatTtlMs: 1_000, heartbeatIntervalMs: 1_000, leaseMs: 2_000 };

function deployment(partitions = 1) {
  const rooms = defineRooms(
    { game: { maxPlayers: 2, hostedBy: "servers", ...timing } },
    { partitions },
  );
  const registry = createLocalRegistry({ rooms, token, secret });
  onTestFinished(() => registry.close());
  const client = new RegistryClient({ fetch: registry.fetch, token });
  const startServer = async (serverId: string): Promise<GameServer> => {
    const server = new GameServer({
      registry: client,
      secret,
      serverId,
      address: `ws://${serverId}.example`,
      rooms: { game: () => ({}) },
      roomTypes: rooms,
      emptyRoomMs: 1,
      drainMs: 1,
    });
    onTestFinished(() => server.stop(false));
    expect(await server.start()).toEqual({ ok: true, value: null });
    return server;
  };
  return { client, registry, startServer };
}

/** The client's events of this pattern from now on. */
async function listen(client: RegistryClient, pattern: string): Promise<Recording<RegistryEvent>> {
  const heard = new Recording<RegistryEvent>(({ type }) => type);
  const events = client.events(pattern);
  onTestFinished(() => events.close());
  void (async () => {
    for await (const event of events) heard.add(event);
  })();
  expect(await events.subscribed).toBe(true);
  return heard;
}

function until(heard: Recording<RegistryEvent>, type: string): Promise<void> {
  return heard.until(() => heard.items.some((event) => event.type === type), type);
}

test.each([1, 4])(
  "GS13 a registry in one process takes servers, gives seats and clears up, with %i partitions",
  async (partitions) => {
    const { client, startServer } = deployment(partitions);
    const heard = await listen(client, "room:*,server:*");
    const server = await startServer("one");
    const created = await server.createRoom("game", { keepMs: 500 });
    if (!created.ok) throw new Error(created.problem.detail);
    const joined = await server.joinOrCreate("game", "ann");
    if (!joined.ok) throw new Error(joined.problem.detail);
    const { reservation } = joined.value;
    expect(joined.value).toMatchObject({ room: { id: reservation.roomId } });
    const socket = new ServerSideSocket();
    const path = `/parties/router/${reservation.roomId}?ticket=${reservation.ticket}`;
    expect(await server.connect(path, socket)).toMatchObject({ ok: true });
    expect(await client.getRoom(reservation.roomId)).toMatchObject({
      value: { roomType: "game", serverId: "one", maxPlayers: 2 },
    });
    expect(await client.queryRooms({ type: "game", hasSpace: true })).toMatchObject({
      value: { rooms: [{ roomId: reservation.roomId }] },
    });
    expect(await client.getServers()).toMatchObject({
      value: { servers: [{ serverId: "one", status: "online" }] },
    });
    socket.drop();
    await until(heard, "room:disposed");
    expect(await client.getRoom(reservation.roomId)).toMatchObject({ problem: { status: 404 } });
    await server.stop();
    await until(heard, "server:offline");
  },
);

test("GS13 a player whose room is on another server is told where, with the ticket", async () => {
  const { client, startServer } = deployment();
  const [one, two] = [await startServer("one"), await startServer("two")];
  const first = await one.createRoom("game");
  if (!first.ok) throw new Error(first.problem.detail);
  const { roomId, serverId } = first.value.registration;
  const [near, far] = serverId === "one" ? [one, two] : [two, one];
  expect(await near.joinOrCreate("game", "ann", { roomId })).toMatchObject({
    value: { room: { id: roomId } },
  });
  const sent = await far.joinOrCreate("game", "bob", { roomId });
  if (!sent.ok || !("redirect" in sent.value)) throw new Error("no redirect");
  const { host, pathname, search } = new URL(sent.value.redirect);
  expect([host, pathname]).toEqual([`${serverId}.example`, `/parties/router/${roomId}`]);
  expect(await near.admit(pathname + search)).toMatchObject({ ok: true });
  expect(await client.reserve("game", { roomId, playerId: "eve" })).toMatchObject({
    problem: { type: "urn:partyshard:problem:room-full" },
  });
});

test("GS13, RA14 a room is disposed of as often as asked", async () => {
  const { client, startServer } = deployment();
  const server = await startServer("one");
  const created = await server.createRoom("game");
  if (!created.ok) throw new Error(created.problem.detail);
  const { roomId } = created.value.registration;
  expect(await client.disposeRoom(roomId)).toMatchObject({ ok: true });
  expect(await client.getRoom(roomId)).toMatchObject({ problem: { status: 404 } });
  expect(await client.disposeRoom(roomId)).toMatchObject({ ok: true });
});

test("GS13 a server that falls silent is offline within its lease, and its rooms are gone", async () => {
  const { client, startServer } = deployment();
  const heard = await listen(client, "server:offline,room:disposed");
  const server = await startServer("one");
  const created = await server.createRoom("game");
  if (!created.ok) throw new Error(created.problem.detail);
  await server.stop(false);
  await until(heard, "server:offline");
  await until(heard, "room:disposed");
  const { roomId } = created.value.registration;
  expect(await client.getRoom(roomId)).toMatchObject({ problem: { status: 404 } });
  expect(await client.joinOrCreate("game", "ann")).toMatchObject({
    problem: { type: "urn:partyshard:problem:no-server" },
  });
});

test("GS13 locks and messages between servers", async () => {
  const { client } = deployment();
  const heard = await listen(client, "room:message");
  const held = await client.withLock("k", 5_000, async (lock) => {
    const second = await client.acquireLock("k", 5_000);
    return [lock.token > 0, !second.ok && second.problem.status];
  });
  expect(held).toEqual({ ok: true, value: [true, 409] });
  expect(await client.acquireLock("k", 5_000)).toMatchObject({ ok: true });
  expect(await client.publishMessage("game:1", { hello: 1 })).toMatchObject({ ok: true });
  await until(heard, "room:message");
  expect(heard.items[0]).toMatchObject({ roomId: "game:1", data: { hello: 1 } });
});

test("GS13 without the token nothing is told", async () => {
  const { registry } = deployment();
  const client = new RegistryClient({ fetch: registry.fetch, token: "guess" });
  expect(await client.getServers()).toMatchObject({ problem: { status: 401 } });
  const events = client.events();
  for await (const event of events) expect(event).toBeNull();
  expect(events.problem).toMatchObject({ status: 401 });
});

test("GS13, DI15 a registry that starts with fewer partitions has the rooms of all the former ones", async () => {
  const storages = new Map<string, MemoryStorage>();
  const storage = (partition: string): MemoryStorage => {
    const known = storages.get(partition) ?? new MemoryStorage();
    storages.set(partition, known);
    return known;
  };
  const start = (partitions: number): RegistryClient => {
    const rooms = defineRooms({ game: { hostedBy: "shards" } }, { partitions });
    const registry = createLocalRegistry({ rooms, token, secret, storage });
    onTestFinished(() => registry.close());
    return new RegistryClient({ fetch: registry.fetch, token });
  };
  const before = start(4);
  const names = Array.from({ length: 8 }, (_, index) => `game:${index}`);
  for (const roomId of names) {
    expect(await before.createRoom("game", { roomId })).toMatchObject({ ok: true });
  }
  expect(storages.size).toBe(4);
  const after = start(1);
  for (const roomId of names) {
    const found = vi.waitUntil(async () => (await after.getRoom(roomId)).ok, 20_000);
    expect(await found).toBe(true);
  }
});
