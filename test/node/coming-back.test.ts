/** `RoomSocket` and a room on a game server: led there without a ticket, and back when its place is gone. */
import { once } from "node:events";
import { createServer } from "node:http";
import { expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import { RoomSocket } from "../../client/room-socket.ts";
import { GameServer } from "../../src/host/node/index.ts";
import { defineRooms } from "../../src/core/rooms.ts";
import { OutsideDeployment } from "../support/outside-deployment.ts";
import { Recording } from "../support/recording.ts";

const deployment = new OutsideDeployment();
const types = defineRooms({ outside: { maxPlayers: 2, seatTtlMs: 1_000 } });
/** A game server that has registered, and what happens in its rooms. */
async function startServer() {
  const happened = new Recording<string>((text) => text);
  const heard = (text: string, times = 1): Promise<void> =>
    happened.until(
      () => happened.items.filter((each) => each === text).length >= times,
      `"${text}" ${times} times`,
      30_000,
    );
  const http = createServer();
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const at = http.address();
  if (at === null || typeof at === "string") throw new Error("not listening");
  const server = new GameServer({
    registry: deployment.client,
    secret: deployment.secret,
    address: "127.0.0.1",
    port: at.port,
    drainMs: 1,
    emptyRoomMs: 60_000,
    roomTypes: types,
    rooms: {
      outside: (room) => ({
        onConnect: ({ id }) => {
          happened.add(`+${id}`);
          void room.publish(`${id} is here`);
        },
        onClose: ({ id }) => happened.add(`-${id}`),
      }),
    },
  });
  server.attach(http);
  onTestFinished(async () => {
    await server.stop();
    http.close();
  });
  expect(await server.start()).toMatchObject({ ok: true });
  return { server, heard };
}

function join(room: string, id: string) {
  const quick = { minReconnectionDelay: 1, maxReconnectionDelay: 1, minUptime: 0 };
  const socket = new RoomSocket({ host: deployment.host, room, id, WebSocket, ...quick });
  const happened = new Recording<string>((text) => text);
  socket.addEventListener("open", () => happened.add("open"));
  socket.addEventListener("close", () => happened.add("close"));
  socket.addEventListener("message", ({ data }) => happened.add(String(data)));
  onTestFinished(() => socket.close());
  const times = (text: string): number => happened.items.filter((each) => each === text).length;
  const heard = (text: string, count = 1): Promise<void> =>
    happened.until(() => times(text) >= count, `"${text}" ${count} times`, 30_000);
  return { socket, heard, times };
}

test("RA13, CL8, GS9 a client without a ticket is led to the room's server and let in", async () => {
  const { server, heard } = await startServer();
  const ann = join("outside:a", "ann");
  await ann.heard("ann is here");
  await heard("+ann");
  const bob = join("outside:a", "bob");
  await bob.heard("bob is here");
  // A lost connection comes back to the seat that is kept, and not through the router.
  const [room] = server.rooms;
  room?.players.find(({ id }) => id === "ann")?.close(4000, "lost");
  await heard("+ann", 2);
  await ann.heard("open", 2);
  expect(ann.times("ann is here")).toBe(2);
  expect(room?.players.map(({ id }) => id).toSorted()).toEqual(["ann", "bob"]);
});

test("RA17, CL8, GS9 when its seat is gone a client comes back through the router, and has another", async () => {
  const { heard } = await startServer();
  const left = await deployment.listen("player:*");
  const ann = join("outside:b", "ann");
  await ann.heard("ann is here");
  ann.socket.close();
  await heard("-ann");
  const isFree = (): boolean =>
    left.items.some((event) => event.type === "player:left" && event.roomId === "outside:b");
  await left.until(isFree, "that ann's seat is free", 30_000);
  const closes = ann.times("close");
  // Its address and its session are those of the server, which has forgotten it.
  ann.socket.reconnect();
  await heard("+ann", 2);
  await ann.heard("open", 2);
  // Three attempts at the server, and the redirect of the router.
  expect(ann.times("close") - closes).toBe(4);
  expect(ann.socket.status).toBe("open");
});
