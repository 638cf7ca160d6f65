/** What a game server may be configured with, the defaults, and the check of both. */
import type {
  RegistryClient as NeutralClient,
  RegistryClientOptions,
  RegistryProblem,
} from "../../../client/registry-client.ts";
import { defineRooms, type Rooms, type RoomType } from "../../core/rooms.ts";
import type { Metadata, Region } from "../../protocol/registry.ts";
import { minSecretBytes } from "../../protocol/ticket.ts";
import { entropy } from "../platform.ts";
import type { RoomFactory } from "./game-room.ts";
import { RegistryClient } from "./registry-client.ts";

export type GameServerOptions = {
  /** The deployment's registry: a client, or where it is and its admin token. */
  readonly registry: NeutralClient | RegistryClientOptions;
  /** The deployment's `PARTYSHARD_SECRET`, which signs tickets. */
  readonly secret: string;
  /** Where clients reach this server: a host name, or a URL of ws, wss, http or https. */
  readonly address: string;
  readonly port?: number;
  /** The room types that the server offers, and what their rooms do. */
  readonly rooms: Readonly<Record<string, RoomFactory>>;
  /** The deployment's room types, whose settings hold here too. Default: each with the defaults. */
  readonly roomTypes?: Rooms;
  /** Default: a new one for each process. */
  readonly serverId?: string;
  /** Rooms that it takes at most. Default 100. */
  readonly capacity?: number;
  readonly metadata?: Metadata;
  readonly region?: Region;
  /** Default: what the registry answers. */
  readonly heartbeatIntervalMs?: number;
  /**
   * A room in which nobody is and no seat is kept ends after so long, unless `joinOrCreate` or
   * `createRoom` keeps it for longer. Default 5,000.
   */
  readonly emptyRoomMs?: number;
  /** A server that is emptied lets its rooms go over so long, so that not all come back at once. Default 5,000. */
  readonly drainMs?: number;
  /** By then it is empty, whether its rooms are elsewhere or not. Default 60,000. */
  readonly limitMs?: number;
  /** The registry refused a heartbeat or could not be reached; it is tried again. */
  readonly onProblem?: (problem: RegistryProblem) => void;
  /** What handlers of rooms threw, and what should not happen. Default: `console.error`. */
  readonly onError?: (error: unknown) => void;
};

export type Settings = Required<
  Omit<
    GameServerOptions,
    "registry" | "port" | "region" | "heartbeatIntervalMs" | "roomTypes" | "metadata"
  >
> & {
  readonly client: NeutralClient;
  readonly types: ReadonlyMap<string, RoomType>;
};

/** Throws a `TypeError` that says what is allowed. */
export function completeOptions(options: GameServerOptions): Settings {
  const { registry, secret, rooms, address } = options;
  if (new TextEncoder().encode(secret).length < minSecretBytes) {
    throw new TypeError(`secret must have at least ${minSecretBytes} bytes`);
  }
  const names = Object.keys(rooms);
  if (names.length === 0) throw new TypeError("rooms must name at least one room type");
  const declared =
    options.roomTypes ?? defineRooms(Object.fromEntries(names.map((name) => [name, {}])));
  const types = new Map<string, RoomType>();
  for (const name of names) {
    const type = declared.type(name);
    if (type === undefined) throw new TypeError(`roomTypes has no type "${name}"`);
    types.set(name, type);
  }
  return {
    client: "registerServer" in registry ? registry : new RegistryClient(registry),
    secret,
    address,
    rooms,
    types,
    serverId: options.serverId ?? `server-${entropy.id()}`,
    capacity: options.capacity ?? 100,
    emptyRoomMs: options.emptyRoomMs ?? 5_000,
    drainMs: options.drainMs ?? 5_000,
    limitMs: options.limitMs ?? 60_000,
    onProblem: options.onProblem ?? (() => {}),
    onError: options.onError ?? ((error) => console.error("partyshard server:", error)),
  };
}
