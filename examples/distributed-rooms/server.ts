/**
 * A game server: a process that hosts rooms for the deployment at ROUTER (default
 * http://127.0.0.1:1999), which prints its token and secret when it starts. Start as many as you like,
 * each with a SERVER_ID and a PORT of its own.
 *
 *   POST /join?player=ann   {"room"} when the player's room is on this server, else {"redirect"}
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { defineRooms } from "../../src/index.ts";
import { GameServer, type GameRoom, type RoomHandlers } from "../../src/host/node/index.ts";

const { env } = process;
const roomType = env["ROOM_TYPE"] ?? "game";
const serverId = env["SERVER_ID"] ?? `server-${process.pid}`;
/** As the deployment's `src/rooms.ts` says: it gives out the seats. */
const maxPlayers = Number(env["MAX_PLAYERS"] ?? 4);
const seatTtlMs = Number(env["SEAT_TTL_MS"] ?? 15_000);
const snapshotIntervalMs = Number(env["SNAPSHOT_INTERVAL_MS"] ?? 30_000);

/**
 * A room tells who is in it, and says on what is said. How often something was said goes with it to
 * another server.
 */
function gameRoom(room: GameRoom): RoomHandlers {
  let said = 0;
  const announce = (): void => {
    const players = room.players.map(({ id }) => id);
    room.broadcast(JSON.stringify({ server: serverId, room: room.id, players, said }));
  };
  return {
    onConnect: announce,
    onClose: announce,
    onMessage: async (player, text) => {
      said += 1;
      await room.publish(`${player.id}: ${String(text)}`);
    },
    getSnapshot: () => said,
    onRestore: (state) => {
      if (typeof state === "number") said = state;
    },
  };
}

const http = createServer((request, response) => void answer(request, response));
await new Promise<void>((listening) => {
  http.listen(Number(env["PORT"] ?? 0), "127.0.0.1", listening);
});
const address = http.address();
if (address === null || typeof address === "string") throw new Error("not listening");

const server = new GameServer({
  registry: {
    url: env["ROUTER"] ?? "http://127.0.0.1:1999",
    token: env["PARTYSHARD_ADMIN_TOKEN"] ?? "",
  },
  secret: env["PARTYSHARD_SECRET"] ?? "",
  serverId,
  address: "127.0.0.1",
  port: address.port,
  rooms: { [roomType]: gameRoom },
  roomTypes: defineRooms({ [roomType]: { maxPlayers, seatTtlMs, snapshotIntervalMs } }),
  drainMs: 500,
  emptyRoomMs: 500,
  onProblem: ({ detail }) => console.error(`${serverId}: ${detail}`),
});
server.attach(http);
const started = await server.start();
if (!started.ok) {
  console.error(`${serverId} cannot start: ${started.problem.detail}`);
  process.exit(1);
}
console.log(`${serverId} is ready at http://127.0.0.1:${address.port}`);

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    void server.stop().then(() => {
      console.log(`${serverId} has stopped`);
      process.exit(0);
    });
  });
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://server");
  const player = searchParams.get("player");
  if (request.method !== "POST" || pathname !== "/join" || player === null) {
    response.writeHead(404).end();
    return;
  }
  const joined = await server.joinOrCreate(roomType, player);
  if (!joined.ok) {
    response.writeHead(joined.problem.status).end(JSON.stringify(joined.problem));
    return;
  }
  const { roomId: room, ticket } = joined.value.reservation;
  const place = "redirect" in joined.value ? { redirect: joined.value.redirect } : {};
  response.end(JSON.stringify({ room, ticket, ...place }));
}
