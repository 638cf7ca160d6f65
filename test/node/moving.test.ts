/** Rooms on game servers that are killed or stopped, and `RoomSocket`: all as real processes. */
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { WebSocket } from "ws";
import { RoomSocket } from "../../client/room-socket.ts";
import { RegistryClient } from "../../src/host/node/index.ts";
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
  return `127.0.0.1:${deployment.port}`;
}

/** A game server that has registered; its rooms count what was said in them. */
async function startServer(id: string, snapshotIntervalMs: number): Promise<ExampleProcess> {
  const server = new ExampleProcess("distributed-rooms/server.ts", {
    ROUTER: `http://${router()}`,
    PARTYSHARD_ADMIN_TOKEN: token,
    PARTYSHARD_SECRET: secret,
    ROOM_TYPE: "outside",
    MAX_PLAYERS: "2",
    SEAT_TTL_MS: "1000",
    SERVER_ID: id,
    SNAPSHOT_INTERVAL_MS: String(snapshotIntervalMs),
  });
  await server.printed(/is ready at (.+)$/);
  return server;
}

/** A client in the room, and what it hears there. */
function join(room: string) {
  const quick = { minReconnectionDelay: 50, maxReconnectionDelay: 200, minUptime: 0 };
  const socket = new RoomSocket({ host: router(), room, id: "ann", WebSocket, ...quick });
  onTestFinished(() => socket.close());
  const heard = new Recording<string>((text) => text);
  socket.addEventListener("message", ({ data }) => heard.add(String(data)));
  const hears = (text: string): Promise<void> =>
    heard.until(() => heard.items.some((each) => each.includes(text)), text, 30_000);
  return { socket, hears };
}

/** What a room tells when somebody has come. */
function told(server: string, room: string, said: number): string {
  return JSON.stringify({ server, room, players: ["ann"], said });
}

test("GS20 a client of a server that was killed is in its room on another one, with the last snapshot's state", async () => {
  const room = "outside:killed";
  const client = new RegistryClient({ url: `http://${router()}`, token });
  const doomed = await startServer("doomed", 1_000);
  const { socket, hears } = join(room);
  await hears(told("doomed", room, 0));
  socket.send("one");
  socket.send("two");
  await hears("ann: two");
  const isStored = async (): Promise<boolean> => {
    const snapshot = await client.getSnapshot(room);
    return snapshot.ok && snapshot.value.state === 2;
  };
  await vi.waitUntil(isStored, { timeout: 30_000 });
  const other = await startServer("survivor", 1_000);
  await doomed.end("SIGKILL");
  await hears(told("survivor", room, 2));
  socket.send("three");
  await hears("ann: three");
  expect(await client.getRoom(room)).toMatchObject({ value: { serverId: "survivor" } });
  socket.close();
  await other.end("SIGTERM");
});

test("GS20 a client of a server that was stopped is in its room on another one, with the state as it was", async () => {
  const room = "outside:stopped";
  const client = new RegistryClient({ url: `http://${router()}`, token });
  const leaving = await startServer("leaving", 0);
  const { socket, hears } = join(room);
  await hears(told("leaving", room, 0));
  const other = await startServer("staying", 0);
  for (const text of ["one", "two", "three"]) socket.send(text);
  await hears("ann: three");
  const stopped = leaving.end("SIGTERM");
  await hears(told("staying", room, 3));
  await stopped;
  await leaving.printed(/^leaving has stopped$/);
  expect(await client.getRoom(room)).toMatchObject({ value: { serverId: "staying" } });
  socket.close();
  await other.end("SIGTERM");
});
