/** What a game server may be configured with, the defaults, and the check of both. */
import * as v from "valibot";
import type {
  RegistryClient as NeutralClient,
  RegistryClientOptions,
  RegistryProblem,
} from "../../../client/registry-client.ts";
import { defineRooms, Rooms, type RoomType } from "../../core/rooms.ts";
import { describeIssues, strict } from "../../protocol/issues.ts";
import { idSchema, type Metadata, type Region } from "../../protocol/registry.ts";
import { minSecretBytes } from "../../protocol/ticket.ts";
import { isServerAddress } from "../../registry/server-address.ts";
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

function whole(name: string, min: number, max: number) {
  const rule = `${name} must be a whole number from ${min} to ${max}`;
  return v.optional(v.custom<number>((value) => isWhole(value, min, max), rule));
}

function isWhole(value: unknown, min: number, max: number): boolean {
  return typeof value === "number" && Number.isInteger(value) && value >= min && value <= max;
}

function given<Value>(rule: string, isAllowed: (value: unknown) => boolean) {
  return v.custom<Value>(isAllowed, rule);
}

const isObject = (value: unknown): boolean => typeof value === "object" && value !== null;
const isFunction = (value: unknown): boolean => typeof value === "function";
const maxMs = 2 ** 31 - 1;

/** What comes from code without types; the registry checks what it is told. */
const optionsSchema = strict(
  {
    registry: given("registry must be a RegistryClient, or { url, token }", isObject),
    secret: v.string("secret must be the deployment's PARTYSHARD_SECRET"),
    address: given(
      "address must be a host name, or a URL of ws, wss, http or https without a path",
      (value) => typeof value === "string" && isServerAddress(value),
    ),
    port: whole("port", 1, 65_535),
    rooms: given("rooms must be an object of room types and functions", isFactories),
    roomTypes: v.optional(
      given("roomTypes must be what defineRooms gives", (value) => value instanceof Rooms),
    ),
    serverId: v.optional(idSchema),
    capacity: whole("capacity", 0, 1_000_000),
    metadata: v.optional(given("metadata must be an object", isObject)),
    region: v.optional(v.string()),
    heartbeatIntervalMs: whole("heartbeatIntervalMs", 1, maxMs),
    emptyRoomMs: whole("emptyRoomMs", 0, maxMs),
    drainMs: whole("drainMs", 0, maxMs),
    limitMs: whole("limitMs", 0, maxMs),
    onProblem: v.optional(given("onProblem must be a function", isFunction)),
    onError: v.optional(given("onError must be a function", isFunction)),
  },
  "option",
);

function isFactories(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.values(value).every(isFunction);
}

function wrongOption(options: unknown): string | null {
  const parsed = v.safeParse(optionsSchema, options);
  return parsed.success ? null : describeIssues(parsed.issues);
}

/** Throws a `TypeError` that says what is allowed. */
export function completeOptions(options: GameServerOptions): Settings {
  const wrong = wrongOption(options);
  if (wrong !== null) throw new TypeError(`GameServer: ${wrong}`);
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
