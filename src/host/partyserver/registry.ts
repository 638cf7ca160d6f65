/** The registry party on Durable Objects. */
import { DurableObject } from "cloudflare:workers";
import { hub } from "../../core/partitions.ts";
import type { Rooms } from "../../core/rooms.ts";
import { parseRequest } from "../../protocol/calls.ts";
import type { EventSocket, KeptSubscription } from "../../registry/event-subscribers.ts";
import { Registry } from "../../registry/registry.ts";
import { answerWithStream, patternOf } from "../event-stream.ts";
import { eventsPath, WakeTimer } from "../platform.ts";
import { createObjectPorts, openSocket, type Bindings, type Callable } from "./ports.ts";

export type RegistryClass = new (
  ctx: DurableObjectState,
  env: Bindings,
) => DurableObject<Bindings> & Callable & { alarm(): Promise<void> };

/** Answers `ping` without waking the object. */
const autoPong = new WebSocketRequestResponsePair("ping", "pong");

/** The Durable Object class behind the binding `Registry`: the directory and the load of rooms. */
export function registry(rooms: Rooms): RegistryClass {
  return class RegistryObject extends DurableObject<Bindings> implements Callable {
    #registry: Registry | undefined;
    readonly #subscribers = new Map<WebSocket, EventSocket>();

    constructor(ctx: DurableObjectState, env: Bindings) {
      super(ctx, env);
      ctx.setWebSocketAutoResponse(autoPong);
      void ctx.blockConcurrencyWhile(async () => {
        const timer = new WakeTimer(() => this.#registry?.wake());
        const ports = createObjectPorts(ctx, env, rooms, timer);
        this.#registry = await Registry.start(rooms, ports, ctx.id.name ?? hub);
        for (const webSocket of ctx.getWebSockets()) {
          if (webSocket.readyState === 1) this.#role.events.restore(this.#socketOf(webSocket));
        }
      });
    }

    async partyshardCall(request: unknown): Promise<unknown> {
      const parsed = parseRequest("registry", request);
      return parsed.ok ? this.#role.handle(parsed.value) : parsed;
    }

    /** Only the gate can send requests here. */
    override async fetch(request: Request): Promise<Response> {
      if (!new URL(request.url).pathname.endsWith(`/${eventsPath}`)) {
        return new Response("Not found", { status: 404 });
      }
      if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
        return answerWithStream(this.#role.events, request.url, new IdentityTransformStream());
      }
      const { 0: theirs, 1: ours } = new WebSocketPair();
      this.ctx.acceptWebSocket(ours);
      this.#role.events.subscribe(this.#socketOf(ours), patternOf(request.url));
      return new Response(null, { status: 101, webSocket: theirs });
    }

    /** What was due while the object was not in memory. */
    override async alarm(): Promise<void> {
      this.#registry?.wake();
    }

    override async webSocketMessage(socket: WebSocket, data: string | ArrayBuffer): Promise<void> {
      const frame = typeof data === "string" ? data : null;
      this.#role.events.receive(this.#socketOf(socket), frame);
    }

    override async webSocketClose(webSocket: WebSocket): Promise<void> {
      this.#leave(webSocket);
    }

    override async webSocketError(webSocket: WebSocket): Promise<void> {
      this.#leave(webSocket);
    }

    get #role(): Registry {
      if (this.#registry === undefined) throw new Error("the registry has not started");
      return this.#registry;
    }

    #socketOf(webSocket: WebSocket): EventSocket {
      const known = this.#subscribers.get(webSocket);
      if (known !== undefined) return known;
      const socket = eventSocket(webSocket);
      this.#subscribers.set(webSocket, socket);
      return socket;
    }

    #leave(webSocket: WebSocket): void {
      this.#role.events.leave(this.#socketOf(webSocket));
      this.#subscribers.delete(webSocket);
      openSocket(webSocket).close(1000, "");
    }
  };
}

function eventSocket(webSocket: WebSocket): EventSocket {
  return {
    ...openSocket(webSocket),
    get kept() {
      return webSocket.deserializeAttachment() as KeptSubscription | null;
    },
    keep: (subscription) => webSocket.serializeAttachment(subscription),
  };
}
