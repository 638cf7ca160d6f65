/**
 * A room class as a shard, on partyserver: admission before the socket is accepted, links beside the
 * class's own connections, messages of the room through its hooks.
 */
import { Server, type Connection, type ConnectionContext, type WSMessage } from "partyserver";
import type { RoomType, Rooms } from "../../core/rooms.ts";
import { closeCodes } from "../../protocol/close-codes.ts";
import type { ClientRequest } from "../../protocol/client-request.ts";
import { parseRequest } from "../../protocol/calls.ts";
import { isShardId, roomOfShard, type ShardId } from "../../protocol/names.ts";
import type { Position } from "../../protocol/link.ts";
import type { IncomingLink } from "../../shard/intake.ts";
import { failure } from "../../protocol/result.ts";
import { plainRequest, type ClientSocket } from "../../shard/clients.ts";
import type { Entry, Refused } from "../../shard/admission.ts";
import type { NotServing } from "../../shard/service.ts";
import { RoomPublisher } from "../../shard/room-publisher.ts";
import { Shard } from "../../shard/shard.ts";
import { connectionOf, seatClaimOf, seatHeader, WakeTimer } from "../platform.ts";
import { setHandle } from "../room-handle.ts";
import { broadcastHookOf, ClientEnds, clientRequestOf, stateHooksOf } from "../room-class.ts";
import { createObjectPorts, linkHeader, openSocket, type Bindings } from "./ports.ts";

/** Answers `ping` without waking the shard. */
const autoPong = new WebSocketRequestResponsePair("ping", "pong");

type Admitted = { readonly client: ClientRequest; readonly entry: Entry };

type RoomClass = typeof Server<Bindings & Cloudflare.Env>;

/** Header of a shard's refusal, which the gate reads and no client sees. */
export const refusedHeader = "x-partyshard-refused";
/** Tag of sockets that asked for more than payloads; the gate lets no client have a `~` in a tag. */
const requestTag = "~request";
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
    readonly #ends = new ClientEnds<WebSocket>(() => this.#shard);
    readonly #admitted = new WeakMap<Request, Admitted>();
    #shard: Shard | undefined;
    /** The class's start was begun and has not come to a good end. */
    #isStarted = false;

    constructor(ctx: DurableObjectState, env: Bindings & Cloudflare.Env) {
      super(ctx, env);
      void ctx.blockConcurrencyWhile(async () => {
        const [id, type] = identify(ctx, rooms);
        for (const socket of ctx.getWebSockets(linkTag)) {
          if (socket.readyState !== 1) continue;
          this.#links.set(socket, incomingLink(socket));
        }
        const ports = {
          ...createObjectPorts(ctx, env, rooms, this.#timer),
          registry: rooms.partitionOf(roomOfShard(id)),
          onHookError: (error: unknown) => this.onException(error),
          setAutoPong: (isOn: boolean) => ctx.setWebSocketAutoResponse(isOn ? autoPong : undefined),
          ...broadcastHookOf(this, id, this.#ownOnRequest()),
          ...stateHooksOf(this, () => this.__unsafe_ensureInitialized()),
        };
        setHandle(this, {
          shard: id,
          publisher: new RoomPublisher(id, type, ports.calls),
          playerOf: (connection) => this.#playerOf(connection as Connection),
        });
        const links = this.#links.values();
        this.#shard = await Shard.start(id, type, ports, this.#survivors(), links);
      });
    }

    async partyshardCall(request: unknown): Promise<unknown> {
      const parsed = parseRequest("shard", request);
      if (!parsed.ok) return parsed;
      // Whose class cannot start takes no sockets: that its role lives is no answer. Each life has to
      // try, since one that could not start is over before it is asked.
      if (!this.#isStarted && parsed.value.type === "load") {
        const error = await this.__unsafe_ensureInitialized().catch(String);
        if (error !== undefined) return failure("unreachable", error);
      }
      return this.#role.handle(parsed.value);
    }

    override async onStart(...props: Parameters<Server["onStart"]>): Promise<void> {
      await super.onStart(...props);
      this.#isStarted = true;
    }

    override async fetch(request: Request): Promise<Response> {
      if (request.headers.get("Upgrade")?.toLowerCase() !== "websocket")
        return super.fetch(request);
      if (request.headers.has(linkHeader)) return this.#acceptLink();
      const claim = seatClaimOf(request.headers.get(seatHeader));
      if (!claim.ok) return refuse("unavailable");
      const client = clientRequestOf(request.url);
      const connection = connectionOf(request.url);
      const admission = await this.#role.admit(connection, client, claim.value);
      if (!admission.ok) return refuse(admission.code);
      this.#admitted.set(request, { client, entry: admission.value });
      try {
        const response = await super.fetch(request);
        if (!this.#admitted.has(request)) return response;
        // A class that cannot start is a reason to look after the shard.
        return refuse(this.#isStarted ? "unavailable" : "unreachable");
      } finally {
        // The class failed before its socket was accepted. The framework throws on what is no error.
        if (this.#admitted.delete(request)) this.#role.release(admission.value);
      }
    }

    override async getConnectionTags(
      connection: Connection,
      context: ConnectionContext,
    ): Promise<string[]> {
      const tags = await super.getConnectionTags(connection, context);
      const client = this.#admitted.get(context.request)?.client ?? plainRequest;
      return client === plainRequest ? tags : [...tags, requestTag];
    }

    override async onConnect(connection: Connection, context: ConnectionContext): Promise<void> {
      const admitted = this.#admitted.get(context.request);
      this.#admitted.delete(context.request);
      if (admitted !== undefined) {
        const { client, entry } = admitted;
        const end = this.#ends.open(connection, client);
        if (!this.#role.welcome(end, connection.id, client, entry)) return;
      }
      try {
        await super.onConnect(connection, context);
      } catch (error) {
        this.#leave(connection);
        connection.close(closeCodes.roomFailed, "the room failed to take the connection in");
        // Thrown on, it would have the framework answer with a socket that closes with 1011.
        await this.onException(error);
      }
    }

    override onMessage(connection: Connection, message: WSMessage): void | Promise<void> {
      const forClass = this.#ends.receive(this.#role, connection, message);
      if (forClass === null) return;
      const ready = this.#role.stateReady();
      if (ready === null) return super.onMessage(connection, forClass);
      return ready.then(() => super.onMessage(connection, forClass));
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
      this.#leave(socket);
      await super.webSocketClose(socket, code, reason, wasClean);
    }

    override async webSocketError(socket: WebSocket, error: unknown): Promise<void> {
      if (this.#endLink(socket)) return;
      this.#leave(socket);
      await super.webSocketError(socket, error);
    }

    // Without hibernation the framework calls these, and not the two above.
    override onClose(connection: Connection, code: number, reason: string, wasClean: boolean) {
      this.#leave(connection);
      return super.onClose(connection, code, reason, wasClean);
    }

    override onError(connection: Connection, error: unknown) {
      this.#leave(connection);
      return super.onError(connection, error);
    }

    get #role(): Shard {
      if (this.#shard === undefined) throw new Error("the shard has not started");
      return this.#shard;
    }

    /** The sockets that outlived the object's memory; only those with a request have to be read. */
    *#survivors(): Iterable<ClientSocket> {
      const speakers = new Set<WebSocket>();
      for (const connection of this.getConnections(requestTag)) {
        const request = clientRequestOf(connection.uri ?? "");
        speakers.add(connection);
        yield { socket: this.#ends.open(connection, request), connection: connection.id, request };
      }
      for (const socket of this.ctx.getWebSockets()) {
        if (socket.readyState !== 1 || this.#links.has(socket) || speakers.has(socket)) continue;
        yield new PlainSurvivor(socket, this.ctx);
      }
    }

    #playerOf(connection: Connection): string | null {
      return this.#shard?.playerOf(this.#ends.of(connection), connection.id) ?? null;
    }

    #leave(socket: WebSocket): void {
      this.#role.leave(this.#ends.close(socket));
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

    /** Unless it is the framework's. */
    #ownOnRequest(): ((request: Request) => unknown) | undefined {
      if (Base.prototype.onRequest === Server.prototype.onRequest) return undefined;
      return (request) => this.onRequest(request);
    }
  }

  return Main as unknown as Room;
}

/** Its connection's name is a tag, which is read only when somebody asks. */
class PlainSurvivor implements ClientSocket {
  readonly request = plainRequest;
  readonly socket: WebSocket;
  readonly #ctx: DurableObjectState;

  constructor(socket: WebSocket, ctx: DurableObjectState) {
    this.socket = socket;
    this.#ctx = ctx;
  }

  get connection(): string {
    return this.#ctx.getTags(this.socket)[0] ?? "";
  }
}

/** An answer to the gate, which tries another shard or tells the client. */
function refuse(code: Refused | NotServing | "unavailable" | "unreachable"): Response {
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
