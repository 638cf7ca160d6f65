/**
 * A room class as a shard, on PartyKit: admission before the socket is accepted, links hidden from
 * the class, messages of the room through its hooks.
 */
import type * as Party from "partykit/server";
import type { Socket } from "../../core/ports.ts";
import type { Rooms } from "../../core/rooms.ts";
import type { ClientRequest } from "../../protocol/client-request.ts";
import { closeCodes, type CloseCode } from "../../protocol/close-codes.ts";
import type { Position } from "../../protocol/link.ts";
import { isShardId, roomOfShard } from "../../protocol/names.ts";
import type { Result } from "../../protocol/result.ts";
import type { Entry } from "../../shard/admission.ts";
import type { BroadcastHook } from "../../shard/fan-out.ts";
import type { IncomingLink } from "../../shard/intake.ts";
import type { ClientSocket } from "../../shard/clients.ts";
import { Shard } from "../../shard/shard.ts";
import {
  broadcastRequest,
  clientRequestOf,
  linkPath,
  registryName,
  seatClaimOf,
  seatHeader,
  speakProtocol,
  toMessageData,
  WakeTimer,
} from "../platform.ts";
import { answerFromOutside, type PartyClass } from "./gate.ts";
import { answerCall, createCaller, createObjectPorts, openSocket } from "./ports.ts";
import { roomWithoutLinks } from "./room-without-links.ts";

type RoomClass = new (room: Party.Room) => Party.Server;
/** The `main` party; its cron sweeps for rooms that owe something. */
type MainClass = PartyClass & {
  onCron(cron: Party.Cron, lobby: Party.CronLobby, context: Party.ExecutionContext): Promise<void>;
};
/** What a room class may bring to the Worker's side of its party. */
type RoomStatics = Pick<Party.Worker, "onCron">;

/** Name of the cron in partykit.json that wakes rooms which still owe messages. */
const sweepCron = "partyshard";

/** Makes a PartyKit class the `main` party: a shard. Hibernates unless its options say otherwise. */
export function shard(Room: RoomClass, rooms: Rooms): MainClass {
  const statics = Room as RoomStatics;

  return class Main extends Room {
    static onBeforeConnect(request: Party.Request, lobby: Party.Lobby): Promise<Response> {
      return answerFromOutside(rooms, request, lobby);
    }

    static onBeforeRequest(request: Party.Request, lobby: Party.Lobby): Promise<Response> {
      return answerFromOutside(rooms, request, lobby);
    }

    static async onCron(
      cron: Party.Cron,
      lobby: Party.CronLobby,
      context: Party.ExecutionContext,
    ): Promise<void> {
      if (cron.name === sweepCron) await sweep(lobby.parties);
      else await statics.onCron?.(cron, lobby, context);
    }

    // Only declared: a field would hide what the room class has set.
    declare readonly options: Party.ServerOptions;
    readonly #room: Party.Room;
    readonly #timer = new WakeTimer(() => this.#shard?.wake());
    readonly #links = new Map<Party.Connection, IncomingLink>();
    /** The role's end of sockets that speak protocol 1. */
    readonly #speakers = new Map<Party.Connection, Socket>();
    readonly #admissions = new WeakMap<Party.Connection, Result<Entry>>();
    #shard: Shard | undefined;

    constructor(room: Party.Room) {
      super(roomWithoutLinks(room));
      this.#room = room;
      this.options = { hibernate: true, ...this.options };
    }

    override async onStart(): Promise<void> {
      const { id } = this.#room;
      const type = isShardId(id) ? rooms.typeOf(roomOfShard(id)) : undefined;
      if (!isShardId(id) || type === undefined) throw new Error(`"${id}" is not a shard id`);
      const clients: ClientSocket[] = [];
      for (const connection of this.#room.getConnections()) {
        if (isLink(connection)) {
          this.#links.set(connection, incomingLink(connection));
          continue;
        }
        const request = clientRequestOf(connection.uri);
        clients.push({
          socket: this.#endOf(connection, request),
          connection: connection.id,
          request,
        });
      }
      const ports = {
        ...createObjectPorts(this.#room, this.#timer),
        registry: registryName,
        onHookError: (error: unknown) => this.#report(error),
        ...this.#broadcastHook(),
      };
      await super.onStart?.();
      this.#shard = await Shard.start(id, type, ports, clients, this.#links.values());
    }

    override async getConnectionTags(
      connection: Party.Connection,
      context: Party.ConnectionContext,
    ): Promise<string[]> {
      if (isLink(connection)) return [];
      const claim = seatClaimOf(context.request.headers.get(seatHeader));
      const request = clientRequestOf(connection.uri);
      const admission = claim.ok
        ? await this.#role.admit(connection.id, request, claim.value)
        : claim;
      this.#admissions.set(connection, admission);
      if (!admission.ok) return [];
      try {
        return checkTags((await super.getConnectionTags?.(connection, context)) ?? []);
      } catch (error) {
        this.#role.release(admission.value);
        throw error;
      }
    }

    override async onConnect(
      connection: Party.Connection,
      context: Party.ConnectionContext,
    ): Promise<void> {
      if (isLink(connection)) {
        const link = incomingLink(connection);
        this.#links.set(connection, link);
        this.#role.handleLinkOpen(link);
        return;
      }
      const admission = this.#admissions.get(connection);
      if (admission?.ok !== true) {
        const [code, reason] = closingOf(admission?.code);
        connection.close(code, reason);
        return;
      }
      this.#admissions.delete(connection);
      const request = clientRequestOf(connection.uri);
      const end = this.#endOf(connection, request);
      if (!this.#role.welcome(end, connection.id, request, admission.value)) return;
      try {
        await super.onConnect?.(connection, context);
      } catch (error) {
        this.#leave(connection);
        connection.close(closeCodes.roomFailed, "the room failed to take the connection in");
        // Thrown on, it would have the platform answer with a socket that closes with 1011.
        this.#report(error);
      }
    }

    override onMessage(
      message: string | ArrayBuffer | ArrayBufferView,
      sender: Party.Connection,
    ): void | Promise<void> {
      const link = this.#links.get(sender);
      if (link !== undefined) {
        return this.#role.handleLinkMessage(link, typeof message === "string" ? message : "");
      }
      const speaker = this.#speakers.get(sender);
      if (speaker === undefined) return super.onMessage?.(message, sender);
      const client = this.#role.protocolClient(speaker);
      // It was closed, and what it sent before it knew is for nobody.
      if (client === undefined) return;
      const forClass = this.#role.receive(client, toMessageData(message));
      if (forClass !== null) return super.onMessage?.(forClass, sender);
    }

    override onClose(connection: Party.Connection): void | Promise<void> {
      finishClosing(connection);
      if (this.#endLink(connection)) return;
      this.#leave(connection);
      return super.onClose?.(connection);
    }

    override onError(connection: Party.Connection, error: Error): void | Promise<void> {
      if (this.#endLink(connection)) return;
      this.#leave(connection);
      return super.onError?.(connection, error);
    }

    override async onRequest(request: Party.Request): Promise<Response> {
      const answer = await answerCall("shard", request, (call) => this.#role.handle(call));
      if (answer !== null) return answer;
      return (await super.onRequest?.(request)) ?? new Response("Not found", { status: 404 });
    }

    get #role(): Shard {
      if (this.#shard === undefined) throw new Error("the shard has not started");
      return this.#shard;
    }

    #report(error: unknown): void {
      console.error(`${this.#room.id}: the room class threw:`, error);
    }

    /** The role's end of a client's socket: the socket itself, unless it speaks protocol 1. */
    #endOf(connection: Party.Connection, { speaksProtocol }: ClientRequest): Socket {
      if (!speaksProtocol) return connection;
      const end = speakProtocol(connection);
      this.#speakers.set(connection, end);
      return end;
    }

    #leave(connection: Party.Connection): void {
      this.#role.leave(this.#speakers.get(connection) ?? connection);
      this.#speakers.delete(connection);
    }

    /** Whether the connection was a link. One that closed while the object slept may be new to it. */
    #endLink(connection: Party.Connection): boolean {
      if (!isLink(connection)) return false;
      this.#role.handleLinkClose(this.#links.get(connection) ?? incomingLink(connection));
      this.#links.delete(connection);
      return true;
    }

    #broadcastHook(): { onBroadcast?: BroadcastHook; canReplay?: boolean } {
      if ("onBroadcast" in this && typeof this.onBroadcast === "function") {
        const hook = this.onBroadcast as BroadcastHook;
        return { onBroadcast: (message) => hook.call(this, message) };
      }
      if (super.onRequest === undefined) return {};
      const url = `http://partyshard.internal/parties/main/${this.#room.id}`;
      return {
        canReplay: false,
        onBroadcast: async ({ data }) => {
          await super.onRequest?.(broadcastRequest(url, data) as unknown as Party.Request);
          return null;
        },
      };
    }
  };
}

/** Wakes every room that has clients: one that crashed goes on delivering what it owed. */
async function sweep(parties: Party.Context["parties"]): Promise<void> {
  const calls = createCaller(parties);
  const known = await calls.call({ role: "registry", id: registryName }, { type: "sweep" });
  if (!known.ok) throw new Error(`the sweep found no registry: ${known.detail}`);
  for (const id of known.value.rooms) {
    await calls.call({ role: "sequencer", id }, { type: "wake" });
  }
}

/**
 * The answer to the other end's close, which this runtime (July 2024) leaves to the object: without
 * it that end waits until it loses patience.
 */
function finishClosing(connection: Party.Connection): void {
  openSocket(connection).close(1000, "");
}

/** How a socket ends whose upgrade could not be refused. */
function closingOf(code: string | undefined): [code: CloseCode, reason: string] {
  switch (code) {
    case "full":
      return [closeCodes.full, "the shard is full"];
    case "ticket-used":
    case "ticket-expired":
      return [closeCodes.seatRefused, code];
    default:
      return [closeCodes.unavailable, "the room cannot be reached"];
  }
}

/** The URL of the upgrade stays with the connection, also while the object sleeps. */
function isLink(connection: Party.Connection): boolean {
  return new URL(connection.uri).pathname.endsWith(`/${linkPath}`);
}

function incomingLink(connection: Party.Connection): IncomingLink {
  let position = connection.state as Position | null;
  return {
    ...openSocket(connection),
    get position() {
      return position;
    },
    keep: (to) => {
      position = to;
      connection.setState(to);
    },
  };
}

/** The platform's rules for tags, checked here, since it throws where nobody could give the place back. */
function checkTags(tags: readonly unknown[]): string[] {
  const possible = tags.filter((tag) => typeof tag === "string");
  if (possible.length === tags.length && tags.length <= 9) {
    if (possible.every((tag) => tag !== "" && tag.length <= 256)) return possible;
  }
  throw new Error("A connection can have 9 tags of 1 to 256 characters");
}
