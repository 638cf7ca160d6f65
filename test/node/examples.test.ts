/** The examples as real processes, against a real `partykit dev`. */
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import { RegistryClient, type RegistryEvent } from "../../src/host/node/index.ts";
import { ExampleProcess } from "../support/example-process.ts";
import { startPartykitDev, type PartykitDev } from "../support/partykit-dev.ts";
import { Recording } from "../support/recording.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const storage = temporaryDirectory();
const token = "an-admin-token-for-tests";
const secret = "a-test-secret-of-thirty-two-bytes-or-more";
let deployment: PartykitDev | undefined;

beforeAll(async () => {
  deployment = await startPartykitDev({
    config: "test/support/apps/partykit/partykit.json",
    persist: storage.path,
    variables: { PARTYSHARD_ADMIN_TOKEN: token, PARTYSHARD_SECRET: secret },
  });
});

afterAll(async () => {
  await deployment?.stop();
  storage.remove();
});

function router(): string {
  if (deployment === undefined) throw new Error("the deployment has not started");
  return `http://127.0.0.1:${deployment.port}`;
}

function environment(more: Readonly<Record<string, string>> = {}): Record<string, string> {
  return {
    ROUTER: router(),
    PARTYSHARD_ADMIN_TOKEN: token,
    PARTYSHARD_SECRET: secret,
    ROOM_TYPE: "outside",
    MAX_PLAYERS: "2",
    SEAT_TTL_MS: "1000",
    ...more,
  };
}

type RunningServer = {
  readonly id: string;
  readonly process: ExampleProcess;
  readonly url: string;
};

/** A game server that has registered. */
async function startServer(id: string): Promise<RunningServer> {
  const process = new ExampleProcess("distributed-rooms/server.ts", environment({ SERVER_ID: id }));
  return { id, process, url: await process.printed(/is ready at (.+)$/) };
}

function player(name: string, server: string): ExampleProcess {
  return new ExampleProcess("distributed-rooms/player.ts", environment({ SERVER: server }), [name]);
}

/** A client of the registry, and its events from now on. */
async function watch(): Promise<{ client: RegistryClient; heard: Recording<RegistryEvent> }> {
  const client = new RegistryClient({ url: router(), token });
  const heard = new Recording<RegistryEvent>((event) => JSON.stringify(event));
  const events = client.events();
  onTestFinished(() => events.close());
  void (async () => {
    for await (const event of events) heard.add(event);
  })();
  expect(await events.subscribed).toBe(true);
  return { client, heard };
}

async function until(
  heard: Recording<RegistryEvent>,
  wanted: Partial<Record<string, unknown>>,
): Promise<void> {
  const isWanted = (event: Record<string, unknown>): boolean =>
    Object.entries(wanted).every(([name, value]) => event[name] === value);
  await heard.until(() => heard.items.some(isWanted), JSON.stringify(wanted), 30_000);
}

function required<Value>(
  result: { ok: true; value: Value } | { ok: false; problem: object },
): Value {
  if (!result.ok) throw new Error(JSON.stringify(result.problem));
  return result.value;
}

test("GS14 a player who asks the wrong server is sent to the other, and follows", async () => {
  const { client, heard } = await watch();
  const servers = [await startServer("east"), await startServer("west")];
  const room = required(await client.createRoom("outside", { keepMs: 10_000 }));
  const far = servers.find(({ id }) => id !== room.serverId);
  const ann = player("ann", far?.url ?? "");
  expect(await ann.printed(/elsewhere: (.+)$/)).toContain(room.address);
  await ann.printed(/^ann is in outside:/);
  await ann.printed(new RegExp(`"server":"${room.serverId}".*"players":\\["ann"\\]`));
  await ann.printed(/^ann: hello$/);
  const bob = player("bob", far?.url ?? "");
  await bob.printed(/"players":\["ann","bob"\]/);
  expect((await client.reserve("outside", { roomId: room.roomId, playerId: "eve" })).ok).toBe(
    false,
  );
  // A graceful stop tells its players to come back, and the registry that it has gone.
  const near = servers.find(({ id }) => id === room.serverId);
  await near?.process.end("SIGTERM");
  await ann.printed(/^closed with 4000$/);
  await until(heard, { type: "room:migrated", roomId: room.roomId, from: room.serverId });
  await until(heard, { type: "server:offline", serverId: room.serverId });
  await far?.process.end("SIGTERM");
});

test("GS14 a server that was killed is offline within its lease, its rooms are on another, and nobody is sent there", async () => {
  const { client, heard } = await watch();
  const doomed = await startServer("doomed");
  const room = required(await client.createRoom("outside"));
  expect(room.serverId).toBe("doomed");
  const ann = player("ann", doomed.url);
  await ann.printed(/^ann is in /);
  const other = await startServer("survivor");
  await doomed.process.end("SIGKILL");
  await until(heard, { type: "server:offline", serverId: "doomed", reason: "lease" });
  await until(heard, { type: "room:migrated", roomId: room.roomId, to: "survivor" });
  expect(required(await client.getRoom(room.roomId)).serverId).toBe("survivor");
  const seats = await Promise.all(
    ["bob", "eve", "joe"].map((playerId) => client.joinOrCreate("outside", playerId)),
  );
  expect(seats.map((seat) => seat.ok && seat.value.serverId)).toEqual(
    Array.from(seats, () => "survivor"),
  );
  await other.process.end("SIGTERM");
});

function match(name: string): ExampleProcess {
  return new ExampleProcess("matchmaker/main.ts", environment({ ROOM_TYPE: "game" }), [name]);
}

test("GS14 the matchmaker finds rooms and reserves a seat by plain HTTP", async () => {
  const ann = match("ann");
  const room = await ann.printed(/^ann is in (.+)$/);
  const { client, heard } = await watch();
  const bob = match("bob");
  expect(await bob.printed(/^bob is in (.+)$/)).toBe(room);
  await until(heard, { type: "player:joined", roomId: room, playerId: "bob" });
  const eve = match("eve");
  expect(await eve.printed(/^(.+) has 2 of 4 players$/)).toBe(room);
  await eve.printed(/^eve is in /);
  expect(required(await client.getRoom(room)).roomType).toBe("game");
});

test("GS14 the gateway gives rooms an id and an address, and forgets them when all have left", async () => {
  const { heard } = await watch();
  const server = await startServer("host");
  const gateway = new ExampleProcess("gateway/gateway.ts", environment({ KEEP_MS: "3000" }));
  const address = await gateway.printed(/is ready at (.+)$/);
  const ask = async (method: string, path: string) => {
    const response = await fetch(`${address}/rooms${path}`, { method });
    return { status: response.status, body: (await response.json()) as Record<string, string> };
  };
  const [one, two] = [await ask("POST", ""), await ask("POST", "")];
  const { roomId = "", serverAddress } = one.body;
  expect(roomId).not.toBe(two.body["roomId"]);
  expect(serverAddress).toBe(`${server.url.replace("http", "ws")}/parties/router/${roomId}`);
  expect(await ask("GET", `/${roomId}`)).toEqual({ status: 200, body: one.body });
  const { body } = await ask("POST", `/${roomId}?player=ann`);
  const socket = new WebSocket(body["url"] ?? "");
  onTestFinished(() => socket.terminate());
  const opened = new Recording<string>((text) => text);
  socket.addEventListener("message", ({ data }) => {
    if (typeof data === "string") opened.add(data);
  });
  await opened.until(() => opened.items.length > 0, "what the room says");
  expect(JSON.parse(opened.items[0] ?? "")).toMatchObject({ room: roomId, players: ["ann"] });
  socket.close();
  await until(heard, { type: "room:disposed", roomId });
  expect((await ask("GET", `/${roomId}`)).status).toBe(404);
  await server.process.end("SIGTERM");
});
