/**
 * `GameServer`: a Node process that hosts rooms for a deployment. It holds a lease at the registry,
 * takes players whose tickets are for it, and keeps each room in memory while somebody is there.
 */
import type { IncomingMessage, Server as HttpServer } from "node:http";
import type { Duplex } from "node:stream";
import type {
  CreateRoomOptions,
  JoinOptions,
  RegistryResult,
} from "../../../client/registry-client.ts";
import { closeCodes, type CloseCode } from "../../protocol/close-codes.ts";
import { isRoomId } from "../../protocol/names.ts";
import type { ProblemCode } from "../../protocol/problems.ts";
import type { HeartbeatAnswer, ServerRegistration } from "../../protocol/registry.ts";
import { failure, type Result } from "../../protocol/result.ts";
import { entropy } from "../platform.ts";
import { completeOptions, type GameServerOptions, type Settings } from "./game-server-options.ts";
import { Emptying } from "./emptying.ts";
import type { GameRoom } from "./game-room.ts";
import { HostedRooms } from "./hosted-rooms.ts";
import { Joining, type Created, type Joined } from "./joining.ts";
import { Lease } from "./lease.ts";
import { noSeat, type Admission } from "./room-entrance.ts";
import { RoomOrders } from "./room-orders.ts";
import { RoomSnapshots } from "./room-snapshots.ts";
import type { ServerSocket } from "./server-socket.ts";
import { StateReports } from "./state-reports.ts";
import { comesBack, readVisitor } from "./tickets.ts";
import { UpgradeServer } from "./upgrades.ts";

export type StopOptions = {
  /** Default true. */
  readonly graceful?: boolean;
};

export class GameServer {
  readonly serverId: string;
  readonly #settings: Settings;
  readonly #lease: Lease;
  readonly #rooms: HostedRooms;
  readonly #reports: StateReports;
  readonly #orders: RoomOrders;
  readonly #joining: Joining;
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
    const tenant = { client, serverId, instance: () => this.#lease.instance };
    this.#reports = new StateReports(tenant);
    this.#rooms = new HostedRooms({
      snapshots: new RoomSnapshots(tenant),
      reports: this.#reports,
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
      rooms: (which) => (which === "all" ? this.#rooms.report() : this.#rooms.reportNews()),
      ...(heartbeatIntervalMs === undefined ? {} : { heartbeatIntervalMs }),
      onAnswer: (answer) => this.#handleAnswer(answer),
      onLost: (reason) => {
        this.#rooms.closeAll(reason);
        this.#reports.clear();
      },
      onProblem: settings.onProblem,
    });
    this.#orders = new RoomOrders(this.#rooms, this.#reports);
    this.#joining = new Joining(client, serverId, this.#rooms);
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
      return known?.entrance.admitBack(connection, request) ?? noSeat;
    }
    if (claims.instance !== this.#lease.instance) {
      // Its seat was of a former start, and may have been promised to somebody else since.
      return failure("ticket-expired", "the ticket is for a former start of this server");
    }
    const hosted = await this.#rooms.open(room);
    if (!hosted.ok) return hosted;
    return hosted.value.entrance.admit(claims, connection, request);
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
  joinOrCreate(
    roomType: string,
    playerId: string,
    options: JoinOptions = {},
  ): Promise<RegistryResult<Joined>> {
    return this.#joining.joinOrCreate(roomType, playerId, options);
  }

  /**
   * A new room of the type, on this server or where the registry says. It stays until it has been empty
   * for `keepMs`.
   */
  createRoom(type: string, options: CreateRoomOptions = {}): Promise<RegistryResult<Created>> {
    return this.#joining.createRoom(type, options);
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
    await this.#reports.settled();
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

  #handleAnswer({ status, dispose, orders = [] }: HeartbeatAnswer): void {
    this.#reports.flush();
    this.#orders.take(orders);
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
}

/** For sockets whose upgrade could not be refused. */
function closingOf(code: ProblemCode): CloseCode {
  if (code === "unavailable") return closeCodes.moved;
  return code === "room-full" ? closeCodes.full : closeCodes.seatRefused;
}
