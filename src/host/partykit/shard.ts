/**
 * A room class as a shard, on PartyKit: admission before the socket is accepted, links hidden from
 * the class, messages of the room through its hooks.
 */
import type * as Party from "partykit/server";
import { partitionNames } from "../../core/partitions.ts";
import type { Caller } from "../../core/ports.ts";
import type { Rooms } from "../../core/rooms.ts";
import { closeCodes, type CloseCode } from "../../protocol/close-codes.ts";
import type { Position } from "../../protocol/link.ts";
import { isShardId, roomOfShard } from "../../protocol/names.ts";
import type { RegistryReplies } from "../../protocol/registry-calls.ts";
import type { Result } from "../../protocol/result.ts";
import type { Entry } from "../../shard/admission.ts";
import type { ClientSocket } from "../../shard/clients.ts";
import type { IncomingLink } from "../../shard/intake.ts";
import { RoomPublisher } from "../../shard/room-publisher.ts";
import { Shard } from "../../shard/shard.ts";
import { linkPath, seatClaimOf, seatHeader, WakeTimer } from "../platform.ts";
import {
  broadcastHookOf,
  ClientEnds,
  clientRequestOf,
  stateHooksOf,
  type RoomHooks,
} from "../room-class.ts";
import { setHandle } from "../room-handle.ts";
import { answerFromOutside, type PartyClass } from "./gate.ts";
import { answerCall, createCaller, createObjectPorts, openSocket, startOrReset } from "./ports.ts";
import { roomWithoutLinks } from "./room-without-links.ts";

type RoomClass = new (room: Party.Room) => Party.Server & RoomHooks;
/** The `main` party; its cron sweeps for rooms that owe something. */
type MainClass = PartyClass & {
  onCron(cron: Party.Cron, lobby: Party.CronLobby, context: Party.ExecutionContext): Promise<void>;
};
/** What a room class may bring to the Worker's side of its party. */
type RoomStatics = Pick<Party.Worker, "onCron">;

/** Name of the cron in partykit.json that wakes rooms which still owe messages. */
const sweepCron = "partyshard";
/** Rooms that a sweep wakes at a time; the platform lets six calls wait. */
const wakesAtATime = 6;

/**
 * Makes a PartyKit class the `main` party: a shard. Hibernates unless its options say otherwise.
 *
 * Throws a `TypeError` for a class that has `onBeforeConnect` or `onBeforeRequest`, which nobody would
 * call: requests from outside come to the router.
 */
export function shard(Room: RoomClass, rooms: Rooms): MainClass {
  refuseHooksOfRouter(Room);
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
      if (cron.name === sweepCron) await sweep(rooms, lobby.parties);
      else await statics.onCron?.(cron, lobby, context);
    }

    // Only declared: a field would hide what the room class has set.
    declare readonly options: Party.ServerOptions;
    readonly #room: Party.Room;
    readonly #timer = new WakeTimer(() => this.#shard?.wake());
    readonly #links = new Map<Party.Connection, IncomingLink>();
    readonly #ends = new ClientEnds<Party.Connection>(() => this.#shard);
    readonly #admissions = new WeakMap<Party.Connection, Result<Entry>>();
    #shard: Shard | undefined;

    constructor(room: Party.Room) {
      super(roomWithoutLinks(room));
      this.#room = room;
      this.options = { hibernate: true, ...this.options };
    }

    override onStart(): Promise<void> {
      return startOrReset(this.#room, () => this.#start());
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
        refuse(connection, ...closingOf(admission?.code));
        return;
      }
      this.#admissions.delete(connection);
      const request = clientRequestOf(connection.uri);
      const end = this.#ends.open(connection, request);
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
      // Who was not taken is closed soon, and the class has never seen it.
      if (this.#admissions.has(sender)) return;
      const forClass = this.#ends.receive(this.#role, sender, message);
      if (forClass === null) return;
      const ready = this.#role.stateReady();
      if (ready === null) return super.onMessage?.(forClass, sender);
      return ready.then(() => super.onMessage?.(forClass, sender));
    }

    override onClose(connection: Party.Connection): void | Promise<void> {
      finishClosing(connection);
      if (this.#endLink(connection) || this.#admissions.has(connection)) return;
      this.#leave(connection);
      return super.onClose?.(connection);
    }

    override onError(connection: Party.Connection, error: Error): void | Promise<void> {
      if (this.#endLink(connection) || this.#admissions.has(connection)) return;
      this.#leave(connection);
      return super.onError?.(connection, error);
    }

    override async onRequest(request: Party.Request): Promise<Response> {
      const answer = await answerCall("shard", request, (call) => this.#role.handle(call));
      if (answer !== null) return answer;
      return (await super.onRequest?.(request)) ?? new Response("Not found", { status: 404 });
    }

    async #start(): Promise<void> {
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
          socket: this.#ends.open(connection, request),
          connection: connection.id,
          request,
        });
      }
      const ports = {
        ...createObjectPorts(this.#room, this.#timer),
        registry: rooms.partitionOf(roomOfShard(id)),
        onHookError: (error: unknown) => this.#report(error),
        ...broadcastHookOf(this, id, this.#ownOnRequest()),
        ...stateHooksOf(this, () => null),
      };
      setHandle(this, {
        shard: id,
        publisher: new RoomPublisher(id, type, ports.calls),
        playerOf: (connection) => this.#playerOf(connection as Party.Connection),
      });
      await super.onStart?.();
      this.#shard = await Shard.start(id, type, ports, clients, this.#links.values());
    }

    get #role(): Shard {
      if (this.#shard === undefined) throw new Error("the shard has not started");
      return this.#shard;
    }

    #report(error: unknown): void {
      console.error(`${this.#room.id}: the room class threw:`, error);
    }

    #playerOf(connection: Party.Connection): string | null {
      return this.#shard?.playerOf(this.#ends.of(connection), connection.id) ?? null;
    }

    #leave(connection: Party.Connection): void {
      this.#role.leave(this.#ends.close(connection));
    }

    /** Whether the connection was a link. One that closed while the object slept may be new to it. */
    #endLink(connection: Party.Connection): boolean {
      if (!isLink(connection)) return false;
      this.#role.handleLinkClose(this.#links.get(connection) ?? incomingLink(connection));
      this.#links.delete(connection);
      return true;
    }

    #ownOnRequest(): ((request: Request) => unknown) | undefined {
      if (super.onRequest === undefined) return undefined;
      return (request) => super.onRequest?.(request as unknown as Party.Request);
    }
  };
}

function refuseHooksOfRouter(Room: RoomClass): void {
  const hook = ["onBeforeConnect", "onBeforeRequest"].find((name) => name in Room);
  if (hook === undefined) return;
  throw new TypeError(
    `static ${hook} of a room class is never called, since clients come to the router: put it into ` +
      `src/router.ts, in a class Router extends router(rooms) that ends in super.${hook}(request, lobby)`,
  );
}

/** Wakes every room that has clients: one that crashed goes on delivering what it owed. */
async function sweep(rooms: Rooms, parties: Party.Context["parties"]): Promise<void> {
  const calls = createCaller(parties);
  let failed: string | null = null;
  for (const partition of partitionNames(rooms.deployment.partitions)) {
    failed = (await sweepPartition(calls, partition)) ?? failed;
  }
  if (failed !== null) throw new Error(`the sweep found no registry: ${failed}`);
}

/** Returns why the partition could not be asked, or `null`. */
async function sweepPartition(calls: Caller, partition: string): Promise<string | null> {
  let after: string | null = null;
  do {
    const known: Result<RegistryReplies["sweep"]> = await calls.call(
      { role: "registry", id: partition },
      { type: "sweep", after },
    );
    if (!known.ok) return known.detail;
    const rooms = known.value.rooms.values();
    // Each takes the next room until there is none: so many are woken at a time.
    const wakers = Array.from({ length: wakesAtATime }, async () => {
      for (const id of rooms) await calls.call({ role: "sequencer", id }, { type: "wake" });
    });
    await Promise.all(wakers);
    after = known.value.through;
  } while (after !== null);
  return null;
}

/**
 * The answer to the other end's close, which this runtime (July 2024) leaves to the object: without
 * it that end waits until it loses patience.
 */
function finishClosing(connection: Party.Connection): void {
  openSocket(connection).close(1000, "");
}

/**
 * Closes a socket that was not taken, once its upgrade is answered: one that was closed before keeps its
 * end waiting until this object sleeps (workerd, July 2024 and September 2026).
 */
function refuse(connection: Party.Connection, code: CloseCode, reason: string): void {
  setTimeout(() => openSocket(connection).close(code, reason), 0);
}

/** How a socket ends whose upgrade could not be refused. */
function closingOf(code: string | undefined): [code: CloseCode, reason: string] {
  switch (code) {
    case "full":
      return [closeCodes.full, "the shard is full"];
    case "draining":
    case "fenced":
      return [closeCodes.moved, "the shard left service"];
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
