/** The three parties as Durable Objects, for wrangler. */
import { Server, type Connection, type WSMessage } from "partyserver";
import { registry, routeRooms, router, shard, type Bindings } from "./host/partyserver/index.ts";
import { rooms } from "./rooms.ts";

/** An ordinary partyserver class. A POST to the router reaches all clients without any code here. */
class ChatRoom extends Server<Bindings> {
  /** What a client sends reaches the other clients of its shard, and no other shard. */
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
