/**
 * Matchmaking by plain HTTP, with no library: `GET rooms` shows what there is, `POST reserve` gives a
 * seat, and any WebSocket connects with its ticket.
 *
 *   PARTYSHARD_ADMIN_TOKEN=… npx node examples/matchmaker/main.ts ann
 */
import { WebSocket } from "ws";

const { ROUTER = "http://127.0.0.1:1999", PARTYSHARD_ADMIN_TOKEN = "" } = process.env;
const { ROOM_TYPE = "game" } = process.env;
const player = process.argv[2] ?? "ann";
const registry = `${ROUTER}/parties/registry/default`;
// Clients need no token where the deployment sets `openMatchmaking`.
const headers = { authorization: `Bearer ${PARTYSHARD_ADMIN_TOKEN}` };

type Room = { readonly roomId: string; readonly playerCount: number; readonly maxPlayers?: number };
type Seat = {
  readonly roomId: string;
  readonly ticket: string;
  readonly connect: { readonly party: string; readonly room: string };
  readonly redirect?: string;
};

const listed = await fetch(`${registry}/rooms?type=${ROOM_TYPE}&hasSpace=true`, { headers });
const { rooms } = (await listed.json()) as { rooms: Room[] };
for (const { roomId, playerCount, maxPlayers } of rooms) {
  console.log(`${roomId} has ${playerCount} of ${maxPlayers ?? "any number of"} players`);
}

const reserved = await fetch(`${registry}/reserve`, {
  method: "POST",
  headers: { ...headers, "content-type": "application/json" },
  body: JSON.stringify({ roomType: ROOM_TYPE, playerId: player }),
});
if (!reserved.ok) {
  console.error(await reserved.text());
  process.exit(1);
}
const { roomId, ticket, connect, redirect } = (await reserved.json()) as Seat;
console.log(`${player} has a seat in ${roomId}`);

const address =
  redirect ?? `${ROUTER.replace("http", "ws")}/parties/${connect.party}/${connect.room}`;
const socket = new WebSocket(`${address}?ticket=${ticket}&_pk=${player}`);
socket.on("open", () => console.log(`${player} is in ${roomId}`));
socket.addEventListener("message", ({ data }) => console.log(data));
socket.on("unexpected-response", (_, response) => {
  console.error(`refused with ${response.statusCode}`);
  process.exit(1);
});
socket.on("error", ({ message }) => console.error(message));
