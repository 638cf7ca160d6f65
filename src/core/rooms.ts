/**
 * Room types: what a deployment may configure, the defaults, and the check of both when the code
 * loads. Knows nothing of rooms that exist.
 */
import * as v from "valibot";
import {
  defaultRoomType,
  roomType,
  shardId,
  type RoomId,
  type ShardId,
} from "../protocol/names.ts";
import { strategies, type PlacementStrategy, type StrategyName } from "./placement.ts";

/** Options of a room type. Every one may be left out. */
export type RoomTypeOptions = {
  /** Number of shards, 1 to 1,000. Default 1. */
  readonly shards?: number;
  /** Sockets a shard admits, 1 to 32,000 (the platform holds 32,768). Default 1,000. */
  readonly capacity?: number;
  /** Which shard takes the next socket: a strategy's name or a function. Default `least-connections`. */
  readonly placement?: StrategyName | PlacementStrategy;
  /** What the log keeps for those who come late. Both bounds hold. Default 1,000 messages, 300 s. */
  readonly history?: { readonly messages?: number; readonly seconds?: number };
  /** Largest body of one POST, in bytes, 1 to 1 MiB. Default 1 MiB. */
  readonly maxMessageBytes?: number;
  /** Whether clients may publish with a frame of protocol 1. Default false. */
  readonly publishOverSocket?: boolean;
  /** How often an awake shard renews its lease at the registry, ms, 1,000 to 60,000. Default 5,000. */
  readonly heartbeatIntervalMs?: number;
  /**
   * How long a client that connects waits at most, ms, 100 to 60,000; after half of that another
   * shard is tried. Default 10,000.
   */
  readonly connectTimeoutMs?: number;
};

export type RoomType = {
  readonly name: string;
  readonly shards: number;
  readonly capacity: number;
  readonly placement: PlacementStrategy;
  readonly history: { readonly messages: number; readonly seconds: number };
  readonly maxMessageBytes: number;
  readonly publishOverSocket: boolean;
  readonly heartbeatIntervalMs: number;
  readonly connectTimeoutMs: number;
};

const maxBodyBytes = 1024 * 1024;

function wholeNumber(name: string, min: number, max: number, unset: number) {
  const allowed = `${name} must be a whole number from ${min} to ${max}`;
  return v.optional(
    v.pipe(
      v.number(allowed),
      v.integer(allowed),
      v.minValue(min, allowed),
      v.maxValue(max, allowed),
    ),
    unset,
  );
}

const strategyList = `placement must be one of ${Object.keys(strategies).join(", ")}, or a function`;

/** An object of these options and no others. */
function options<const Entries extends v.ObjectEntries>(what: string, entries: Entries) {
  return v.strictObject(entries, `${what} is an object of ${Object.keys(entries).join(", ")}`);
}

const optionsSchema = options("a room type", {
  shards: wholeNumber("shards", 1, 1_000, 1),
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
  history: v.optional(
    options("history", {
      messages: wholeNumber("history.messages", 0, 100_000, 1_000),
      seconds: wholeNumber("history.seconds", 0, 86_400, 300),
    }),
    {},
  ),
  maxMessageBytes: wholeNumber("maxMessageBytes", 1, maxBodyBytes, maxBodyBytes),
  publishOverSocket: v.optional(v.boolean("publishOverSocket must be true or false"), false),
  heartbeatIntervalMs: wholeNumber("heartbeatIntervalMs", 1_000, 60_000, 5_000),
  connectTimeoutMs: wholeNumber("connectTimeoutMs", 100, 60_000, 10_000),
});

function isStrategyName(value: unknown): value is StrategyName {
  return typeof value === "string" && Object.hasOwn(strategies, value);
}

const typeNamePattern = /^[A-Za-z0-9._~-]{1,64}$/;

/** A deployment's room types, checked and completed. */
export class Rooms {
  readonly #types: ReadonlyMap<string, RoomType>;

  constructor(types: ReadonlyMap<string, RoomType>) {
    this.#types = types;
  }

  /** The type of a room, or `undefined` when the deployment has no such type. */
  typeOf(room: RoomId): RoomType | undefined {
    return this.#types.get(roomType(room));
  }

  names(): string[] {
    return [...this.#types.keys()];
  }
}

/**
 * Declares a deployment's room types. A room is of the type that its id names before the first
 * colon, or of `default`, which always exists.
 *
 * Throws a `TypeError` that says what is allowed when a name or an option is impossible.
 */
export function defineRooms(types: Readonly<Record<string, RoomTypeOptions>>): Rooms {
  const complete = new Map<string, RoomType>();
  for (const [name, given] of Object.entries({ [defaultRoomType]: {}, ...types })) {
    if (!typeNamePattern.test(name)) {
      throw new TypeError(
        `Room type "${name}" is impossible: use 1 to 64 characters of A–Z a–z 0–9 . _ ~ -`,
      );
    }
    const parsed = v.safeParse(optionsSchema, given);
    if (!parsed.success) {
      throw new TypeError(`Room type "${name}": ${v.summarize(parsed.issues)}`);
    }
    const { placement, ...rest } = parsed.output;
    const strategy = typeof placement === "function" ? placement : strategies[placement];
    complete.set(name, { ...rest, name, placement: strategy });
  }
  return new Rooms(complete);
}

/** The ids of a room's shards, in ascending order. */
export function shardsOf(room: RoomId, type: RoomType): ShardId[] {
  return Array.from({ length: type.shards }, (_, index) => shardId(room, index + 1));
}
