/**
 * The product as in `src/worker.ts`, with the room types that some workloads need: clients that may
 * publish over their sockets, one shard. Served by the benchmark alone.
 */
import { Server, type Connection, type WSMessage } from "partyserver";
import {
  registry,
  routeRooms,
  router,
  shard,
  type Bindings,
} from "../../src/host/partyserver/index.ts";
import { defineRooms } from "../../src/index.ts";

const rooms = defineRooms({
  wide: { shards: 10, publishOverSocket: true },
  /** A thousand sockets on one shard. */
  narrow: {},
});

class ChatRoom extends Server {
  override onMessage(sender: Connection, message: WSMessage): void {
    this.broadcast(message, [sender.id]);
  }
}

export class Main extends shard(ChatRoom, rooms) {}
export class Router extends router(rooms) {}
export class Registry extends registry(rooms) {}

export default {
  fetch: (request, env) => routeRooms(request, env),
} satisfies ExportedHandler<Bindings>;
