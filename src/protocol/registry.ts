/**
 * What the registry tells and is told over HTTP: rooms, servers, routes, seats, locks and events, and
 * the only parsing of request bodies. Times are epoch milliseconds. Knows nothing of HTTP itself.
 */
import * as v from "valibot";
import { describeIssues, strict } from "./issues.ts";
import { jsonBytes } from "./json.ts";
import { failure, success, type Result } from "./result.ts";

const maxMetadataBytes = 16 * 1024;
const maxIdLength = 128;
/** A player's, server's or lock's name: printable ASCII without spaces. */
const idPattern = /^[\x21-\x7e]+$/;
const idRule = `1 to ${maxIdLength} printable ASCII characters without spaces`;

export const idSchema = v.pipe(
  v.string(idRule),
  v.minLength(1, idRule),
  v.maxLength(maxIdLength, idRule),
  v.regex(idPattern, idRule),
);

/** Whether this may be the name of a player, a server or a lock. */
export function isRegistryId(text: string): boolean {
  return text.length <= maxIdLength && idPattern.test(text);
}

function wholeNumber(min: number, max: number) {
  const rule = `a whole number from ${min} to ${max}`;
  return v.pipe(v.number(rule), v.integer(rule), v.minValue(min, rule), v.maxValue(max, rule));
}

/** Any JSON object of at most 16 KiB; scalars at its top level can be queried. */
const metadataSchema = v.pipe(
  // An array would pass for a record.
  v.custom<Readonly<Record<string, unknown>>>((value) => !Array.isArray(value), "a JSON object"),
  v.record(v.string(), v.unknown()),
  v.check(
    (value) => (jsonBytes(value) ?? Infinity) <= maxMetadataBytes,
    `metadata of at most ${maxMetadataBytes} bytes as JSON, not nested deeply`,
  ),
);
export type Metadata = Readonly<Record<string, unknown>>;

const scalarSchema = v.union([v.string(), v.number(), v.boolean()]);
export type Scalar = v.InferOutput<typeof scalarSchema>;

/** Location hints of Durable Objects (Cloudflare, "Data location", 2026). */
export const regions = ["wnam", "enam", "sam", "weur", "eeur", "apac", "oc", "afr", "me"] as const;
export type Region = (typeof regions)[number];
const regionSchema = v.picklist(regions, `one of ${regions.join(", ")}`);

const ttlSchema = wholeNumber(1_000, 600_000);
const playerLimitSchema = wholeNumber(1, 32_000);

/** Fields of rooms that a caller asks for; a room must have all of them. */
const roomQuerySchema = strict({
  /** A seat is free. */
  hasSpace: v.optional(v.boolean()),
  notLocked: v.optional(v.boolean()),
  metadata: v.optional(v.record(v.string(), scalarSchema)),
});
export type RoomQuery = v.InferOutput<typeof roomQuerySchema>;

const roomIdSchema = v.string();
const roomTypeSchema = v.string();

export const defaultKeepMs = 300_000;

/** One start of a game server outside. */
const tenantEntries = { serverId: idSchema, instance: idSchema };

/** Why a room's state could not be stored, or not be taken up: what metrics count it by. */
const snapshotFailureReasons = [
  "snapshot_threw",
  "snapshot_late",
  "snapshot_impossible",
  "snapshot_too_large",
  "snapshot_unstored",
  "restore_threw",
  "restore_late",
  "snapshot_foreign",
  "snapshot_damaged",
] as const;
const maxDetailUnits = 500;
const detailSchema = v.pipe(v.string(), v.maxLength(maxDetailUnits));

const bodies = {
  /** `POST rooms`. */
  createRoom: strict({
    type: roomTypeSchema,
    /** Default: a new id of the type. */
    roomId: v.optional(roomIdSchema),
    metadata: v.optional(metadataSchema, {}),
    /** At most the type's; only for types of one shard. */
    maxPlayers: v.optional(playerLimitSchema),
    isLocked: v.optional(v.boolean(), false),
    /** The server that asks, for strategies that prefer it. */
    serverId: v.optional(idSchema),
    /** How long the entry stays while nobody is in the room, ms. Default 300,000. */
    keepMs: v.optional(wholeNumber(0, 31_536_000_000), defaultKeepMs),
  }),
  /** `PATCH rooms/:id`. */
  changeRoom: strict({
    isLocked: v.optional(v.boolean()),
    metadata: v.optional(metadataSchema),
  }),
  /** `POST rooms/:id/resize`: within the type's bounds; `null` to follow the audience again. */
  resizeRoom: strict({ shards: v.nullable(wholeNumber(1, 1_000)) }),
  /** `POST rooms/:id/migrate`: a shard by its own name, or by its slot's, such as `my-room-1`; or a server. */
  migrateShard: strict({
    from: v.string(),
    /** Of a game server outside, which lets go of the room: this start of it. */
    instance: v.optional(idSchema),
  }),
  /** `POST snapshots/:id/transfer`: of a game server that stores or takes up a room's state. */
  transferSnapshot: v.variant("type", [
    strict({
      type: v.literal("begin"),
      ...tenantEntries,
      /** Rises with every snapshot of the server's process. */
      seq: wholeNumber(1, Number.MAX_SAFE_INTEGER),
      /** SHA-256 of each part in hexadecimal, in order; each part but the last has 524,288 characters. */
      digests: v.pipe(v.array(v.string()), v.minLength(1), v.maxLength(64)),
    }),
    strict({
      type: v.literal("part"),
      id: v.string(),
      index: wholeNumber(0, 63),
      text: v.string(),
    }),
    /** From here on this is the room's snapshot. */
    strict({ type: v.literal("commit"), ...tenantEntries, id: v.string() }),
    /** What went wrong with the state since this was last said, and how it is with it now. */
    strict({
      type: v.literal("state"),
      ...tenantEntries,
      failures: v.pipe(
        v.array(strict({ reason: v.picklist(snapshotFailureReasons), detail: detailSchema })),
        v.maxLength(snapshotFailureReasons.length),
      ),
      /** Until a snapshot was stored again. */
      error: v.nullable(detailSchema),
      /** What a heartbeat's answer asked for, and why it came to nothing if it did. */
      done: v.exactOptional(
        strict({
          order: v.string(),
          problem: v.exactOptional(strict({ code: v.string(), detail: detailSchema })),
        }),
      ),
    }),
    strict({ type: v.literal("newest") }),
    strict({ type: v.literal("read"), id: v.string(), index: wholeNumber(0, 63) }),
  ]),
  /** `POST route`. */
  route: strict({
    roomType: roomTypeSchema,
    roomId: v.optional(roomIdSchema),
    playerId: idSchema,
    /** The server that asks: a room of its own is `local`. */
    serverId: v.optional(idSchema),
    query: v.optional(roomQuerySchema, {}),
    region: v.optional(regionSchema),
  }),
  /** `POST reserve`: one player, or a group that gets seats in one room or none. */
  reserve: strict({
    roomType: roomTypeSchema,
    roomId: v.optional(roomIdSchema),
    playerId: v.optional(idSchema),
    playerIds: v.optional(v.pipe(v.array(idSchema), v.minLength(1), v.maxLength(100))),
    query: v.optional(roomQuerySchema, {}),
    /** How long the seat is held, ms, 1,000 to 600,000. Default: the type's `seatTtlMs`. */
    ttlMs: v.optional(ttlSchema),
    /** The server that asks, for strategies that prefer it. */
    serverId: v.optional(idSchema),
    region: v.optional(regionSchema),
  }),
  /** `POST servers`. */
  registerServer: strict({
    serverId: idSchema,
    /** A host name, or a WebSocket URL. */
    address: v.pipe(v.string(), v.minLength(1), v.maxLength(512)),
    port: v.optional(wholeNumber(1, 65_535)),
    /** Rooms that it takes at most. Default 100. */
    capacity: v.optional(wholeNumber(0, 1_000_000), 100),
    /** Room types that it hosts. */
    roomTypes: v.pipe(v.array(roomTypeSchema), v.minLength(1), v.maxLength(100)),
    metadata: v.optional(metadataSchema, {}),
    region: v.optional(regionSchema),
    /** This start of the server's process: another one has none of its rooms. */
    instance: idSchema,
  }),
  /** `PUT servers/:id/heartbeat`. */
  heartbeat: strict({
    instance: idSchema,
    /** The registry's time as the server knows it from the last answer; 0 before the first. */
    asOf: wholeNumber(0, Number.MAX_SAFE_INTEGER),
    /** Rooms that are not named are as they were in the report before; else they are no more. */
    isPartial: v.exactOptional(v.literal(true)),
    rooms: v.pipe(
      v.array(
        strict({
          roomId: roomIdSchema,
          players: v.pipe(v.array(idSchema), v.maxLength(32_000)),
          /** Ids of seats that were taken and are not free again. */
          seats: v.pipe(v.array(idSchema), v.maxLength(32_000)),
        }),
      ),
      v.maxLength(100_000),
    ),
  }),
  /** `POST locks/:key`. */
  acquireLock: strict({ ttlMs: ttlSchema }),
  /** `PUT locks/:key`. */
  extendLock: strict({ token: wholeNumber(1, Number.MAX_SAFE_INTEGER), ttlMs: ttlSchema }),
  /** `DELETE locks/:key`. */
  releaseLock: strict({ token: wholeNumber(1, Number.MAX_SAFE_INTEGER) }),
  /** `POST events`: a message between servers about a room; up to 16 KiB. */
  announce: strict({
    type: v.literal("room:message"),
    roomId: roomIdSchema,
    data: v.unknown(),
  }),
} as const;

export type BodyName = keyof typeof bodies;
export type BodyOf<Name extends BodyName> = v.InferOutput<(typeof bodies)[Name]>;
/** The same before defaults: what a caller writes. */
export type BodyInput<Name extends BodyName> = v.InferInput<(typeof bodies)[Name]>;

export function parseBody<Name extends BodyName>(
  name: Name,
  value: unknown,
): Result<BodyOf<Name>, "malformed-body"> {
  if (Array.isArray(value)) return failure("malformed-body", "the body must be a JSON object");
  const parsed = v.safeParse(bodies[name], value);
  if (!parsed.success) return failure("malformed-body", describeIssues(parsed.issues));
  return success(parsed.output);
}

export type ServerStatus = "online" | "draining" | "offline";

/** A shard, or a game server outside. */
export type ServerRegistration = {
  readonly serverId: string;
  readonly kind: "shard" | "server";
  readonly address: string;
  readonly port?: number;
  readonly status: ServerStatus;
  readonly roomTypes: readonly string[];
  readonly roomCount: number;
  readonly playerCount: number;
  /** Rooms of a server outside, sockets of a shard. */
  readonly capacity: number;
  readonly lastHeartbeat: number;
  readonly metadata: Metadata;
  readonly region?: Region;
};

export type RoomRegistration = {
  readonly roomId: string;
  readonly roomType: string;
  /** The first of `serverIds`. */
  readonly serverId: string;
  readonly serverIds: readonly string[];
  /** Where clients connect. */
  readonly address: string;
  readonly playerCount: number;
  readonly maxPlayers?: number;
  readonly isLocked: boolean;
  readonly metadata: Metadata;
  readonly createdAt: number;
  readonly updatedAt: number;
  /** Of a room on a server outside: what is wrong with its state, until a snapshot is stored again. */
  readonly snapshotError?: string;
};

/** How a client joins: the party and room of a `PartySocket`, with this query. */
export type ConnectAddress = {
  readonly party: "router";
  readonly room: string;
  readonly query: Readonly<Record<string, string>>;
};

export type RouteAnswer =
  | { readonly type: "local"; readonly roomId: string }
  | {
      readonly type: "redirect";
      readonly roomId: string;
      readonly serverId: string;
      /** Where clients of the room connect. */
      readonly serverAddress: string;
      /** For rooms on shards. */
      readonly connect?: ConnectAddress;
    }
  /**
   * No room fits: a `reserve` would create one, on this server if the type is hosted outside, as far
   * as that can be said before: others may come first, and a strategy may draw at random.
   */
  | { readonly type: "create"; readonly serverId?: string; readonly serverAddress?: string }
  | { readonly type: "unavailable"; readonly reason: string };

export type ReservedSeat = {
  readonly id: string;
  readonly playerId: string;
  readonly expiresAt: number;
  readonly ticket: string;
};

export type Reservation = {
  readonly roomId: string;
  readonly serverId: string;
  /** The only or first player's. */
  readonly seat: { readonly id: string; readonly expiresAt: number };
  readonly ticket: string;
  /** One for each player of a group, in order. */
  readonly seats: readonly ReservedSeat[];
  readonly connect: ConnectAddress;
  /** For rooms on a server outside: where to connect instead. */
  readonly redirect?: string;
};

export type HeartbeatAnswer = {
  /** The registry's time. */
  readonly now: number;
  readonly status: ServerStatus;
  readonly leaseMs: number;
  readonly heartbeatIntervalMs: number;
  /** Rooms of the report that are not placed on this server: it closes them. */
  readonly dispose: readonly string[];
  /** What it is to do with the state of rooms, once each; asked again until it has said how it went. */
  readonly orders?: readonly SnapshotOrder[];
};

/** To store a room's state as it is now, or to take the newest snapshot up again. */
export type SnapshotOrder = {
  readonly order: string;
  readonly roomId: string;
  readonly type: "takeSnapshot" | "restoreSnapshot";
};

export type LockGrant = {
  readonly key: string;
  readonly token: number;
  readonly expiresAt: number;
};

/** What went wrong with a room's state. */
export type SnapshotFailure = {
  /** The kind that metrics count it by, such as `snapshot_threw`. */
  readonly reason: string;
  /** One sentence; up to 500 characters. */
  readonly detail: string;
};

/** What an event says beyond its type, number and time. */
export type RegistryEventBody =
  | { readonly type: "server:online" | "server:draining"; readonly serverId: string }
  | { readonly type: "server:offline"; readonly serverId: string; readonly reason: string }
  | { readonly type: "room:created"; readonly roomId: string; readonly serverId: string }
  | { readonly type: "room:disposed"; readonly roomId: string; readonly reason: string }
  | {
      readonly type: "room:updated";
      readonly roomId: string;
      readonly isLocked: boolean;
      readonly metadata: Metadata;
    }
  | { readonly type: "room:message"; readonly roomId: string; readonly data: unknown }
  | {
      readonly type: "room:migrated";
      readonly roomId: string;
      readonly from: string;
      readonly to: string;
    }
  /** The room is served on, and the snapshot before stays. `serverId` is the shard, or the server outside. */
  | ({
      readonly type: "snapshot:failed";
      readonly roomId: string;
      readonly serverId: string;
    } & SnapshotFailure)
  /** With `playerId` for rooms with `maxPlayers`, with `count` for others. */
  | {
      readonly type: "player:joined" | "player:left";
      readonly roomId: string;
      readonly playerId?: string;
      readonly count?: number;
      readonly playerCount: number;
    };

/** `seq` counts up without gaps for all subscribers; a gap tells of events that were lost. */
export type RegistryEvent = RegistryEventBody & { readonly seq: number; readonly at: number };
