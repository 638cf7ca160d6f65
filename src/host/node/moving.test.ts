/** Rooms that move from one game server to another, with the whole registry in this process. */
import { expect, onTestFinished, test, vi } from "vitest";
import { RegistryClient, type RegistryEvent } from "../../../client/registry-client.ts";
import { Recording } from "../../../test/support/recording.ts";
import { ServerSideSocket } from "../../../test/support/server-side-socket.ts";
import { defineRooms } from "../../core/rooms.ts";
import { GameServer } from "./game-server.ts";
import type { GameServerOptions } from "./game-server-options.ts";
import { createLocalRegistry } from "./local-registry.ts";

// Leases run out in it, by the clock.
vi.setConfig({ testTimeout: 30_000 });

const secret = "a secret of at least thirty-two bytes";
const token = "token";
const room = "game:1";
const timing = {
  seatTtlMs: 1_000,
  heartbeatIntervalMs: 1_000,
  leaseMs: 2_000,
  snapshotIntervalMs: 1_000,
};

async function deployment(partitions = 1) {
  const settings = { maxPlayers: 4, hostedBy: "servers", ...timing } as const;
  const rooms = defineRooms({ game: settings }, { partitions });
  const registry = createLocalRegistry({ rooms, token, secret });
  onTestFinished(() => registry.close());
  const client = new RegistryClient({ fetch: registry.fetch, token });
  const heard = new Recording<RegistryEvent>(({ type }) => type);
  const events = client.events("room:*,server:*");
  onTestFinished(() => events.close());
  void (async () => {
    for await (const event of events) heard.add(event);
  })();
  expect(await events.subscribed).toBe(true);
  const until = (wanted: object): Promise<void> => {
    const isWanted = (event: Record<string, unknown>): boolean =>
      Object.entries(wanted).every(([name, value]) => event[name] === value);
    return heard.until(() => heard.items.some(isWanted), JSON.stringify(wanted));
  };
  /** Its rooms remember what was said in them. */
  const startServer = async (
    serverId: string,
    options: Partial<GameServerOptions> = {},
  ): Promise<GameServer> => {
    const server = new GameServer({
      registry: client,
      secret,
      serverId,
      address: `ws://${serverId}.example`,
      rooms: {
        game: (game) => {
          let said: string[] = [];
          return {
            onMessage: (player, data) => {
              said.push(`${player.id}: ${String(data)}`);
              game.broadcast(said.join(", "));
            },
            getSnapshot: () => said,
            onRestore: (state) => void (said = state as string[]),
          };
        },
      },
      roomTypes: rooms,
      emptyRoomMs: 20,
      drainMs: 20,
      ...options,
    });
    onTestFinished(() => server.stop(false));
    expect(await server.start()).toEqual({ ok: true, value: null });
    return server;
  };
  const join = async (servers: readonly GameServer[], playerId: string) => {
    const reserved = await client.reserve("game", { roomId: room, playerId });
    if (!reserved.ok) throw new Error(reserved.problem.detail);
    const { serverId, ticket } = reserved.value;
    const server = servers.find((each) => each.serverId === serverId);
    const socket = new ServerSideSocket();
    const result = await server?.connect(`/parties/router/${room}?ticket=${ticket}`, socket);
    expect(result).toMatchObject({ ok: true });
    const says = async (text: string): Promise<unknown> => {
      const before = socket.frames.items.length;
      socket.say(text);
      return (await socket.received(before + 1)).at(-1);
    };
    return { socket, serverId, says };
  };
  const listed = async (serverId: string) => {
    const page = await client.getServers({ kind: "server" });
    return page.ok ? page.value.servers.find((each) => each.serverId === serverId) : undefined;
  };
  return { client, heard, until, startServer, join, listed };
}

test.each([1, 3])(
  "GS19, SV12 a server that drains gives its rooms to another with their state, with %i partitions",
  async (partitions) => {
    const { client, until, startServer, join, listed } = await deployment(partitions);
    const one = await startServer("one");
    expect(await client.createRoom("game", { roomId: room })).toMatchObject({ ok: true });
    const two = await startServer("two");
    const [ann, bob] = [await join([one], "ann"), await join([one], "bob")];
    await ann.says("hello");
    await bob.says("hi");
    expect(await one.drain()).toMatchObject({ value: { serverId: "one", status: "draining" } });
    for (const { socket } of [ann, bob]) {
      expect(await socket.closed()).toMatchObject({ code: 4000 });
    }
    expect(one.rooms).toEqual([]);
    expect(await listed("one")).toMatchObject({ status: "draining", roomCount: 0 });
    await until({ type: "server:draining", serverId: "one" });
    await until({ type: "room:migrated", roomId: room, from: "one", to: "two" });
    const again = await join([one, two], "ann");
    expect(again.serverId).toBe("two");
    expect(await again.says("back")).toBe("ann: hello, bob: hi, ann: back");
    await one.stop();
    await until({ type: "server:offline", serverId: "one" });
    expect(again.socket.closings.items).toEqual([]);
  },
);

test("GS19 an operator's drain empties the server as well", async () => {
  const { client, until, startServer, join } = await deployment();
  const one = await startServer("one");
  await client.createRoom("game", { roomId: room });
  const { socket, says } = await join([one], "ann");
  await says("hello");
  const two = await startServer("two");
  await client.drainServer("one");
  await until({ type: "room:migrated", from: "one", to: "two" });
  expect((await socket.closed()).code).toBe(4000);
  expect(await (await join([two], "ann")).says("back")).toBe("ann: hello, ann: back");
});

test("GS19 a room that no other server takes goes on, until one does", async () => {
  const { client, until, startServer, join } = await deployment();
  const one = await startServer("one");
  await client.createRoom("game", { roomId: room });
  const { socket, says } = await join([one], "ann");
  const drained = one.drain();
  await until({ type: "server:draining", serverId: "one" });
  expect(await says("hello")).toBe("ann: hello");
  expect(await says("hello?")).toBe("ann: hello, ann: hello?");
  expect(socket.closings.items).toEqual([]);
  const two = await startServer("two");
  await drained;
  expect((await socket.closed()).code).toBe(4000);
  expect(await (await join([two], "ann")).says("!")).toBe("ann: hello, ann: hello?, ann: !");
});

test("GS19 at the limit everybody is sent away", async () => {
  const { client, startServer, join } = await deployment();
  const one = await startServer("one", { limitMs: 200 });
  await client.createRoom("game", { roomId: room });
  const { socket } = await join([one], "ann");
  await one.drain();
  expect((await socket.closed()).code).toBe(4000);
  expect(one.rooms).toEqual([]);
});

test("GS11, SV13 a stop waits for no other server; the state is there when the room begins again", async () => {
  const { client, until, startServer, join } = await deployment();
  const one = await startServer("one");
  await client.createRoom("game", { roomId: room });
  const { socket, says } = await join([one], "ann");
  await says("hello");
  await one.stop({ graceful: true });
  expect((await socket.closed()).code).toBe(4000);
  await until({ type: "room:disposed", roomId: room, reason: "server-offline" });
  const two = await startServer("two");
  expect(await client.createRoom("game", { roomId: room })).toMatchObject({ ok: true });
  expect(await (await join([two], "bob")).says("hi")).toBe("ann: hello, bob: hi");
  expect(await client.getSnapshot(room)).toMatchObject({ value: { state: ["ann: hello"] } });
});

test("GS17 a room that ends since nobody is there begins again with its state, until it is disposed of", async () => {
  const { client, startServer, join } = await deployment();
  const one = await startServer("one");
  await client.createRoom("game", { roomId: room });
  const { socket, says } = await join([one], "ann");
  await says("hello");
  socket.drop();
  await vi.waitUntil(() => one.rooms.length === 0, { timeout: 20_000 });
  expect(await (await join([one], "bob")).says("hi")).toBe("ann: hello, bob: hi");
  await client.disposeRoom(room);
  expect((await client.getSnapshot(room)).ok).toBe(false);
  await vi.waitUntil(() => one.rooms.length === 0, { timeout: 20_000 });
  await client.createRoom("game", { roomId: room });
  expect(await (await join([one], "cem")).says("hey")).toBe("cem: hey");
});

test("SV10, GS17 when a server is gone its rooms begin on another with their last snapshot", async () => {
  const { client, until, startServer, join } = await deployment();
  const one = await startServer("one");
  await client.createRoom("game", { roomId: room, metadata: { mode: "duel" } });
  const two = await startServer("two");
  const { says } = await join([one], "ann");
  await says("hello");
  await vi.waitUntil(async () => (await client.getSnapshot(room)).ok, { timeout: 20_000 });
  await one.stop(false);
  await until({ type: "server:offline", serverId: "one", reason: "lease" });
  await until({ type: "room:migrated", roomId: room, from: "one", to: "two" });
  expect(await client.getRoom(room)).toMatchObject({ value: { metadata: { mode: "duel" } } });
  expect(await (await join([one, two], "ann")).says("back")).toBe("ann: hello, ann: back");
});

test("GS17, SV13 a state of many parts comes over whole", async () => {
  const { client, startServer, join } = await deployment(2);
  // Written down it is several times as long.
  const state = "\u2028x".repeat(200_000);
  const taken: unknown[] = [];
  const rooms = {
    game: () => ({
      getSnapshot: () => state,
      onRestore: (given: unknown) => void taken.push(given),
    }),
  };
  const one = await startServer("one", { rooms });
  await client.createRoom("game", { roomId: room });
  await join([one], "ann");
  const two = await startServer("two", { rooms });
  await one.drain();
  const stored = await client.getSnapshot(room);
  expect(stored.ok && stored.value.size > 1024 * 1024).toBe(true);
  await join([two], "ann");
  expect(taken).toEqual([state]);
});
