/** States of rooms on game servers that fail, or are asked for, with the whole registry in this process. */
import { expect, onTestFinished, test, vi } from "vitest";
import { RegistryClient, type RegistryEvent } from "../../../client/registry-client.ts";
import { Recording } from "../../../test/support/recording.ts";
import { ServerSideSocket } from "../../../test/support/server-side-socket.ts";
import { defineRooms } from "../../core/rooms.ts";
import type { GameRoom, RoomHandlers } from "./game-room.ts";
import { GameServer } from "./game-server.ts";
import { createLocalRegistry } from "./local-registry.ts";

vi.setConfig({ testTimeout: 30_000 });

const secret = "a secret of at least thirty-two bytes";
const token = "token";
const room = "game:1";
const timing = { heartbeatIntervalMs: 1_000, leaseMs: 2_000, snapshotIntervalMs: 0 };

/** A server with a room that keeps what the test gives it, and a player in there. */
async function start(handlers: (game: GameRoom) => RoomHandlers, partitions = 1) {
  const rooms = defineRooms(
    { game: { hostedBy: "servers", ...timing }, flat: { hostedBy: "shards" } },
    { partitions },
  );
  const registry = createLocalRegistry({ rooms, token, secret });
  onTestFinished(() => registry.close());
  const client = new RegistryClient({ fetch: registry.fetch, token });
  const heard = new Recording<RegistryEvent>(({ type }) => type);
  const events = client.events("snapshot:*");
  onTestFinished(() => events.close());
  void (async () => {
    for await (const event of events) heard.add(event);
  })();
  expect(await events.subscribed).toBe(true);
  const server = new GameServer({
    registry: client,
    secret,
    serverId: "one",
    address: "one.example",
    rooms: { game: handlers },
    roomTypes: rooms,
    onError: () => {},
  });
  onTestFinished(() => server.stop(false));
  expect(await server.start()).toMatchObject({ ok: true });
  expect(await client.createRoom("game", { roomId: room })).toMatchObject({ ok: true });
  const join = async () => {
    const reserved = await client.reserve("game", { roomId: room, playerId: "ann" });
    if (!reserved.ok) throw new Error(reserved.problem.detail);
    const socket = new ServerSideSocket();
    const target = `/parties/router/${room}?ticket=${reserved.value.ticket}`;
    expect(await server.connect(target, socket)).toMatchObject({ ok: true });
    return socket;
  };
  const told = async (count: number): Promise<RegistryEvent[]> => {
    await heard.until(() => heard.items.length >= count, `${count} events`);
    return [...heard.items];
  };
  const counted = async (kind: string): Promise<number> => {
    const headers = { authorization: `Bearer ${token}` };
    const url = "http://registry/parties/registry/default/metrics";
    const text = await (await registry.fetch(new Request(url, { headers }))).text();
    return Number(new RegExp(`kind="${kind}"} (\\d+)`).exec(text)?.[1] ?? "0");
  };
  const snapshotError = async (): Promise<string | undefined> => {
    const listed = await client.getRoom(room);
    if (!listed.ok) throw new Error(listed.problem.detail);
    return listed.value.snapshotError;
  };
  return { client, join, told, counted, snapshotError };
}

/** The end of a problem's type, or `null`. */
function problemOf(result: Awaited<ReturnType<RegistryClient["takeSnapshot"]>>): string | null {
  return result.ok ? null : (result.problem.type.split(":").at(-1) ?? "");
}

test.each([1, 3])(
  "GS21, SV14 a hook that fails is told in events, metrics and the room's registration until it is mended, with %i partitions",
  async (partitions) => {
    let state: unknown = "fine";
    const getSnapshot = (): unknown => {
      if (state === "throw") throw new Error("no state");
      return state;
    };
    const started = await start(() => ({ getSnapshot, onRestore: () => {} }), partitions);
    const { client, join, told, counted, snapshotError } = started;
    const socket = await join();
    state = "throw";
    expect(problemOf(await client.takeSnapshot(room))).toBe("state-failed");
    const detail = "getSnapshot threw: Error: no state";
    const where = { roomId: room, serverId: "one" };
    expect(await told(1)).toMatchObject([{ ...where, reason: "snapshot_threw", detail }]);
    expect(await snapshotError()).toBe(detail);
    state = () => "a function";
    expect(problemOf(await client.takeSnapshot(room))).toBe("state-failed");
    expect((await told(2))[1]).toMatchObject({ ...where, reason: "snapshot_impossible" });
    const kinds = ["snapshot_threw", "snapshot_impossible", "snapshot_errors"];
    expect(await Promise.all(kinds.map(counted))).toEqual([1, 1, 2]);
    expect(socket.closings.items).toEqual([]);
    state = "fine again";
    expect(await client.takeSnapshot(room)).toMatchObject({ value: { roomId: room } });
    expect(await snapshotError()).toBeUndefined();
    expect(await client.getSnapshot(room)).toMatchObject({ value: { state } });
  },
);

test("GS22, SV15 a state is stored on demand though nothing has changed, and gone back to, once for each request", async () => {
  let said: string[] = [];
  const restored = new Recording<string>((text) => text);
  const { client, join } = await start((game) => ({
    onMessage: (_, data) => {
      said.push(String(data));
      game.broadcast(said.join());
    },
    getSnapshot: () => said,
    onRestore: (state) => {
      said = state as string[];
      restored.add(said.join());
    },
  }));
  expect(problemOf(await client.restoreSnapshot(room))).toBe("no-snapshot");
  expect(problemOf(await client.takeSnapshot(room))).toBe("room-empty");
  const socket = await join();
  socket.say("one");
  await socket.received(1);
  const [first, again] = [await client.takeSnapshot(room), await client.takeSnapshot(room)];
  expect(again.ok && first.ok && again.value.seq > first.value.seq).toBe(true);
  socket.say("two");
  expect(await socket.received(2)).toEqual(["one", "one,two"]);
  const back = await client.restoreSnapshot(room);
  expect(back).toMatchObject({ ok: true, value: { seq: again.ok && again.value.seq } });
  socket.say("three");
  expect((await socket.received(3)).at(-1)).toBe("one,three");
  // The heartbeats' answers say it more than once.
  await client.takeSnapshot(room);
  expect(restored.items).toEqual(["one"]);
});

test("GS22 what is said while a room goes back is said to the state that comes", async () => {
  const state = { said: ["before"] };
  const gate = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  const { client, join } = await start((game) => ({
    onMessage: (_, data) => {
      state.said.push(String(data));
      game.broadcast(state.said.join());
    },
    getSnapshot: () => state.said,
    onRestore: async (taken) => {
      asked.resolve();
      await gate.promise;
      state.said = taken as string[];
    },
  }));
  const socket = await join();
  expect(await client.takeSnapshot(room)).toMatchObject({ ok: true });
  const back = client.restoreSnapshot(room);
  await asked.promise;
  socket.say("meanwhile");
  gate.resolve();
  expect(await back).toMatchObject({ ok: true });
  expect(await socket.received(1)).toEqual(["before,meanwhile"]);
});

test("GS21, GS22 a room that cannot go back keeps the state that it has, and it is told", async () => {
  let state = "one";
  const { client, join, told, counted } = await start(() => ({
    getSnapshot: () => state,
    onRestore: () => Promise.reject(new Error("not that")),
  }));
  await join();
  expect(await client.takeSnapshot(room)).toMatchObject({ ok: true });
  state = "two";
  expect(problemOf(await client.restoreSnapshot(room))).toBe("state-failed");
  expect(await told(1)).toMatchObject([{ reason: "restore_threw", serverId: "one" }]);
  expect(await counted("restore_errors")).toBe(1);
  expect(state).toBe("two");
});

test("SV15 what a room cannot do is refused with a reason", async () => {
  const { client, join } = await start(() => ({}));
  await join();
  expect(problemOf(await client.takeSnapshot(room))).toBe("no-state");
  for (const unknown of ["takeSnapshot", "restoreSnapshot"] as const) {
    expect(problemOf(await client[unknown]("game:9"))).toBe("unknown-room");
  }
  expect(problemOf(await client.takeSnapshot("none:1"))).toBe("unknown-room-type");
});
