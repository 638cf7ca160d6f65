/**
 * One room on a game server: its roles, its open sockets, and its owner's handlers. Knows nothing of
 * other rooms, of HTTP, or of the registry but the time that it is given.
 */
import type { Socket } from "../../core/ports.ts";
import type { RoomType } from "../../core/rooms.ts";
import type { Published } from "../../protocol/calls.ts";
import { closeCodes } from "../../protocol/close-codes.ts";
import type { RoomId } from "../../protocol/names.ts";
import { encodePayload, type MessageData } from "../../protocol/payload.ts";
import type { SnapshotOrder } from "../../protocol/registry.ts";
import { failure, type Result } from "../../protocol/result.ts";
import type { GameRoom, Player, RoomFactory, RoomHandlers } from "./game-room.ts";
import { localFrame, messageOf } from "./player-socket.ts";
import { RoomEntrance, type Arrived } from "./room-entrance.ts";
import { RoomRoles } from "./room-roles.ts";
import type { RoomSnapshots } from "./room-snapshots.ts";
import { RoomState } from "./room-state.ts";
import type { ServerSocket } from "./server-socket.ts";
import type { StateReport } from "./state-reports.ts";

/** Messages that a room which holds still keeps for later. */
const maxHeld = 1_000;

export type HostedRoomOptions = {
  readonly room: RoomId;
  readonly type: RoomType;
  readonly create: RoomFactory;
  readonly snapshots: Pick<RoomSnapshots, "read" | "store">;
  /** What the registry is told of its state. */
  readonly report: StateReport;
  /** The registry's time, as far as it is known. */
  readonly registryTime: () => number;
  /** Players have come or gone. */
  readonly onChange: () => void;
  readonly onError: (error: unknown) => void;
};

export class HostedRoom {
  readonly id: RoomId;
  readonly #options: HostedRoomOptions;
  readonly #entrance: RoomEntrance;
  readonly #clients = new Map<ServerSocket, Player>();
  readonly game: GameRoom;
  readonly #handlers: RoomHandlers;
  readonly #state: RoomState;
  #roles: RoomRoles | null = null;
  /** Another server has it: of this one nothing is told any more. */
  hasLeft = false;
  /** What came while the room holds still. */
  readonly #held: (() => void)[] = [];
  /** For how many reasons it does. */
  #holds = 0;

  private constructor(options: HostedRoomOptions) {
    this.id = options.room;
    this.#options = options;
    this.game = this.#gameRoom();
    this.#handlers = options.create(this.game);
    const { room, type, snapshots, report, registryTime, onChange, onError } = options;
    this.#state = new RoomState({
      room,
      type,
      handlers: this.#handlers,
      snapshots,
      report,
      onError,
    });
    this.#entrance = new RoomEntrance({
      shard: () => this.#roles?.shard ?? null,
      isHeld: () => this.#holds > 0,
      registryTime,
      onChange,
      onArrived: (arrived) => this.#join(arrived),
    });
  }

  /** Rejects with what the owner's factory throws, and when the room's state cannot be had. */
  static async start(options: HostedRoomOptions): Promise<HostedRoom> {
    const hosted = new HostedRoom(options);
    const { room, type, onChange, onError } = options;
    const restored = await hosted.#state.restore();
    if (!restored.ok) {
      hosted.end(closeCodes.moved, "the room's state cannot be had");
      throw new Error(`the state of "${room}" cannot be had: ${restored.detail}`);
    }
    const { onBroadcast } = hosted.#handlers;
    const hook =
      onBroadcast === undefined ? {} : { onBroadcast: onBroadcast.bind(hosted.#handlers) };
    // Every client has a seat, which the registry gave out.
    const seated = {
      ...type,
      shards: { min: 1, max: 1 },
      maxPlayers: type.maxPlayers ?? type.capacity,
    };
    hosted.#roles = await RoomRoles.start({
      room,
      type: seated,
      ...hook,
      onReport: onChange,
      onError,
    });
    return hosted;
  }

  /** Nobody is here or on the way in, and no seat is kept. */
  get isEmpty(): boolean {
    return this.#clients.size === 0 && this.#entrance.isEmpty;
  }

  get sockets(): ServerSocket[] {
    return [...this.#clients.keys()];
  }

  report(): { roomId: RoomId; players: string[]; seats: string[] } {
    return { roomId: this.id, ...this.#entrance.report() };
  }

  /** Who may come in. */
  get entrance(): Pick<RoomEntrance, "admit" | "admitBack"> {
    return this.#entrance;
  }

  /** Takes nobody and nothing more until it goes on, so that its state stays what was stored. */
  pause(): void {
    this.#holds += 1;
  }

  /** Once for each `pause`. */
  goOn(): void {
    this.#holds -= 1;
    if (this.#holds > 0) return;
    for (const receive of this.#held.splice(0)) receive();
  }

  /** Stores the room's state, if it has changed. */
  async store(): Promise<void> {
    await this.#state.store();
  }

  /** Does with the room's state what the registry asks for, and says how it went. */
  async obey({ type, order }: SnapshotOrder): Promise<void> {
    const result = await (type === "takeSnapshot" ? this.#state.storeAnew() : this.#goBack());
    this.#options.report.done(order, result);
  }

  /** What is said meanwhile is said to the state that comes. */
  async #goBack(): Promise<Result<null>> {
    if (this.#holds > 0) return failure("unavailable", "the room is moving");
    this.pause();
    const result = await this.#state.goBack();
    this.goOn();
    return result;
  }

  /** Every client is closed with this code; the room is no more. */
  end(code: number, reason: string): void {
    for (const socket of this.#clients.keys()) socket.close(code, reason);
    this.#clients.clear();
    this.#state.end();
    this.#roles?.end();
    this.#roles = null;
    this.#run(() => this.#handlers.onDispose?.());
  }

  #join({ socket, end, player: id, connection, request: { speaksProtocol } }: Arrived): void {
    const player: Player = {
      id,
      connection,
      send: (data) => end.send(speaksProtocol ? localFrame(data) : data),
      close: (code, reason) => socket.close(code, reason),
    };
    this.#clients.set(socket, player);
    const leave = (): void => this.#leave(socket, end);
    socket.on("message", (data, isBinary) => this.#receive(player, socket, end, data, isBinary));
    socket.on("close", leave);
    socket.on("error", leave);
    this.#run(
      () => this.#handlers.onConnect?.(player),
      () => {
        leave();
        socket.close(closeCodes.roomFailed, "the room failed to take the connection in");
      },
    );
  }

  #receive(
    player: Player,
    socket: ServerSocket,
    end: Socket,
    raw: unknown,
    isBinary: boolean,
  ): void {
    if (this.#roles === null || !this.#clients.has(socket)) return;
    if (this.#holds > 0) {
      this.#held.push(() => this.#receive(player, socket, end, raw, isBinary));
      if (this.#held.length > maxHeld) socket.close(closeCodes.moved, "the room is moving");
      return;
    }
    const data = messageOf(raw, isBinary);
    const { shard } = this.#roles;
    const client = shard.protocolClient(end);
    const forRoom = client === undefined ? data : shard.receive(client, data);
    if (forRoom !== null) this.#run(() => this.#handlers.onMessage?.(player, forRoom));
  }

  #leave(socket: ServerSocket, end: Socket): void {
    const player = this.#clients.get(socket);
    if (player === undefined) return;
    this.#clients.delete(socket);
    this.#roles?.shard.leave(end);
    this.#options.onChange();
    this.#run(() => this.#handlers.onClose?.(player));
  }

  /** Handlers are the owner's code: what they throw stops nothing else. */
  #run(act: () => void | Promise<void>, onFailure: () => void = () => {}): void {
    const fail = (error: unknown): void => {
      this.#options.onError(error);
      onFailure();
    };
    try {
      Promise.resolve(act()).catch(fail);
    } catch (error) {
      fail(error);
    }
  }

  #gameRoom(): GameRoom {
    const clients = this.#clients;
    return {
      id: this.id,
      get players() {
        return [...clients.values()];
      },
      broadcast: (data) => {
        for (const player of clients.values()) player.send(data);
      },
      publish: (data, { topic } = {}) => this.#publish(data, topic),
    };
  }

  async #publish(data: MessageData, topic: string | undefined): Promise<Result<Published>> {
    if (this.#roles === null) return failure("unavailable", "the room is over");
    const messages = [encodePayload(data)];
    const options = {
      volatile: false,
      waitDelivered: false,
      ...(topic === undefined ? {} : { topic }),
    };
    const request = { type: "publish", messages, ...options } as const;
    return this.#roles.calls.call({ role: "sequencer", id: this.id }, request);
  }
}
