import { once } from "node:events";
import { createServer } from "node:http";
import { PassThrough } from "node:stream";
import { expect, onTestFinished, test } from "vitest";
import { FakeRegistry } from "../../../test/support/fake-registry.ts";
import { Recording } from "../../../test/support/recording.ts";
import { ServerSideSocket } from "../../../test/support/server-side-socket.ts";
import { turns } from "../../../test/support/turns.ts";
import { defineRooms } from "../../core/rooms.ts";
import { signTicket, type TicketClaims } from "../../protocol/ticket.ts";
import type { GameRoom, RoomHandlers } from "./game-room.ts";
import { GameServer } from "./game-server.ts";
import type { GameServerOptions } from "./game-server-options.ts";

const secret = "a secret of at least thirty-two bytes";
const serverId = "server-1";
const room = "game:1";

/** A server whose rooms say what happens in them. */
async function startServer(
  options: Partial<GameServerOptions> = {},
  handlers: (room: GameRoom) => RoomHandlers = () => ({}),
) {
  const registry = new FakeRegistry();
  const happened = new Recording<string>((text) => text);
  const server = new GameServer({
    registry: registry.client,
    secret,
    serverId,
    address: "127.0.0.1",
    drainMs: 5,
    emptyRoomMs: 1,
    roomTypes: defineRooms({ game: { maxPlayers: 2, seatTtlMs: 1_000 } }),
    rooms: {
      game: (game) => {
        happened.add(`begin ${game.id}`);
        return {
          onConnect: (player) => happened.add(`+${player.id}`),
          onMessage: (player, data) => {
            happened.add(`${player.id}: ${String(data)}`);
            game.broadcast(data);
          },
          onClose: (player) => happened.add(`-${player.id}`),
          onDispose: () => happened.add(`end ${game.id}`),
          ...handlers(game),
        };
      },
    },
    onError: (error) => happened.add(String(error)),
    ...options,
  });
  onTestFinished(() => server.stop(false));
  const heard = (text: string, times = 1): Promise<void> =>
    happened.until(
      () => happened.items.filter((each) => each === text).length >= times,
      `"${text}" ${times} times`,
    );
  expect(await server.start()).toEqual({ ok: true, value: null });
  return { server, registry, happened, heard };
}

type Started = Awaited<ReturnType<typeof startServer>>;

/** A ticket for this start of the server. */
function ticketFor(
  { registry: { instance } }: Started,
  player: string,
  claims: Partial<TicketClaims> = {},
  key = secret,
): Promise<string> {
  const place = { room, server: serverId, instance, seat: `seat of ${player}`, player };
  return signTicket(key, { ...place, expiresAt: 1_800_000_010_000, ...claims });
}

function framesOf(frames: readonly unknown[]): Record<string, unknown>[] {
  return frames.map((text) => JSON.parse(String(text)) as Record<string, unknown>);
}

async function connect(
  { server }: Started,
  ticket: string,
  query: Record<string, string> = {},
): Promise<{ socket: ServerSideSocket; refusal: string | null }> {
  const socket = new ServerSideSocket();
  const search = new URLSearchParams({ ticket, ...query });
  const result = await server.connect(`/parties/router/${room}?${search.toString()}`, socket);
  return { socket, refusal: result.ok ? null : result.code };
}

test("GS6 a server registers what it is and offers, and reports players and seats soon after a change", async () => {
  const started = await startServer({ port: 3_000, capacity: 7, metadata: { build: 1 } });
  const { registry, heard } = started;
  expect(registry.requests.items[0]).toMatchObject({
    method: "POST",
    path: "servers",
    body: {
      serverId,
      address: "127.0.0.1",
      port: 3_000,
      capacity: 7,
      roomTypes: ["game"],
      metadata: { build: 1 },
    },
  });
  const { socket } = await connect(started, await ticketFor(started, "ann"));
  await heard("+ann");
  const report = await registry.reported(({ rooms }) => rooms[0]?.players.length === 1);
  expect(report.rooms).toEqual([{ roomId: room, players: ["ann"], seats: ["seat of ann"] }]);
  expect(report.asOf).toBe(registry.now);
  socket.drop();
  await heard("-ann");
});

test("GS6 between reports of all rooms those that have changed, begun or ended are named, and no others", async () => {
  const started = await startServer({ emptyRoomMs: 60_000 });
  const { registry, server } = started;
  registry.answers.set("POST rooms", { roomId: "game:2", serverId, address: "a" });
  expect(await server.createRoom("game")).toMatchObject({ ok: true });
  const { socket } = await connect(started, await ticketFor(started, "ann"));
  await registry.reported(({ rooms }) => rooms.some(({ players }) => players.length === 1));
  await connect(started, await ticketFor(started, "bob"));
  const both = await registry.reported(({ rooms }) => rooms[0]?.players.length === 2);
  expect(both).toMatchObject({ isPartial: true, rooms: [{ roomId: room }] });
  expect(both.rooms).toHaveLength(1);
  registry.dispose = [room];
  socket.drop();
  const ended = await registry.reported(
    ({ isPartial, rooms }) => isPartial === true && rooms[0]?.seats.length === 0,
  );
  expect(ended.rooms).toEqual([{ roomId: room, players: [], seats: [] }]);
});

test("GS7 registering is tried until there is an answer, and a refusal for good is told", async () => {
  const registry = new FakeRegistry();
  const problems: string[] = [];
  const make = (): GameServer => {
    const server = new GameServer({
      registry: registry.client,
      secret,
      address: "127.0.0.1",
      rooms: { game: () => ({}) },
      onProblem: ({ status }) => problems.push(String(status)),
    });
    onTestFinished(() => server.stop(false));
    return server;
  };
  registry.next.push("drop", "server-exists");
  expect(await make().start()).toEqual({ ok: true, value: null });
  expect(problems).toEqual(["503", "409"]);
  registry.next.push("unauthorized");
  expect(await make().start()).toMatchObject({ ok: false, problem: { status: 401 } });
});

test("GS7 a server that the registry does not know registers anew, as another start", async () => {
  const { registry } = await startServer({ heartbeatIntervalMs: 1 });
  await registry.asked("PUT servers/server-1/heartbeat");
  registry.next.push("unknown-server");
  await registry.asked("POST servers", 2);
  const before = registry.reports.length;
  await registry.requests.until(() => registry.reports.length > before, "another heartbeat");
  const starts = registry.requests.items.filter(({ path }) => path === "servers");
  const [first, second] = starts.map(({ body }) => body as { instance: string });
  expect(second).toEqual({ ...first, instance: registry.instance });
  expect(second?.instance).not.toBe(first?.instance);
  expect(registry.reports[0]?.instance).toBe(first?.instance);
  expect(registry.reports.at(-1)?.instance).toBe(second?.instance);
});

test("GS8 a room begins with its first player and ends when it has been empty for a while", async () => {
  const types = defineRooms({ game: { maxPlayers: 2, seatTtlMs: 1_000 } });
  const started = await startServer({ roomTypes: types });
  const { server, registry, happened, heard } = started;
  const [ann, bob] = [
    await connect(started, await ticketFor(started, "ann")),
    await connect(started, await ticketFor(started, "bob")),
  ];
  expect(server.rooms.map(({ id, players }) => [id, players.length])).toEqual([[room, 2]]);
  ann.socket.say("hello");
  expect(await bob.socket.received(1)).toEqual(["hello"]);
  ann.socket.drop();
  bob.socket.drop();
  await heard(`end ${room}`);
  expect(server.rooms).toEqual([]);
  expect(happened.items).toEqual([
    `begin ${room}`,
    "+ann",
    "+bob",
    "ann: hello",
    "-ann",
    "-bob",
    `end ${room}`,
  ]);
  await registry.reported(({ rooms }) => rooms.length === 0);
});

test("GS8 a room that the server joined for a player stays while the seat is held", async () => {
  const { registry, server, happened, heard } = await startServer({ heartbeatIntervalMs: 1 });
  const seat = { id: "seat of ann", expiresAt: registry.now + 100 };
  registry.answers.set("POST route", { type: "create" });
  registry.answers.set("POST reserve", { roomId: room, serverId, ticket: "t", seat });
  expect(await server.joinOrCreate("game", "ann")).toMatchObject({ value: { room: { id: room } } });
  await registry.hears(10);
  expect(happened.items).toEqual([`begin ${room}`]);
  registry.now += 100;
  await heard(`end ${room}`);
  await registry.reported(({ rooms }) => rooms.length === 0);
});

test("GS8 a room that the server created stays until it was empty for as long as asked", async () => {
  const { registry, server, happened, heard } = await startServer({ heartbeatIntervalMs: 1 });
  registry.answers.set("POST rooms", { roomId: room, serverId, address: "a" });
  expect(await server.createRoom("game", { keepMs: 1_000 })).toMatchObject({ ok: true });
  await registry.hears(10);
  expect(happened.items).toEqual([`begin ${room}`]);
  await heard(`end ${room}`);
});

test("GS8 plain sockets get payloads, clients of protocol 1 numbered messages, and come back to what they missed", async () => {
  let game: GameRoom | undefined;
  const started = await startServer({}, (made) => {
    game = made;
    return { onBroadcast: ({ data, seq }) => `${seq}:${String(data)}` };
  });
  const plain = await connect(started, await ticketFor(started, "ann"));
  const ticket = await ticketFor(started, "bob");
  const speaker = await connect(started, ticket, { protocol: "1", _pk: "bob-1" });
  expect(await game?.publish("one")).toMatchObject({ ok: true, value: { seq: 1 } });
  expect(await plain.socket.received(1)).toEqual(["1:one"]);
  const [welcome, first] = framesOf(await speaker.socket.received(2));
  expect(welcome).toMatchObject({ type: "welcome", connection: "bob-1", recovered: false });
  expect(first).toMatchObject({ type: "messages", after: 0, through: 1, data: ["1:one"] });
  speaker.socket.drop();
  await started.heard("-bob");
  expect(await game?.publish("two")).toMatchObject({ ok: true, value: { seq: 2 } });
  await plain.socket.received(2);
  const resume = { protocol: "1", _pk: "bob-1", epoch: String(welcome?.["epoch"]), since: "1" };
  const again = await connect(started, ticket, resume);
  const [back, missed] = framesOf(await again.socket.received(2));
  expect(back).toMatchObject({ type: "welcome", recovered: true });
  expect(missed).toMatchObject({ after: 1, through: 2, data: ["2:two"] });
  again.socket.say(JSON.stringify({ type: "send", data: "hi" }));
  await started.heard("bob: hi");
  expect(framesOf(await again.socket.received(3))[2]).toEqual({ type: "local", data: "hi" });
});

test("GS8 clients publish over their sockets where the type allows it", async () => {
  const roomTypes = defineRooms({ game: { maxPlayers: 2, publishOverSocket: true } });
  const started = await startServer({ roomTypes });
  const plain = await connect(started, await ticketFor(started, "ann"));
  const speaker = await connect(started, await ticketFor(started, "bob"), { protocol: "1" });
  const publish = { type: "publish", id: "bob-secret:1", data: "to all" };
  speaker.socket.say(JSON.stringify(publish));
  expect(await plain.socket.received(1)).toEqual(["to all"]);
  const frames = framesOf(await speaker.socket.received(3));
  expect(frames.map(({ type }) => type)).toEqual(
    expect.arrayContaining(["messages", "published", "welcome"]),
  );
});

test("GS8 bytes reach a room's handlers and its clients as bytes", async () => {
  const started = await startServer({}, (game) => ({
    onMessage: (_, data) => game.broadcast(data),
  }));
  const { socket } = await connect(started, await ticketFor(started, "ann"));
  socket.sayBytes(new Uint8Array([1, 2, 255]));
  expect((await socket.received(1))[0]).toEqual(new Uint8Array([1, 2, 255]));
});

test("GS8 what a room's handlers throw is told and ends nothing but a connection that was coming in", async () => {
  const started = await startServer({}, () => ({
    onConnect: ({ id }) => {
      if (id === "ann") throw new Error("no ann");
    },
    onMessage: () => Promise.reject(new Error("no messages")),
  }));
  const ann = await connect(started, await ticketFor(started, "ann"));
  expect(await ann.socket.closed()).toMatchObject({ code: 4004 });
  const bob = await connect(started, await ticketFor(started, "bob"));
  bob.socket.say("hello");
  await started.heard("Error: no messages");
  expect(started.happened.items).toContain("Error: no ann");
  expect(bob.socket.closings.items).toEqual([]);
});

test.each([
  ["forged", {}, `${secret}!`, "ticket-invalid"],
  ["for another room", { room: "game:2" }, secret, "ticket-invalid"],
  ["for another server", { server: "server-2" }, secret, "ticket-invalid"],
  ["expired by the registry's time", { expiresAt: 1 }, secret, "ticket-expired"],
  ["for another start of the server", { instance: "a former one" }, secret, "ticket-expired"],
  ["for no start of a server", { instance: undefined }, secret, "ticket-expired"],
])("GS9 a ticket that is %s is refused, and no room begins", async (_, claims, key, code) => {
  const started = await startServer();
  const ticket = await ticketFor(started, "ann", claims, key);
  const { socket, refusal } = await connect(started, ticket);
  expect(refusal).toBe(code);
  expect((await socket.closed()).code).toBe(4503);
  expect(started.happened.items.filter((text) => text.startsWith("+"))).toEqual([]);
});

test("GS9 a server that the registry has forgotten closes its rooms with 4000 and takes no older ticket", async () => {
  const started = await startServer({ heartbeatIntervalMs: 1 });
  const { registry, server, heard } = started;
  const query = { _pk: "a", protocol: "1" };
  const { socket } = await connect(started, await ticketFor(started, "ann"), query);
  const former = await ticketFor(started, "bob");
  await registry.reported(({ rooms }) => rooms.length === 1);
  registry.next.push("unknown-server");
  expect(await socket.closed()).toMatchObject({ code: 4000 });
  await heard(`end ${room}`);
  await registry.asked("POST servers", 2);
  await registry.reported(({ rooms, instance }) => {
    return rooms.length === 0 && instance === registry.instance;
  });
  expect((await connect(started, former)).refusal).toBe("ticket-expired");
  expect(server.rooms).toEqual([]);
  expect((await connect(started, await ticketFor(started, "bob"))).refusal).toBeNull();
});

test("GS16 a server whose lease has been out for as long as it ran closes its rooms with 4000", async () => {
  const started = await startServer({ heartbeatIntervalMs: 1 });
  const { registry, server, heard } = started;
  registry.leaseMs = 20;
  const { socket } = await connect(started, await ticketFor(started, "ann"), { protocol: "1" });
  const former = await ticketFor(started, "bob");
  await registry.reported(({ rooms }) => rooms.length === 1);
  registry.isSilent = true;
  expect(await socket.closed()).toMatchObject({ code: 4000 });
  await heard(`end ${room}`);
  expect(server.rooms).toEqual([]);
  expect((await connect(started, former)).refusal).toBe("unavailable");
  registry.isSilent = false;
  registry.leaseMs = 15_000;
  await registry.reported(({ instance }) => instance === registry.instance);
  expect((await connect(started, former)).refusal).toBe("ticket-expired");
  expect((await connect(started, await ticketFor(started, "bob"))).refusal).toBeNull();
});

test("GS16 a server that drains when it is forgotten drains as another start too", async () => {
  const { registry, server } = await startServer({ heartbeatIntervalMs: 1 });
  const drain = "POST servers/server-1/drain";
  registry.status = "draining";
  await server.drain();
  await registry.hears(2);
  const drained = registry.times(drain);
  await registry.hears(3);
  expect(registry.times(drain)).toBe(drained);
  registry.status = "online";
  registry.next.push("unknown-server");
  await registry.asked(drain, drained + 1);
  expect(registry.times("POST servers")).toBe(2);
});

test("GS9 without a ticket nobody comes in", async () => {
  const { server } = await startServer();
  const admitted = await server.admit(`/parties/router/${room}`);
  expect(admitted).toMatchObject({ ok: false, code: "ticket-invalid" });
});

test("GS15 upgrades of other paths are left to whoever else listens, or refused", async () => {
  const { server } = await startServer();
  const http = createServer();
  server.attach(http);
  const upgrade = (url: string): PassThrough => {
    const socket = new PassThrough();
    http.emit("upgrade", { url }, socket, Buffer.alloc(0));
    return socket;
  };
  expect(String(await once(upgrade("/other"), "data"))).toContain("HTTP/1.1 404");
  http.on("upgrade", () => {});
  const other = upgrade("/other");
  const own = upgrade(`/parties/router/${room}`);
  expect(String(await once(own, "data"))).toContain("HTTP/1.1 401");
  await turns();
  expect(other.read()).toBeNull();
});

test("GS9 a seat is good once: for its connection, also when that dropped, and for no other", async () => {
  const started = await startServer({ heartbeatIntervalMs: 5 });
  const ticket = await ticketFor(started, "ann");
  const first = await connect(started, ticket, { _pk: "a" });
  expect((await connect(started, ticket, { _pk: "b" })).refusal).toBe("ticket-used");
  first.socket.drop();
  await started.heard("-ann");
  expect((await connect(started, ticket, { _pk: "b" })).refusal).toBe("ticket-used");
  // The ticket has expired meanwhile, but its seat is kept.
  started.registry.now += 60_000;
  await started.registry.reported(({ asOf }) => asOf > 1_800_000_000_000);
  const second = await connect(started, ticket, { _pk: "a" });
  expect(second.refusal).toBeNull();
  second.socket.drop();
  // The grace is over: the room ends, and the registry hears that the seat is free.
  await started.heard(`end ${room}`);
  expect((await connect(started, ticket, { _pk: "a" })).refusal).toBe("ticket-expired");
});

/** A client that brings a session in place of a ticket. */
async function comeBack({ server }: Started, session: string, at = room) {
  const socket = new ServerSideSocket();
  const path = `/parties/router/${at}?protocol=1&_pk=c&session=${session}`;
  const result = await server.connect(path, socket);
  return { socket, refusal: result.ok ? null : result.code };
}

async function sessionOf(socket: ServerSideSocket): Promise<string> {
  const [welcome] = framesOf(await socket.received(1));
  return String(welcome?.["session"]);
}

test("GS9 a session brings its player back to the seat that is kept, and to no other", async () => {
  const started = await startServer();
  const first = await connect(started, await ticketFor(started, "ann"), { protocol: "1" });
  const session = await sessionOf(first.socket);
  first.socket.drop();
  await started.heard("-ann");
  const back = await comeBack(started, session);
  expect([back.refusal, await sessionOf(back.socket)]).toEqual([null, session]);
  await started.heard("+ann", 2);
  const over = await comeBack(started, session);
  expect(over.refusal).toBeNull();
  expect((await back.socket.closed()).code).toBe(4502);
  await started.registry.reported(({ rooms }) => rooms[0]?.players.join() === "ann");
  for (const refused of [
    await comeBack(started, "guess"),
    await comeBack(started, session, "game:2"),
  ]) {
    expect(refused.refusal).toBe("ticket-expired");
    expect((await refused.socket.closed()).code).toBe(4000);
  }
  expect(started.server.rooms.map(({ id }) => id)).toEqual([room]);
});

test("GS9 when the grace is over its session is good no more", async () => {
  const started = await startServer();
  const { socket } = await connect(started, await ticketFor(started, "ann"), { protocol: "1" });
  await connect(started, await ticketFor(started, "bob"));
  const session = await sessionOf(socket);
  socket.drop();
  await started.registry.reported(({ rooms }) => rooms[0]?.seats.length === 1);
  expect((await comeBack(started, session)).refusal).toBe("ticket-expired");
});

test("GS9 a seat for which the room has no place is refused, and its ticket is good later", async () => {
  const started = await startServer({ heartbeatIntervalMs: 5 });
  const { socket } = await connect(started, await ticketFor(started, "ann"));
  await connect(started, await ticketFor(started, "bob"));
  expect((await connect(started, await ticketFor(started, "cem"))).refusal).toBe("room-full");
  socket.drop();
  await started.registry.reported(({ rooms }) => rooms[0]?.players.join() === "bob");
  expect((await connect(started, await ticketFor(started, "cem"))).refusal).toBeNull();
});

test("GS9, SE5 who brings a ticket and the session of another seat sits where the ticket says", async () => {
  const started = await startServer();
  const { registry } = started;
  const first = await connect(started, await ticketFor(started, "ann"), { protocol: "1" });
  const session = await sessionOf(first.socket);
  const query = { protocol: "1", session };
  expect((await connect(started, await ticketFor(started, "bob"), query)).refusal).toBeNull();
  await registry.reported(({ rooms }) => rooms[0]?.players.join() === "ann,bob");
  expect((await comeBack(started, session)).refusal).toBeNull();
});

test("GS9 two connections that race with one ticket: one comes in", async () => {
  const started = await startServer();
  const ticket = await ticketFor(started, "ann");
  const both = await Promise.all([
    connect(started, ticket, { _pk: "a" }),
    connect(started, ticket, { _pk: "b" }),
  ]);
  expect(new Set(both.map(({ refusal }) => refusal))).toEqual(new Set([null, "ticket-used"]));
});

test("GS10 who has lost the lease admits nobody, and closes the rooms that are elsewhere by now", async () => {
  const started = await startServer({ heartbeatIntervalMs: 1 });
  const { registry } = started;
  const { socket } = await connect(started, await ticketFor(started, "ann"));
  registry.dispose = [room];
  expect(await socket.closed()).toEqual({ code: 4000, reason: "the room is elsewhere" });
  registry.dispose = [];
  registry.leaseMs = 20;
  const before = registry.reports.length;
  await registry.requests.until(() => registry.reports.length > before + 1, "heartbeats");
  registry.isSilent = true;
  const bob = await ticketFor(started, "bob");
  await expect.poll(async () => (await connect(started, bob)).refusal).toBe("unavailable");
});

test("GS10 a draining server takes no players, into its rooms or new ones", async () => {
  const started = await startServer({ drainMs: 60_000 });
  const { socket } = await connect(started, await ticketFor(started, "ann"));
  started.registry.status = "draining";
  const drained = started.server.drain();
  expect((await connect(started, await ticketFor(started, "bob"))).refusal).toBe("unavailable");
  const other = new ServerSideSocket();
  const ticket = await ticketFor(started, "eve", { room: "game:2" });
  const path = `/parties/router/game:2?ticket=${ticket}`;
  expect(await started.server.connect(path, other)).toMatchObject({ code: "unavailable" });
  expect((await other.closed()).code).toBe(4000);
  expect(socket.closings.items).toEqual([]);
  await started.server.stop(false);
  expect(await drained).toMatchObject({ ok: true });
  expect((await socket.closed()).code).toBe(4000);
});

test("GS11 a graceful stop drains, sends everybody back to the router, and unregisters", async () => {
  const started = await startServer();
  const { server, registry } = started;
  const clients = [
    await connect(started, await ticketFor(started, "ann")),
    await connect(started, await ticketFor(started, "bob")),
  ];
  await server.stop();
  for (const { socket } of clients) expect((await socket.closed()).code).toBe(4000);
  expect(registry.requests.items.slice(-3).map(({ method, path }) => `${method} ${path}`)).toEqual(
    expect.arrayContaining(["POST servers/server-1/drain", "DELETE servers/server-1"]),
  );
  expect(registry.requests.items.at(-1)).toMatchObject({ method: "DELETE" });
  expect(server.rooms).toEqual([]);
  expect((await connect(started, await ticketFor(started, "eve"))).refusal).toBe("unavailable");
});

test("GS11 a hard stop only stops", async () => {
  const { server, registry } = await startServer();
  const before = registry.requests.items.length;
  await server.stop(false);
  expect(registry.requests.items.slice(before)).toEqual([]);
});

test("GS12 impossible options are refused when the server is made", () => {
  const options = { registry: { url: "http://127.0.0.1:1" }, address: "127.0.0.1", secret };
  const rooms = { game: () => ({}) };
  expect(() => new GameServer({ ...options, rooms, secret: "short" })).toThrow("32 bytes");
  expect(() => new GameServer({ ...options, rooms: {} })).toThrow("at least one room type");
  const roomTypes = defineRooms({ other: {} });
  expect(() => new GameServer({ ...options, rooms, roomTypes })).toThrow('no type "game"');
});

test.each([
  [{ address: undefined }, "address must be a host name, or a URL"],
  [{ address: "wss://a.example/path" }, "address must be a host name, or a URL"],
  [{ registry: undefined }, "registry must be a RegistryClient, or { url, token }"],
  [{ rooms: undefined }, "rooms must be an object of room types and functions"],
  [{ rooms: { game: {} } }, "rooms must be an object of room types and functions"],
  [{ roomTypes: { game: {} } }, "roomTypes must be what defineRooms gives"],
  [{ capacity: -1 }, "capacity must be a whole number from 0 to 1000000"],
  [{ drainMs: "x" }, "drainMs must be a whole number"],
  [{ port: 70_000 }, "port must be a whole number from 1 to 65535"],
  [{ serverId: "a b" }, "(at serverId)"],
  [{ secret: undefined }, "secret must be the deployment's PARTYSHARD_SECRET"],
  [{ room: {} }, 'unknown option "room"; allowed: registry, secret, address'],
])("GS12 %j is refused when the server is made: %s", (wrong, sentence) => {
  const registry = { url: "http://127.0.0.1:1" };
  const good = { registry, address: "127.0.0.1", secret, rooms: { game: () => ({}) } };
  // As from code without types.
  expect(() => new GameServer({ ...good, ...wrong } as never)).toThrow(`GameServer: `);
  expect(() => new GameServer({ ...good, ...wrong } as never)).toThrow(sentence);
});
