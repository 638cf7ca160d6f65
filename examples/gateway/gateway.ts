/**
 * A gateway: clients ask it for a room and get the address of the game server that has it. The mapping
 * from rooms to servers is the registry's, so that it is gone when all players have left.
 *
 *   POST /rooms               {"roomId","serverAddress"}: a new room, on a server with space
 *   GET  /rooms/ID            the same for a room that there is; 404 when all have left
 *   POST /rooms/ID?player=ann {"url"}: where this player connects
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { RegistryClient, type RegistryResult } from "../../src/host/node/index.ts";

const { ROUTER = "http://127.0.0.1:1999", PARTYSHARD_ADMIN_TOKEN = "" } = process.env;
const { ROOM_TYPE = "game", PORT = "0", KEEP_MS = "10000" } = process.env;
const registry = new RegistryClient({ url: ROUTER, token: PARTYSHARD_ADMIN_TOKEN });

async function createRoom(): Promise<RegistryResult<object>> {
  // How long the entry stays while nobody is in the room: so long the first player may take.
  const created = await registry.createRoom(ROOM_TYPE, { keepMs: Number(KEEP_MS) });
  if (!created.ok) return created;
  const { roomId, address } = created.value;
  return { ok: true, value: { roomId, serverAddress: address } };
}

async function findRoom(roomId: string): Promise<RegistryResult<object>> {
  const found = await registry.getRoom(roomId);
  return found.ok ? { ok: true, value: { roomId, serverAddress: found.value.address } } : found;
}

async function joinRoom(roomId: string, playerId: string): Promise<RegistryResult<object>> {
  const seat = await registry.reserve(ROOM_TYPE, { roomId, playerId });
  if (!seat.ok) return seat;
  const { redirect, ticket } = seat.value;
  const address = redirect ?? `${ROUTER.replace("http", "ws")}/parties/router/${roomId}`;
  return { ok: true, value: { url: `${address}?ticket=${ticket}` } };
}

const notFound = { ok: false, problem: { status: 404, title: "Not found" } } as const;

function answer({ method, url = "/" }: IncomingMessage) {
  const { pathname, searchParams } = new URL(url, "http://gateway");
  const [, first, roomId, ...rest] = pathname.split("/");
  const player = searchParams.get("player");
  if (first !== "rooms" || rest.length > 0) return notFound;
  if (method === "POST" && roomId === undefined) return createRoom();
  if (method === "GET" && roomId !== undefined) return findRoom(roomId);
  if (method === "POST" && roomId !== undefined && player !== null) return joinRoom(roomId, player);
  return notFound;
}

async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const result = await answer(request);
  const [status, body] = result.ok ? [200, result.value] : [result.problem.status, result.problem];
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

const http = createServer((request, response) => void respond(request, response));
http.listen(Number(PORT), "127.0.0.1", () => {
  const address = http.address();
  const port = typeof address === "object" ? address?.port : PORT;
  console.log(`the gateway is ready at http://127.0.0.1:${port}`);
});
