/** A room on a game server as its owner's code sees it. */
import type { Published } from "../../protocol/calls.ts";
import type { MessageData } from "../../protocol/payload.ts";
import type { Result } from "../../protocol/result.ts";
import type { BroadcastHook } from "../../shard/fan-out.ts";

/** A player's open connection. */
export type Player = {
  /** The `playerId` that the seat was reserved for. */
  readonly id: string;
  readonly connection: string;
  send(data: MessageData): void;
  /** 4500 to 4999 tell the client to stop, other codes to come back. */
  close(code: number, reason: string): void;
};

export type GameRoom = {
  readonly id: string;
  /** Players with an open connection. */
  readonly players: readonly Player[];
  /** To every player at once, in no order with what is published, and never sent again. */
  broadcast(data: MessageData): void;
  /** A message of the room: numbered and kept, so that a client that comes back gets it. */
  publish(data: MessageData, options?: { readonly topic?: string }): Promise<Result<Published>>;
};

/** What a room does. Each may be left out; what one throws is told to the server's `onError`. */
export type RoomHandlers = {
  /** A player has come. Failing here closes the connection with 4004. */
  readonly onConnect?: (player: Player) => void | Promise<void>;
  readonly onMessage?: (player: Player, data: MessageData) => void | Promise<void>;
  /** The connection is over. The player's seat is kept for `seatTtlMs`. */
  readonly onClose?: (player: Player) => void | Promise<void>;
  /** Called once a published message: what it returns is sent, `null` sends nothing. */
  readonly onBroadcast?: BroadcastHook;
  /**
   * The room's state: anything that structured clone can carry. Asked every `snapshotIntervalMs`, and
   * before the room ends or moves; what has changed is stored at the registry, up to 32 Mi characters.
   * May take five seconds.
   */
  readonly getSnapshot?: () => unknown;
  /** Takes up the newest state that `getSnapshot` gave, here or on another server, before anybody comes. */
  readonly onRestore?: (state: unknown) => void | Promise<void>;
  /** The room is over: empty for a while, or the server stops. */
  readonly onDispose?: () => void | Promise<void>;
};

/** Makes a room when its first player comes. */
export type RoomFactory = (room: GameRoom) => RoomHandlers;
