/**
 * A room class as a shard, on partyserver: admission before the socket is accepted, links beside the
 * class's own connections, messages of the room through its hooks.
 */
import { Server, type Connection, type ConnectionContext, type WSMessage } from "partyserver";
import type { RoomType, Rooms } from "../../core/rooms.ts";
import { closeCodes } from "../../protocol/close-codes.ts";
import { parseRequest } from "../../protocol/calls.ts";
import { isShardId, roomOfShard, type ShardId } from "../../protocol/names.ts";
import type { Position } from "../../protocol/link.ts";
import { Shard, type IncomingLink } from "../../shard/shard.ts";
import type { BroadcastHook } from "../../shard/fan-out.ts";
import { broadcastRequest, registryName, WakeTimer } from "../platform.ts";
import { createObjectPorts, linkHeader, openSocket, type Bindings } from "./ports.ts";

type RoomClass = typeof Server<Bindings & Cloudflare.Env>;

/** Header of a shard's refusal, which the gate reads and no client sees. */
export const refusedHeader = "x-partyshard-refused";
/** Tag of links; clients cannot have it, since connection ids hold no `~`. */
const linkTag = "~link";

/** What rests with a link's socket while the object sleeps. */
type LinkAttachment = { readonly partyshardLink: Position | null };

/**
 * Makes a partyserver class a shard of a room. The class stays as it is; see `RoomHooks` for what it
 * may add. Shards hibernate unless the class sets `static options = { hibernate: false }`.
 */
export function shard<Room extends RoomClass>(Room: Room, rooms: Rooms): Room {
  const Base: RoomClass = Room;

  class Main extends Base {
    static override options = { hibernate: hibernates(Room) };

    readonly #timer = new WakeTimer(() => this.#shard?.wake());
    readonly #links = new Map<WebSocket, IncomingLink>();
    readonly #admitted = new WeakSet<Request>();
    #shard: Shard | undefined;

    constructor(ctx: DurableObjectState, env: Bindings & Cloudflare.Env) {
      super(ctx, env);
      void ctx.blockConcurrencyWhile(async () => {
        const [id, type] = identify(ctx, rooms);
        const clients = new Set(ctx.getWebSockets().filter((socket) => socket.readyState === 1));
        for (const socket of ctx.getWebSockets(linkTag)) {
          this.#links.set(socket, incomingLink(socket));
          clients.delete(socket);
        }
        const ports = {
          ...createObjectPorts(ctx, env, this.#timer),
          registry: registryName,
          onHookError: (error: unknown) => this.onException(error),
          ...this.#broadcastHook(),
        };
        this.#shard = await Shard.start(id, type, ports, clients, this.#links.values());
      });
    }

    async partyshardCall(request: unknown): Promise<unknown> {
      const parsed = parseRequest("shard", request);
      return parsed.ok ? this.#role.handle(parsed.value) : parsed;
    }

    override async fetch(request: Request): Promise<Response> {
      if (request.headers.get("Upgrade")?.toLowerCase() !== "websocket")
        return super.fetch(request);
      if (request.headers.has(linkHeader)) return this.#acceptLink();
      // Places are held only where an upgrade cannot be refused, so the id is not needed.
      const admission = await this.#role.admit("");
      if (!admission.ok) return refuse(admission.code);
      this.#admitted.add(request);
      const response = await super.fetch(request);
      if (!this.#admitted.delete(request)) return response;
      // The class failed before its socket was accepted.
      this.#role.release();
      return refuse("unavailable");
    }

    override async onConnect(connection: Connection, context: ConnectionContext): Promise<void> {
      if (this.#admitted.delete(context.request)) this.#role.welcome(connection);
      try {
        await super.onConnect(connection, context);
      } catch (error) {
        this.#role.leave(connection);
        connection.close(closeCodes.roomFailed, "the room failed to take the connection in");
        // Thrown on, it would have the framework answer with a socket that closes with 1011.
        await this.onException(error);
      }
    }

    override async webSocketMessage(socket: WebSocket, message: WSMessage): Promise<void> {
      const link = this.#links.get(socket);
      if (link === undefined) return super.webSocketMessage(socket, message);
      await this.__unsafe_ensureInitialized();
      await this.#role.handleLinkMessage(link, typeof message === "string" ? message : "");
    }

    override async webSocketClose(
      socket: WebSocket,
      code: number,
      reason: string,
      wasClean: boolean,
    ): Promise<void> {
      if (this.#endLink(socket)) return;
      this.#role.leave(socket);
      await super.webSocketClose(socket, code, reason, wasClean);
    }

    override async webSocketError(socket: WebSocket, error: unknown): Promise<void> {
      if (this.#endLink(socket)) return;
      this.#role.leave(socket);
      await super.webSocketError(socket, error);
    }

    // Without hibernation the framework calls these, and not the two above.
    override onClose(connection: Connection, code: number, reason: string, wasClean: boolean) {
      this.#role.leave(connection);
      return super.onClose(connection, code, reason, wasClean);
    }

    override onError(connection: Connection, error: unknown) {
      this.#role.leave(connection);
      return super.onError(connection, error);
    }

    get #role(): Shard {
      if (this.#shard === undefined) throw new Error("the shard has not started");
      return this.#shard;
    }

    async #acceptLink(): Promise<Response> {
      await this.__unsafe_ensureInitialized();
      const { 0: theirs, 1: ours } = new WebSocketPair();
      this.ctx.acceptWebSocket(ours, [linkTag]);
      ours.serializeAttachment({ partyshardLink: null } satisfies LinkAttachment);
      const link = incomingLink(ours);
      this.#links.set(ours, link);
      this.#role.handleLinkOpen(link);
      return new Response(null, { status: 101, webSocket: theirs });
    }

    /** Whether the socket was a link. One that closed while the object slept may be new to it. */
    #endLink(socket: WebSocket): boolean {
      if (!this.#links.has(socket) && !isLinkAttachment(socket.deserializeAttachment()))
        return false;
      this.#role.handleLinkClose(this.#links.get(socket) ?? incomingLink(socket));
      this.#links.delete(socket);
      return true;
    }

    #broadcastHook(): { onBroadcast?: BroadcastHook } {
      if ("onBroadcast" in this && typeof this.onBroadcast === "function") {
        const hook = this.onBroadcast as BroadcastHook;
        return { onBroadcast: (message) => hook.call(this, message) };
      }
      if (Base.prototype.onRequest === Server.prototype.onRequest) return {};
      const url = `https://partyshard.internal/parties/main/${this.name}`;
      return {
        onBroadcast: async ({ data }) => {
          await this.onRequest(broadcastRequest(url, data));
          return null;
        },
      };
    }
  }

  return Main as unknown as Room;
}

/** An answer to the gate, which tries another shard or tells the client. */
function refuse(code: "full" | "unavailable"): Response {
  return new Response(null, { status: 503, headers: { [refusedHeader]: code } });
}

/** The class's own choice, or hibernation where neither it nor a class between has made one. */
function hibernates(Room: RoomClass): boolean {
  return Room.options === Server.options || Room.options.hibernate !== false;
}

function identify(ctx: DurableObjectState, rooms: Rooms): [ShardId, RoomType] {
  const { name } = ctx.id;
  if (name === undefined || !isShardId(name)) throw new Error(`"${name}" is not a shard id`);
  const type = rooms.typeOf(roomOfShard(name));
  if (type === undefined) throw new Error(`no room type for "${name}"`);
  return [name, type];
}

/** Tags would tell too, but not of a socket that closed while the object slept (workerd, 2026-09). */
function isLinkAttachment(attachment: unknown): attachment is LinkAttachment {
  return typeof attachment === "object" && attachment !== null && "partyshardLink" in attachment;
}

function incomingLink(socket: WebSocket): IncomingLink {
  const attachment: unknown = socket.deserializeAttachment();
  let position = isLinkAttachment(attachment) ? attachment.partyshardLink : null;
  return {
    ...openSocket(socket),
    get position() {
      return position;
    },
    keep: (to) => {
      position = to;
      socket.serializeAttachment({ partyshardLink: to } satisfies LinkAttachment);
    },
  };
}
