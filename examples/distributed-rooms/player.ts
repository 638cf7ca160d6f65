/**
 * A player: asks the game server at SERVER for a room, connects to the deployment at ROUTER, and follows
 * it to whichever server has the room. Prints what comes.
 *
 *   SERVER=http://127.0.0.1:3001 npx node examples/distributed-rooms/player.ts ann
 */
import { RoomSocket } from "../../client/room-socket.ts";

const { SERVER = "http://127.0.0.1:3001", ROUTER = "http://127.0.0.1:1999" } = process.env;
const player = process.argv[2] ?? "ann";

type Joined = { readonly room: string; readonly ticket: string; readonly redirect?: string };

const response = await fetch(`${SERVER}/join?player=${encodeURIComponent(player)}`, {
  method: "POST",
});
if (!response.ok) {
  console.error(await response.text());
  process.exit(1);
}
const { room, ticket, redirect } = (await response.json()) as Joined;
// The deployment has it on a shard when it was there before its first game server.
const place = redirect === room ? "on a shard" : `elsewhere: ${redirect}`;
console.log(`${room} is ${redirect === undefined ? "there" : place}`);

const socket = new RoomSocket({ host: new URL(ROUTER).host, room, query: { ticket } });
socket.addEventListener("open", () => {
  console.log(`${player} is in ${room}`);
  socket.send("hello");
});
socket.addEventListener("message", ({ data }) => console.log(String(data)));
socket.addEventListener("close", ({ code }) => console.log(`closed with ${code}`));
