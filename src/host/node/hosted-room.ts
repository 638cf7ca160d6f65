/**
 * One room on a game server: its roles, its open sockets, and its owner's handlers. Knows nothing of
 * other rooms, of HTTP, or of the registry but the time that it is given.
 */
import type { Socket } from "../../core/ports.ts";
import type { RoomType } from "../../core/rooms.ts";
import type { Published } from "../../protocol/calls.ts";
import type { ClientRequest } from "../../protocol/client-request.ts";
import { encodeServerFrame } from "../../protocol/client.ts";
import { closeCodes } from "../../protocol/close-codes.ts";
import type { RoomId } from "../../protocol/names.ts";
import { encodePayload, toMessageData, type MessageData } from "../../protocol/payload.ts";
import { failure, success, type Result } from "../../protocol/result.ts";
import type { Entry } from "../../shard/admission.ts";
import type { TicketClaims } from "../../protocol/ticket.ts";
import type { Shard } from "../../shard/shard.ts";
import type { GameRoom, Player, RoomFactory, RoomHandlers } from "./game-room.ts";
import { RoomRoles } from "./room-roles.ts";
import type { RoomSnapshots } from "./room-snapshots.ts";
import { RoomState } from "./room-state.ts";
import type { ServerSocket } from "./server-socket.ts";
import { TicketBook } from "./ticket-book.ts";

/** Messages that a room which holds still keeps for later. */
const maxHeld = 1_000;
/** How long a seat is held between the check of its ticket and the open socket. */
const enteringMs = 60_000;

export type HostedRoomOptions = {
  readonly room: RoomId;
  readonly type: RoomType;
  readonly create: RoomFactory;
  readonly snapshots: Pick<RoomSnapshots, "read" | "store">;
  /** The registry's time, as far as it is known. */
  readonly registryTime: () => number;
  /** Players have come or gone. */
  readonly onChange: () => void;
  readonly onError: (error: unknown) => void;
};

/** A connection that may come in: its socket is accepted, or it comes to nothing. */
export type Admission = {
  accept(socket: ServerSocket): void;
  abandon(): void;
};

/** Of who brings a session. */
export const noSeat = failure("ticket-expired", "no seat is kept here for this session");

/** What the shard may say. */
type Refusal = Extract<Awaited<ReturnType<Shard["admit"]>>, { ok: false }>["code"];
type Refused = "ticket-expired" | "ticket-used" | "room-full" | "unavailable";

export class HostedRoom {
  readonly id: RoomId;
  readonly #options: HostedRoomOptions;
  readonly #tickets = new TicketBook();
  readonly #clients = new Map<ServerSocket, Player>();
  readonly game: GameRoom;
  readonly #handlers: RoomHandlers;
  readonly #state: RoomState;
  #roles: RoomRoles | null = null;
  /** Another server has it: of this one nothing is told any more. */
  hasLeft = false;
  /** What came while the room holds still. */
  #held: (() => void)[] | null = null;

  private constructor(options: HostedRoomOptions) {
    this.id = options.room;
    this.#options = options;
    this.game = this.#gameRoom();
    this.#handlers = options.create(this.game);
    const { room, type, snapshots, onError } = options;
    this.#state = new RoomState({ room, type, handlers: this.#handlers, snapshots, onError });
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
    return this.#clients.size === 0 && !this.#tickets.isEntering && this.#seats().length === 0;
  }

  get sockets(): ServerSocket[] {
    return [...this.#clients.keys()];
  }

  report(): { roomId: RoomId; players: string[]; seats: string[] } {
    const here = this.#seats();
    this.#tickets.forget(here, this.#options.registryTime());
    return { roomId: this.id, ...this.#tickets.report(here) };
  }

  /** Whether the bearer of a ticket that is genuine, and for this room, may come in. */
  async admit(
    claims: TicketClaims,
    connection: string,
    request: ClientRequest,
  ): Promise<Result<Admission, Refused>> {
    const roles = this.#roles;
    if (roles === null) return failure("unavailable", "the room is over");
    if (this.#held !== null) return failure("unavailable", "the room is moving");
    const { seat } = claims;
    const isHere = this.#seats().includes(seat);
    const asked = this.#tickets.enter(claims, isHere, this.#options.registryTime());
    if (!asked.ok) return asked;
    const { shard } = roles;
    // The shard knows seats, not players: a seat is its own player there.
    const seats = [{ id: seat, player: seat }];
    const reserve = { type: "reserve", seats, ttlMs: enteringMs } as const;
    const hasPlace = isHere || shard.handle(reserve).ok;
    const claim = { id: seat, player: seat, expiresAt: Date.now() + enteringMs };
    const admitted = await shard.admit(connection, request, claim);
    if (!admitted.ok || this.#roles === null) {
      this.#entered(seat, false);
      if (admitted.ok) return failure("unavailable", "the room is over");
      // Without a place for it the shard does not know the seat.
      if (!hasPlace && admitted.code === "ticket-expired") {
        return failure("room-full", "every place is taken");
      }
      return failure(refusalOf(admitted.code), admitted.detail);
    }
    return success(this.#admission(roles, admitted.value, claims, connection, request));
  }

  /** Whether who brings the session of a seat that is kept here may come back to it. */
  async admitBack(connection: string, request: ClientRequest): Promise<Result<Admission, Refused>> {
    const roles = this.#roles;
    if (roles === null || request.session === undefined) return noSeat;
    const admitted = await roles.shard.admit(connection, request, null);
    if (!admitted.ok) return noSeat;
    const seat = admitted.value.seat?.id ?? "";
    const player = this.#tickets.enterAgain(seat);
    if (player !== undefined && this.#roles !== null) {
      const who = { seat, player };
      return success(this.#admission(roles, admitted.value, who, connection, request));
    }
    roles.shard.release(admitted.value);
    return noSeat;
  }

  /** For who was admitted to a seat. */
  #admission(
    { shard }: RoomRoles,
    entry: Entry,
    { seat, player }: { readonly seat: string; readonly player: string },
    connection: string,
    request: ClientRequest,
  ): Admission {
    let isOpen = true;
    const once = (act: () => void): void => {
      if (!isOpen) return;
      isOpen = false;
      act();
    };
    return {
      accept: (socket) =>
        once(() => {
          if (this.#roles === null || this.#held !== null) {
            shard.release(entry);
            this.#entered(seat, false);
            return socket.close(closeCodes.moved, "the room is over");
          }
          const end = endOf(socket);
          const isWelcome = shard.welcome(end, connection, request, entry);
          this.#entered(seat, isWelcome);
          if (isWelcome) this.#join(socket, end, player, connection, request);
        }),
      abandon: () =>
        once(() => {
          shard.release(entry);
          this.#entered(seat, false);
        }),
    };
  }

  /** Takes nobody and nothing more until it goes on, so that its state stays what was stored. */
  pause(): void {
    this.#held ??= [];
  }

  goOn(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const receive of held) receive();
  }

  /** Stores the room's state, if it has changed. */
  async store(): Promise<void> {
    await this.#state.store();
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

  /** Seats that are taken, or kept for players whose connection dropped. */
  #seats(): readonly string[] {
    const load = this.#roles?.shard.handle({ type: "load" });
    return load?.ok === true && load.value !== null && "players" in load.value
      ? (load.value.players ?? [])
      : [];
  }

  #entered(seat: string, hasTaken: boolean): void {
    this.#tickets.entered(seat, hasTaken, this.#seats().includes(seat));
    this.#options.onChange();
  }

  #join(
    socket: ServerSocket,
    end: Socket,
    id: string,
    connection: string,
    { speaksProtocol }: ClientRequest,
  ): void {
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
    if (this.#held !== null) {
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

function refusalOf(code: Refusal): Refused {
  switch (code) {
    case "full":
      return "room-full";
    case "draining":
    case "fenced":
      return "unavailable";
    default:
      return code;
  }
}

function localFrame(data: MessageData): string {
  return encodeServerFrame({ type: "local", data: encodePayload(data) });
}

/** The role's end of a socket: sending on one that has closed does nothing. */
function endOf(socket: ServerSocket): Socket {
  return { send: (data) => socket.send(data), close: (code, reason) => socket.close(code, reason) };
}

/** What `ws` gives: buffers also for text, and parts where it was told to. */
function messageOf(raw: unknown, isBinary: boolean): MessageData {
  if (typeof raw === "string") return raw;
  const bytes = Array.isArray(raw)
    ? Buffer.concat(raw as Uint8Array[])
    : toMessageData(raw as ArrayBuffer | ArrayBufferView);
  return isBinary ? bytes : new TextDecoder().decode(bytes as Uint8Array);
}
