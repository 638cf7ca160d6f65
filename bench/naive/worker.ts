/**
 * The yardstick: the least code that shards a room. A random shard per socket, one awaited RPC per
 * shard per message, plain Durable Objects with hibernatable sockets. No log, no order across
 * publishers, no retry, no admission: it pays for no guarantee.
 *
 * It serves the URLs of the product and knows nothing of it. It is written as well as it can be
 * without changing the design, because a slow yardstick would flatter the product.
 */
import { DurableObject } from "cloudflare:workers";

interface Env {
  NaiveRoom: DurableObjectNamespace<NaiveRoom>;
  NaiveShard: DurableObjectNamespace<NaiveShard>;
}

const shardCount = 10;
const pathPattern = /^\/parties\/router\/([A-Za-z0-9._~:-]{1,128})$/;

/** Holds a random tenth of the room's sockets. */
export class NaiveShard extends DurableObject<Env> {
  override fetch(): Response {
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    return new Response(null, { status: 101, webSocket: client });
  }

  broadcast(message: string): void {
    for (const socket of this.ctx.getWebSockets()) {
      socket.send(message);
    }
  }
}

/** Takes the room's POSTs and calls every shard with each. */
export class NaiveRoom extends DurableObject<Env> {
  #shards: DurableObjectStub<NaiveShard>[] = [];

  override async fetch(request: Request): Promise<Response> {
    const message = await request.text();
    const shards = this.#shardsOf(roomOf(request.url) ?? "");
    await Promise.all(shards.map((shard) => shard.broadcast(message)));
    return Response.json({ delivered: shards.length });
  }

  #shardsOf(room: string): readonly DurableObjectStub<NaiveShard>[] {
    if (this.#shards.length === 0) {
      this.#shards = Array.from({ length: shardCount }, (_, index) =>
        this.env.NaiveShard.getByName(`${room}-${index + 1}`),
      );
    }
    return this.#shards;
  }
}

function roomOf(url: string): string | undefined {
  return pathPattern.exec(new URL(url).pathname)?.[1];
}

export default {
  fetch(request, env): Response | Promise<Response> {
    const room = roomOf(request.url);
    if (room === undefined) {
      return new Response("not found", { status: 404 });
    }
    if (request.headers.get("Upgrade")?.toLowerCase() === "websocket") {
      const shard = 1 + Math.floor(Math.random() * shardCount);
      return env.NaiveShard.getByName(`${room}-${shard}`).fetch(request);
    }
    if (request.method === "POST") {
      return env.NaiveRoom.getByName(room).fetch(request);
    }
    return new Response("method not allowed", { status: 405, headers: { Allow: "GET, POST" } });
  },
} satisfies ExportedHandler<Env>;
