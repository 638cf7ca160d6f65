/** Real WebSockets of a game server: what comes in, and how the rest is refused. */
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import { GameServer } from "../../src/host/node/index.ts";
import { signTicket } from "../../src/protocol/ticket.ts";
import { FakeRegistry } from "../support/fake-registry.ts";

const secret = "a secret of at least thirty-two bytes";

/** A game server on a free port, and the address of its rooms. */
async function startServer() {
  const registry = new FakeRegistry();
  const server = new GameServer({
    registry: registry.client,
    secret,
    serverId: "s",
    address: "127.0.0.1",
    drainMs: 5,
    rooms: { game: (room) => ({ onMessage: (_, data) => room.broadcast(data) }) },
  });
  const http = createServer();
  server.attach(http);
  onTestFinished(async () => {
    await server.stop(false);
    http.close();
  });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  expect(await server.start()).toMatchObject({ ok: true });
  const at = http.address();
  if (at === null || typeof at === "string") throw new Error("not listening");
  const address = `ws://127.0.0.1:${at.port}/parties/router/game:1`;
  const { instance } = registry;
  const ticketFor = (player: string): Promise<string> => {
    const place = { room: "game:1", server: "s", instance };
    return signTicket(secret, { ...place, seat: player, player, expiresAt: 1_800_000_010_000 });
  };
  return { server, address, ticketFor };
}

async function refusalOf(address: string): Promise<[number | undefined, unknown]> {
  const socket = new WebSocket(address);
  const response = await new Promise<IncomingMessage>((resolve) => {
    socket.on("unexpected-response", (_, answer) => resolve(answer));
  });
  const parts: string[] = [];
  for await (const part of response.setEncoding("utf8")) parts.push(String(part));
  return [response.statusCode, JSON.parse(parts.join(""))];
}

test("GS9 an upgrade that is refused is answered with its problem", async () => {
  const { address } = await startServer();
  expect(await refusalOf(address)).toEqual([
    401,
    expect.objectContaining({ type: "urn:partyshard:problem:ticket-invalid" }),
  ]);
  const [status] = await refusalOf(address.replace("/parties/router", ""));
  expect(status).toBe(404);
});

test("GS8, GS11 a socket of the ws package comes in, hears the room, and is sent away by a stop", async () => {
  const { server, address, ticketFor } = await startServer();
  const socket = new WebSocket(`${address}?ticket=${await ticketFor("ann")}`);
  await once(socket, "open");
  socket.send("hello");
  const [data] = (await once(socket, "message")) as [Buffer];
  expect(data.toString()).toBe("hello");
  const closed = once(socket, "close");
  await server.stop();
  expect((await closed)[0]).toBe(4000);
  const [status] = await refusalOf(`${address}?ticket=${await ticketFor("bob")}`);
  expect(status).toBe(503);
});
