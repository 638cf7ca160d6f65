/**
 * `GameServer`: a Node process that hosts rooms for a deployment. It holds a lease at the registry,
 * takes players whose tickets are for it, and keeps each room in memory while somebody is there.
 */
import type { IncomingMessage, Server as HttpServer } from "node:http";
import type { Duplex } from "node:stream";
import {
  type RegistryResult,
  type Reservation,
  type RoomRegistration,
} from "../../../client/registry-client.ts";
import type { CreateRoomOptions, JoinOptions } from "../../../client/registry-client.ts";
import { closeCodes, type CloseCode } from "../../protocol/close-codes.ts";
import { isRoomId, type RoomId } from "../../protocol/names.ts";
import { problemDocument, type ProblemCode } from "../../protocol/problems.ts";
import {
  defaultKeepMs,
  type HeartbeatAnswer,
  type ServerRegistration,
} from "../../protocol/registry.ts";
import { failure, type Result } from "../../protocol/result.ts";
import { entropy } from "../platform.ts";
import { completeOptions, type GameServerOptions, type Settings } from "./game-server-options.ts";
import { Emptying } from "./emptying.ts";
import type { GameRoom } from "./game-room.ts";
import { noSeat, type Admission } from "./hosted-room.ts";
import { HostedRooms, type Keep } from "./hosted-rooms.ts";
import { Lease } from "./lease.ts";
import { RoomSnapshots } from "./room-snapshots.ts";
import type { ServerSocket } from "./server-socket.ts";
import { comesBack, readVisitor } from "./tickets.ts";
import { UpgradeServer } from "./upgrades.ts";

/** Where a player is to go: into a room of this server, or to another address. */
export type Joined =
  | { readonly room: GameRoom; readonly reservation: Reservation }
  | { readonly redirect: string; readonly reservation: Reservation };

export type Created =
  | { readonly room: GameRoom; readonly registration: RoomRegistration }
  | { readonly redirect: string; readonly registration: RoomRegistration };

export type StopOptions = {
  /** Default true. */
  readonly graceful?: boolean;
};

export class GameServer {
  readonly serverId: string;
  readonly #settings: Settings;
  readonly #lease: Lease;
  readonly #rooms: HostedRooms;
  readonly #upgrades: UpgradeServer;
  readonly #emptying: Emptying;
  #stopping: Promise<void> | null = null;

  /** Throws a `TypeError` for options that are impossible. */
  constructor(options: GameServerOptions) {
    const settings = completeOptions(options);
    const { serverId, address, capacity, client, rooms, types, emptyRoomMs, onError } = settings;
    this.serverId = serverId;
    this.#settings = settings;
    const { port, metadata, region, heartbeatIntervalMs } = options;
    const snapshots = new RoomSnapshots({
      client,
      serverId,
      instance: () => this.#lease.instance,
    });
    this.#rooms = new HostedRooms({
      snapshots,
      types,
      rooms,
      capacity,
      emptyRoomMs,
      onError,
      registryTime: () => this.#lease.registryTime,
      onChange: () => this.#lease.changed(),
    });
    this.#lease = new Lease({
      registry: client,
      registration: {
        serverId,
        address,
        capacity,
        roomTypes: [...types.keys()],
        ...(port === undefined ? {} : { port }),
        ...(metadata === undefined ? {} : { metadata }),
        ...(region === undefined ? {} : { region }),
      },
      newInstance: () => entropy.id(),
      rooms: () => this.#rooms.report(),
      ...(heartbeatIntervalMs === undefined ? {} : { heartbeatIntervalMs }),
      onAnswer: (answer) => this.#handleAnswer(answer),
      onLost: (reason) => this.#rooms.closeAll(reason),
      onProblem: settings.onProblem,
    });
    this.#emptying = new Emptying({
      rooms: this.#rooms,
      relocate: (room) => client.relocateRoom(room, serverId, this.#lease.instance),
      drainMs: settings.drainMs,
      limitMs: settings.limitMs,
    });
    this.#upgrades = new UpgradeServer((target) => this.admit(target), onError);
  }

  /** The rooms that are here at the moment. */
  get rooms(): readonly GameRoom[] {
    return [...this.#rooms].map(({ game }) => game);
  }

  /**
   * Registers, and keeps the lease from then on. Tries until the registry has an answer; gives the
   * problem when it refuses for good.
   */
  start(): Promise<RegistryResult<null>> {
    return this.#lease.start();
  }

  /**
   * Takes the WebSockets of this HTTP server's `/parties/router/ROOM`. Others are left to whoever else
   * listens; where nobody does, they are refused.
   */
  attach(server: HttpServer): void {
    server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      const isOwn = request.url?.startsWith("/parties/router/") === true;
      if (isOwn || server.listenerCount("upgrade") === 1) this.handleUpgrade(request, socket, head);
    });
  }

  /** Takes one upgrade, or answers it with a problem. Needs the `ws` package. */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.#upgrades.handle(request, socket, head);
  }

  /**
   * For sockets of another kind: whether a client that asks for this path and query may come in. The
   * answer is to be used once, for `accept` or `abandon`.
   */
  async admit(target: string): Promise<Result<Admission, ProblemCode>> {
    const { secret } = this.#settings;
    const visitor = await readVisitor(target, secret, this.serverId);
    if (!visitor.ok) return visitor;
    if (this.#stopping !== null || this.#rooms.isClosed || !this.#lease.isHeld) {
      // Another server may have the room by now.
      return failure("unavailable", "this server is not in service at the moment");
    }
    const { room, claims, connection, request } = visitor.value;
    if (claims === null) {
      const known = this.#rooms.get(room);
      return known?.admitBack(connection, request) ?? noSeat;
    }
    if (claims.instance !== this.#lease.instance) {
      // Its seat was of a former start, and may have been promised to somebody else since.
      return failure("ticket-expired", "the ticket is for a former start of this server");
    }
    const hosted = await this.#rooms.open(room);
    if (!hosted.ok) return hosted;
    return hosted.value.admit(claims, connection, request);
  }

  /** For a socket of another kind than `ws`: takes it in, or closes it with a code that says why not. */
  async connect(target: string, socket: ServerSocket): Promise<Result<null, ProblemCode>> {
    let isOpen = true;
    const closed = (): void => void (isOpen = false);
    socket.on("close", closed);
    socket.on("error", closed);
    const admitted = await this.admit(target);
    if (!admitted.ok) {
      // Who had a place here may have another one: the router knows.
      const code = comesBack(target) ? closeCodes.moved : closingOf(admitted.code);
      socket.close(code, admitted.detail);
      return admitted;
    }
    if (isOpen) admitted.value.accept(socket);
    else admitted.value.abandon();
    return { ok: true, value: null };
  }

  /**
   * A seat for this player in a room of this server if one fits, else where the registry says. The room
   * stays while the seat is held.
   */
  async joinOrCreate(
    roomType: string,
    playerId: string,
    options: JoinOptions = {},
  ): Promise<RegistryResult<Joined>> {
    const { client } = this.#settings;
    const { query } = options;
    const asked = { roomType, playerId, serverId: this.serverId };
    const route = await client.route({ ...asked, ...(query === undefined ? {} : { query }) });
    const near = route.ok && route.value.type === "local" ? { roomId: route.value.roomId } : {};
    let reserved = await client.joinOrCreate(roomType, playerId, { ...near, ...options });
    // Somebody took the last seat meanwhile, or locked the room.
    if (!reserved.ok && "roomId" in near && options.roomId === undefined) {
      reserved = await client.joinOrCreate(roomType, playerId, options);
    }
    if (!reserved.ok) return reserved;
    const reservation = reserved.value;
    const { roomId, serverId, seat } = reservation;
    const place = await this.#placeOf(roomId, serverId, { heldUntil: seat.expiresAt });
    if (!place.ok) return place;
    if (place.value !== null) return { ok: true, value: { room: place.value, reservation } };
    return { ok: true, value: { redirect: addressOf(reservation), reservation } };
  }

  /**
   * A new room of the type, on this server or where the registry says. It stays until it has been empty
   * for `keepMs`.
   */
  async createRoom(
    type: string,
    options: CreateRoomOptions = {},
  ): Promise<RegistryResult<Created>> {
    const created = await this.#settings.client.createRoom(type, options);
    if (!created.ok) return created;
    const registration = created.value;
    const { roomId, serverId } = registration;
    const emptyMs = options.keepMs ?? defaultKeepMs;
    const place = await this.#placeOf(roomId, serverId, { emptyMs });
    if (!place.ok) return place;
    if (place.value !== null) return { ok: true, value: { room: place.value, registration } };
    return { ok: true, value: { redirect: registration.address, registration } };
  }

  /**
   * No new players: the state of each room is stored, another server has it, and its clients are sent
   * back to the router, over `drainMs`. Resolves when the server is empty, or after `limitMs`; a room
   * that no other server takes goes on until then.
   */
  async drain(): Promise<RegistryResult<ServerRegistration>> {
    this.#rooms.isClosed = true;
    const told = await this.#settings.client.drainServer(this.serverId);
    await this.#emptying.begin(false);
    return told;
  }

  /**
   * Gracefully: is emptied like that, waits for no other server to have space, and unregisters. Else
   * only stops: the registry learns by the lease.
   */
  stop(how: boolean | StopOptions = {}): Promise<void> {
    const { graceful = true } = typeof how === "boolean" ? { graceful: how } : how;
    this.#stopping ??= graceful ? this.#stopGracefully() : this.#end();
    return this.#stopping;
  }

  async #stopGracefully(): Promise<void> {
    const { client } = this.#settings;
    this.#rooms.isClosed = true;
    await client.drainServer(this.serverId);
    await this.#emptying.begin(true);
    await this.#end();
    await client.unregisterServer(this.serverId);
  }

  async #end(): Promise<void> {
    this.#lease.stop();
    this.#rooms.isClosed = true;
    this.#emptying.end();
    this.#rooms.closeAll("the server has stopped");
    this.#upgrades.close();
  }

  #handleAnswer({ status, dispose }: HeartbeatAnswer): void {
    // It was told of another start of this server, or never.
    if (status !== "draining" && this.#rooms.isClosed) {
      void this.#settings.client.drainServer(this.serverId);
    }
    if (status === "draining" && !this.#rooms.isClosed) {
      this.#rooms.isClosed = true;
      void this.#emptying.begin(false);
    }
    for (const id of dispose) {
      if (isRoomId(id)) this.#rooms.close(id, "the room is elsewhere");
    }
  }

  /** The room if it belongs here, which it does not begin without. */
  async #placeOf(
    roomId: string,
    serverId: string,
    keep: Keep,
  ): Promise<RegistryResult<GameRoom | null>> {
    if (serverId !== this.serverId || !isRoomId(roomId)) return { ok: true, value: null };
    const hosted = await this.#rooms.open(roomId satisfies RoomId, keep);
    if (hosted.ok) return { ok: true, value: hosted.value.game };
    return { ok: false, problem: problemDocument(hosted.code, hosted.detail) };
  }
}

/** For sockets whose upgrade could not be refused. */
function closingOf(code: ProblemCode): CloseCode {
  if (code === "unavailable") return closeCodes.moved;
  return code === "room-full" ? closeCodes.full : closeCodes.seatRefused;
}

/** Where the reservation's player connects: an address that holds the ticket, or for a room on shards, its id. */
function addressOf({ redirect, connect, ticket }: Reservation): string {
  if (redirect === undefined) return connect.room;
  const url = new URL(redirect);
  url.searchParams.set("ticket", ticket);
  return url.href;
}
