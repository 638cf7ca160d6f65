/**
 * The product as in `src/worker.ts`, with a registry that counts the calls that reach it and enters
 * many rooms at once. Served by the benchmark alone, which asks below `/bench/`.
 */
import { DurableObject } from "cloudflare:workers";
import { Server, type Connection, type WSMessage } from "partyserver";
import {
  registry,
  routeRooms,
  router,
  shard,
  type Bindings,
} from "../../src/host/partyserver/index.ts";
import { defineRooms } from "../../src/index.ts";

const rooms = defineRooms(
  {
    wide: { shards: 10 },
    /** Has places left when ten thousand have connected. */
    vast: { shards: 10, capacity: 2_000 },
    match: { maxPlayers: 8, hostedBy: "shards" },
    game: { maxPlayers: 4 },
  },
  { openMatchmaking: true },
);

class ChatRoom extends Server {
  override onMessage(sender: Connection, message: WSMessage): void {
    this.broadcast(message, [sender.id]);
  }
}

/** The least that a new object with a row costs: what is measured of shards can be compared with it. */
export class Floor extends DurableObject {
  write(): void {
    void this.ctx.storage.put("row", true);
  }
}

type BenchBindings = Bindings & { readonly Floor: DurableObjectNamespace<Floor> };

export class Main extends shard(ChatRoom, rooms) {}
export class Router extends router(rooms) {}

export class Registry extends registry(rooms) {
  readonly #calls: Record<string, number> = {};

  override async partyshardCall(request: unknown): Promise<unknown> {
    const type = typeOf(request);
    if (type === "bench-calls") {
      return this.#calls;
    }
    if (type === "bench-fill") {
      return this.#fill(numberOf(request, "from"), numberOf(request, "count"));
    }
    this.#calls[type] = (this.#calls[type] ?? 0) + 1;
    return super.partyshardCall(request);
  }

  /** Creates the rooms as `POST rooms` would; they stay while they are empty. */
  async #fill(from: number, count: number): Promise<number> {
    const created = await Promise.all(
      Array.from({ length: count }, (_, index) => super.partyshardCall(creationOf(from + index))),
    );
    return created.filter(isSuccess).length;
  }
}

export default {
  fetch: (request, env) => {
    const { pathname, searchParams } = new URL(request.url);
    const stub = env.Registry.getByName("default");
    switch (pathname) {
      case "/bench/calls":
        return answer(stub.partyshardCall({ type: "bench-calls" }));
      case "/bench/fill": {
        const from = Number(searchParams.get("from"));
        const count = Number(searchParams.get("count"));
        return answer(stub.partyshardCall({ type: "bench-fill", from, count }));
      }
      case "/bench/object":
        return answer(env.Floor.getByName(searchParams.get("name") ?? "").write());
      default:
        return routeRooms(request, env);
    }
  },
} satisfies ExportedHandler<BenchBindings>;

async function answer(reply: Promise<unknown>): Promise<Response> {
  return Response.json((await reply) ?? null);
}

/** A tenth is ranked, a quarter locked, each on one of eight maps, each with a name of its own. */
function creationOf(number: number): object {
  return {
    type: "create",
    room: `match:${String(number).padStart(6, "0")}`,
    metadata: {
      mode: number % 10 === 0 ? "ranked" : "casual",
      map: `map-${number % 8}`,
      name: `room ${number}`,
    },
    maxPlayers: null,
    isLocked: number % 4 === 3,
    keepMs: 86_400_000,
    region: null,
  };
}

function typeOf(request: unknown): string {
  const hasType = typeof request === "object" && request !== null && "type" in request;
  return hasType ? String(request.type) : "none";
}

function numberOf(request: unknown, field: "from" | "count"): number {
  const value: unknown = Object.getOwnPropertyDescriptor(request, field)?.value;
  return typeof value === "number" ? value : 0;
}

function isSuccess(reply: unknown): boolean {
  return typeof reply === "object" && reply !== null && "ok" in reply && reply.ok === true;
}
