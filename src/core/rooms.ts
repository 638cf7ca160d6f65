/**
 * Room types: what a deployment may configure, the defaults, and the check of both when the code
 * loads. Knows nothing of rooms that exist.
 */
import * as v from "valibot";
import { describeIssues, strict } from "../protocol/issues.ts";
import {
  defaultRoomType,
  roomType,
  shardId,
  type RoomId,
  type ShardId,
} from "../protocol/names.ts";
import { regions, type Region } from "../protocol/registry.ts";
import type { ShardBounds } from "./autoscale.ts";
import { maxPartitions, partitionOf } from "./partitions.ts";
import { strategies, type PlacementStrategy, type StrategyName } from "./placement.ts";

/** Options of a room type. Every one may be left out. */
export type RoomTypeOptions = {
  /**
   * Number of shards, 1 to 1,000; or the fewest and the most, between which it follows the room's
   * audience. Default 1.
   */
  readonly shards?: number | ShardBounds;
  /**
   * Whether a shard that is found dead is replaced by a fresh one, and whether rooms of a game server
   * that is gone go to another one. Default true.
   */
  readonly failover?: boolean;
  /** Sockets a shard admits, 1 to 32,000 (the platform holds 32,768). Default 1,000. */
  readonly capacity?: number;
  /** Which shard takes the next socket: a strategy's name or a function. Default `least-connections`. */
  readonly placement?: StrategyName | PlacementStrategy;
  /**
   * Where shards are, on Cloudflare Workers: they take these regions in turn, and one that is named
   * twice gets twice as many. At most as many as the type's most shards. Default: none, so that a
   * shard is near whoever comes to it first. PartyKit places its objects itself.
   */
  readonly regions?: readonly Region[];
  /** What the log keeps for those who come late. Both bounds hold. Default 1,000 messages, 300 s. */
  readonly history?: { readonly messages?: number; readonly seconds?: number };
  /** Largest body of one POST, in bytes, 1 to 1 MiB. Default 1 MiB. */
  readonly maxMessageBytes?: number;
  /** Whether clients may publish with a frame of protocol 1. Default false. */
  readonly publishOverSocket?: boolean;
  /** How often an awake shard renews its lease at the registry, ms, 1,000 to 60,000. Default 5,000. */
  readonly heartbeatIntervalMs?: number;
  /** Players that a room takes, 1 to its capacity. Such a room has one shard. Default: no limit but `capacity`. */
  readonly maxPlayers?: number;
  /**
   * How long a reserved seat is held, and kept for a player whose socket dropped, ms, 1,000 to
   * 600,000. Default 15,000.
   */
  readonly seatTtlMs?: number;
  /**
   * A server that was not heard of for so long is probed or taken for gone, ms, at least twice
   * `heartbeatIntervalMs`, at most 600,000. Default 15,000, or three heartbeats if that is more.
   */
  readonly leaseMs?: number;
  /**
   * Where rooms live: on shards, or on game servers outside. Default: on servers outside while one
   * that offers the type is registered, else on shards.
   */
  readonly hostedBy?: "shards" | "servers";
  /**
   * How often the state of a room that changed is stored, where the class has `getSnapshot`, ms, 1,000
   * to 3,600,000; 0 for never. A shard that has something to store stays awake until then. Default
   * 30,000.
   */
  readonly snapshotIntervalMs?: number;
  /** How long a snapshot is kept, ms, from `snapshotIntervalMs` to 2,592,000,000. Default 86,400,000. */
  readonly snapshotTtlMs?: number;
  /**
   * How long a client that connects waits at most, ms, 100 to 60,000; after half of that another
   * shard is tried. Default 10,000.
   */
  readonly connectTimeoutMs?: number;
};

/** Options of the whole deployment. Every one may be left out. */
export type DeploymentOptions = {
  /** Objects that share the registry's rooms, 1 to 64. Default 1. */
  readonly partitions?: number;
  /** Whether `GET rooms` and `POST reserve` need no admin token. Default false. */
  readonly openMatchmaking?: boolean;
};

export type Deployment = Required<DeploymentOptions>;

export type RoomType = {
  readonly name: string;
  readonly shards: ShardBounds;
  readonly failover: boolean;
  readonly capacity: number;
  readonly placement: PlacementStrategy;
  readonly regions: readonly Region[];
  readonly history: { readonly messages: number; readonly seconds: number };
  readonly maxMessageBytes: number;
  readonly publishOverSocket: boolean;
  readonly heartbeatIntervalMs: number;
  readonly maxPlayers: number | null;
  readonly seatTtlMs: number;
  readonly leaseMs: number;
  readonly hostedBy: "shards" | "servers" | null;
  readonly snapshotIntervalMs: number;
  readonly snapshotTtlMs: number;
  readonly connectTimeoutMs: number;
};

const maxBodyBytes = 1024 * 1024;

function within(name: string, min: number, max: number) {
  const allowed = `${name} must be a whole number from ${min} to ${max}`;
  return v.pipe(
    v.number(allowed),
    v.integer(allowed),
    v.minValue(min, allowed),
    v.maxValue(max, allowed),
  );
}

function zeroOrWithin(name: string, min: number, max: number) {
  const allowed = `${name} must be 0 or a whole number from ${min} to ${max}`;
  const isAllowed = (value: number): boolean => value === 0 || (value >= min && value <= max);
  return v.pipe(v.number(allowed), v.integer(allowed), v.check(isAllowed, allowed));
}

function wholeNumber(name: string, min: number, max: number, unset: number) {
  return v.optional(within(name, min, max), unset);
}

function wholeShards(name: string) {
  return within(name, 1, 1_000);
}

const regionList = `regions must be a list of ${regions.join(", ")}`;
const strategyList = `placement must be one of ${Object.keys(strategies).join(", ")}, or a function`;

const optionsSchema = strict(
  {
    shards: v.optional(
      v.union(
        [
          wholeShards("shards"),
          v.strictObject({ min: wholeShards("shards.min"), max: wholeShards("shards.max") }),
        ],
        "shards must be a whole number from 1 to 1000, or { min, max } of such numbers",
      ),
      1,
    ),
    failover: v.optional(v.boolean("failover must be true or false"), true),
    capacity: wholeNumber("capacity", 1, 32_000, 1_000),
    placement: v.optional(
      v.union(
        [
          v.custom<StrategyName>(isStrategyName),
          v.custom<PlacementStrategy>((value) => typeof value === "function"),
        ],
        strategyList,
      ),
      "least-connections",
    ),
    regions: v.optional(v.array(v.picklist(regions, regionList), regionList), []),
    history: v.optional(
      strict(
        {
          messages: wholeNumber("history.messages", 0, 100_000, 1_000),
          seconds: wholeNumber("history.seconds", 0, 86_400, 300),
        },
        "option",
      ),
      {},
    ),
    maxMessageBytes: wholeNumber("maxMessageBytes", 1, maxBodyBytes, maxBodyBytes),
    publishOverSocket: v.optional(v.boolean("publishOverSocket must be true or false"), false),
    heartbeatIntervalMs: wholeNumber("heartbeatIntervalMs", 1_000, 60_000, 5_000),
    maxPlayers: v.optional(within("maxPlayers", 1, 32_000)),
    seatTtlMs: wholeNumber("seatTtlMs", 1_000, 600_000, 15_000),
    leaseMs: v.optional(within("leaseMs", 2_000, 600_000)),
    hostedBy: v.optional(v.picklist(["shards", "servers"], "hostedBy must be shards or servers")),
    snapshotIntervalMs: v.optional(zeroOrWithin("snapshotIntervalMs", 1_000, 3_600_000), 30_000),
    snapshotTtlMs: wholeNumber("snapshotTtlMs", 1_000, 2_592_000_000, 86_400_000),
    connectTimeoutMs: wholeNumber("connectTimeoutMs", 100, 60_000, 10_000),
  },
  "option",
);

const deploymentSchema = strict(
  {
    partitions: wholeNumber("partitions", 1, maxPartitions, 1),
    openMatchmaking: v.optional(v.boolean("openMatchmaking must be true or false"), false),
  },
  "option",
);

/** What one option says of another. */
function contradiction(type: v.InferOutput<typeof optionsSchema>): string | null {
  const { min, max } = boundsOf(type.shards);
  if (min > max) return "shards.min must not exceed shards.max";
  if (type.regions.length > max) return `regions must not be more than the shards (${max})`;
  if (type.maxPlayers !== undefined && max > 1) {
    return "maxPlayers needs a room of one shard: leave shards out or set it to 1";
  }
  if (type.maxPlayers !== undefined && type.maxPlayers > type.capacity) {
    return `maxPlayers must not exceed capacity (${type.capacity})`;
  }
  if (type.leaseMs !== undefined && type.leaseMs < 2 * type.heartbeatIntervalMs) {
    return `leaseMs must be at least twice heartbeatIntervalMs (${type.heartbeatIntervalMs})`;
  }
  if (type.snapshotTtlMs < type.snapshotIntervalMs) {
    return `snapshotTtlMs must be at least snapshotIntervalMs (${type.snapshotIntervalMs})`;
  }
  return null;
}

function boundsOf(shards: number | ShardBounds): ShardBounds {
  return typeof shards === "number" ? { min: shards, max: shards } : shards;
}

function isStrategyName(value: unknown): value is StrategyName {
  return typeof value === "string" && Object.hasOwn(strategies, value);
}

const typeNamePattern = /^[A-Za-z0-9._~-]{1,64}$/;

/** A deployment's room types, checked and completed. */
export class Rooms {
  readonly deployment: Deployment;
  readonly #types: ReadonlyMap<string, RoomType>;

  constructor(types: ReadonlyMap<string, RoomType>, deployment: Deployment) {
    this.deployment = deployment;
    this.#types = types;
  }

  /** The type with this name, if the deployment has one. */
  type(name: string): RoomType | undefined {
    return this.#types.get(name);
  }

  /** The registry's partition that keeps the room. */
  partitionOf(room: RoomId): string {
    return partitionOf(room, this.deployment.partitions);
  }

  /** The type of a room, or `undefined` when the deployment has no such type. */
  typeOf(room: RoomId): RoomType | undefined {
    return this.#types.get(roomType(room));
  }

  names(): string[] {
    return [...this.#types.keys()];
  }

  /** The same types for a host that places its objects itself. */
  withoutRegions(): Rooms {
    const types = Array.from(
      this.#types,
      ([name, type]) => [name, { ...type, regions: [] }] as const,
    );
    return new Rooms(new Map(types), this.deployment);
  }
}

/**
 * Declares a deployment's room types. A room is of the type that its id names before the first
 * colon, or of `default`, which always exists.
 *
 * Throws a `TypeError` that says what is allowed when a name or an option is impossible.
 */
export function defineRooms(
  types: Readonly<Record<string, RoomTypeOptions>>,
  deployment: DeploymentOptions = {},
): Rooms {
  const whole = v.safeParse(deploymentSchema, deployment);
  if (!whole.success) throw new TypeError(`Deployment: ${describeIssues(whole.issues)}`);
  if (!isRecord(types)) {
    throw new TypeError("Room types must be an object of names and options, such as { game: {} }");
  }
  const complete = new Map<string, RoomType>();
  for (const [name, given] of Object.entries({ [defaultRoomType]: {}, ...types })) {
    if (!typeNamePattern.test(name)) {
      throw new TypeError(
        `Room type "${name}" is impossible: use 1 to 64 characters of A–Z a–z 0–9 . _ ~ -`,
      );
    }
    const parsed = v.safeParse(optionsSchema, given);
    if (!parsed.success) {
      throw new TypeError(`Room type "${name}": ${describeIssues(parsed.issues)}`);
    }
    const wrong = contradiction(parsed.output);
    if (wrong !== null) throw new TypeError(`Room type "${name}": ${wrong}`);
    const { placement, maxPlayers = null, hostedBy = null, ...rest } = parsed.output;
    const { leaseMs = Math.max(15_000, 3 * rest.heartbeatIntervalMs) } = rest;
    const strategy = typeof placement === "function" ? placement : strategies[placement];
    const shards = boundsOf(rest.shards);
    const type = { ...rest, name, shards, placement: strategy, maxPlayers, hostedBy, leaseMs };
    complete.set(name, type);
  }
  return new Rooms(complete, whole.output);
}

/** As it comes from code without types. */
function isRecord(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The ids of the shards that a room begins with, in ascending order. */
export function shardsOf(room: RoomId, type: RoomType): ShardId[] {
  return Array.from({ length: type.shards.min }, (_, index) => shardId(room, index + 1));
}

/** What is wrong with a room's own limit, if anything is: one shard counts its players. */
export function wrongLimit(type: RoomType, maxPlayers: number | null): string | null {
  if (maxPlayers === null) return null;
  if (type.shards.max > 1)
    return `rooms of type "${type.name}" have several shards and no maxPlayers`;
  const most = type.maxPlayers ?? type.capacity;
  if (maxPlayers >= 1 && maxPlayers <= most) return null;
  return `maxPlayers must be from 1 to ${most} in rooms of type "${type.name}"`;
}
