/**
 * Calls to the registry's partitions: their requests and replies. A room's calls go to its own
 * partition; calls about servers outside and events go to the hub.
 */
import * as v from "valibot";
import { snapshotRequests, type SnapshotInfo, type SnapshotReplies } from "./snapshot.ts";
import { isRoomId, isShardId, type RoomId, type ShardId } from "./names.ts";
import type {
  HeartbeatAnswer,
  LockGrant,
  Metadata,
  RegistryEventBody,
  RoomQuery,
  RoomRegistration,
  RouteAnswer,
  ServerRegistration,
  ServerStatus,
  SnapshotOrder,
  BodyOf,
  Region,
} from "./registry.ts";

const roomSchema = v.custom<RoomId>((value) => typeof value === "string" && isRoomId(value));
const shardSchema = v.custom<ShardId>((value) => typeof value === "string" && isShardId(value));
const countSchema = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const countersSchema = v.record(v.string(), countSchema);
const regionSchema = v.nullable(v.custom<Region>((value) => typeof value === "string"));
const serverSchema = v.optional(v.nullable(v.string()));
const snapshotFailureSchema = v.strictObject({ reason: v.string(), detail: v.string() });
const metadataSchema = v.custom<Metadata>((value) => typeof value === "object" && value !== null);
const querySchema = v.custom<RoomQuery>((value) => typeof value === "object" && value !== null);
/** One start of a server outside. */
const tenantSchema = v.strictObject({ server: v.string(), instance: v.string() });
const eventSchema = v.custom<TimedEvent>((value) => typeof value === "object" && value !== null);

/** An event where it arose; the hub numbers it. */
export type TimedEvent = RegistryEventBody & { readonly at: number };

export const registryRequestSchema = v.variant("type", [
  v.strictObject({
    type: v.literal("table"),
    room: roomSchema,
    /** A client found no place, whatever the table said. */
    isRefusing: v.exactOptional(v.boolean()),
    /** What the gate counted since its last call: problems by code. */
    counters: countersSchema,
  }),
  v.strictObject({
    type: v.literal("report"),
    shard: shardSchema,
    connections: countSchema,
    /** Players that have a seat taken, where the room has `maxPlayers`; else `null`. */
    players: v.nullable(v.array(v.string())),
    /** Seats that are held and not taken yet. */
    reserved: countSchema,
    /** When this was so, by the shard's clock: one that was overtaken on its way changes nothing. */
    at: v.optional(countSchema),
    /** Left out: `online`. */
    status: v.exactOptional(v.picklist(["online", "draining"])),
    counters: countersSchema,
    /** What went wrong with its state since the last report that arrived, if anything did. */
    failures: v.exactOptional(v.array(snapshotFailureSchema)),
  }),
  /** What shards of the room told the sequencer on their links, which gathers it for a moment. */
  v.strictObject({
    type: v.literal("reports"),
    room: roomSchema,
    loads: v.array(
      v.strictObject({
        shard: shardSchema,
        connections: countSchema,
        reserved: countSchema,
        at: countSchema,
      }),
    ),
  }),
  /** A sequencer or gate could not reach these shards. Evidence, no verdict: the registry probes. */
  v.strictObject({
    type: v.literal("suspect"),
    shard: shardSchema,
    /** The platform answered that the first has too much to do: it lives, and is to be left alone. */
    isOverloaded: v.exactOptional(v.boolean()),
    /** Of the same room. */
    others: v.exactOptional(v.array(shardSchema)),
  }),
  /** The room is to have so many shards, or as many as its audience needs again (`null`). */
  v.strictObject({
    type: v.literal("resize"),
    room: roomSchema,
    shards: v.nullable(countSchema),
  }),
  /** Every shard of the room. Unlike `table`, it enters nothing. */
  v.strictObject({ type: v.literal("layout"), room: roomSchema }),
  /** Clients of the shard are to be moved to a fresh object of its slot. */
  v.strictObject({ type: v.literal("migrate"), shard: shardSchema }),
  /** The shard takes no new sockets, is emptied, and leaves the room. */
  v.strictObject({ type: v.literal("drainShard"), shard: shardSchema }),
  v.strictObject({ type: v.literal("count"), counters: countersSchema }),
  /** Rooms that may owe something to clients, after `after`: a page of them. */
  v.strictObject({ type: v.literal("sweep"), after: v.optional(v.nullable(v.string())) }),
  /** Of all partitions when the hub is asked. */
  v.strictObject({ type: v.literal("metrics") }),
  /** Of this partition. */
  v.strictObject({ type: v.literal("figures") }),

  /** Rooms after `after` in order of their ids, at most `limit`. */
  v.strictObject({
    type: v.literal("rooms"),
    roomType: v.nullable(v.string()),
    query: querySchema,
    after: v.nullable(v.string()),
    limit: countSchema,
  }),
  v.strictObject({ type: v.literal("room"), room: roomSchema }),
  v.strictObject({
    type: v.literal("create"),
    room: roomSchema,
    metadata: metadataSchema,
    maxPlayers: v.nullable(countSchema),
    isLocked: v.boolean(),
    keepMs: countSchema,
    region: regionSchema,
    /** The server that asks. */
    server: serverSchema,
  }),
  v.strictObject({
    type: v.literal("change"),
    room: roomSchema,
    isLocked: v.optional(v.boolean()),
    metadata: v.optional(metadataSchema),
  }),
  v.strictObject({ type: v.literal("dispose"), room: roomSchema }),
  /** Which room of the type, or this one, a player would go to. Changes nothing. */
  v.strictObject({
    type: v.literal("route"),
    roomType: v.string(),
    room: v.nullable(roomSchema),
    player: v.string(),
    server: v.nullable(v.string()),
    query: querySchema,
  }),
  /**
   * Holds a seat for each player in one room: `room`, or an open one, or `create` when there is none
   * in this partition (the gate has asked the others and chose the new id's partition).
   */
  v.strictObject({
    type: v.literal("reserve"),
    roomType: v.string(),
    room: v.nullable(roomSchema),
    players: v.array(v.string()),
    query: querySchema,
    ttlMs: v.nullable(countSchema),
    region: regionSchema,
    /** The server that asks. */
    server: serverSchema,
    create: v.nullable(roomSchema),
    /** They had seats in the room where it was before, and come back also where it is locked. */
    isReturning: v.exactOptional(v.boolean()),
  }),

  /** Shards of this partition's rooms, and at the hub servers outside, after `after` in order of ids. */
  v.strictObject({
    type: v.literal("servers"),
    kind: v.nullable(v.picklist(["shard", "server"])),
    roomType: v.nullable(v.string()),
    after: v.nullable(v.string()),
    limit: countSchema,
  }),
  /** To the hub: servers outside. */
  v.strictObject({
    type: v.literal("register"),
    server: v.custom<BodyOf<"registerServer">>((value) => typeof value === "object"),
  }),
  v.strictObject({
    type: v.literal("heartbeat"),
    server: v.string(),
    report: v.custom<BodyOf<"heartbeat">>((value) => typeof value === "object"),
  }),
  v.strictObject({ type: v.literal("drain"), server: v.string() }),
  v.strictObject({ type: v.literal("unregister"), server: v.string() }),
  /** From a partition to the hub: a server for a new room, or `null` when shards host the type. */
  v.strictObject({
    type: v.literal("allocate"),
    room: roomSchema,
    /** For sticky placement. */
    key: v.string(),
    region: regionSchema,
    /** The server that asked for the room. */
    local: serverSchema,
    /** The room is there no longer, and is to go to any other. */
    leaving: v.exactOptional(tenantSchema),
  }),
  /** To the hub: the server that a new room would be given, or `null` for shards. Changes nothing. */
  v.strictObject({
    type: v.literal("offer"),
    roomType: v.string(),
    key: v.string(),
    region: regionSchema,
    /** The server that asked. */
    local: serverSchema,
  }),
  /** From a partition to the hub: the room is no more. */
  v.strictObject({
    type: v.literal("vacate"),
    room: roomSchema,
    server: v.string(),
    /** When that was decided: a room that was given out since stays. */
    at: v.optional(countSchema),
  }),
  /** From the hub to a partition: what a server says of its rooms there. */
  v.strictObject({
    type: v.literal("hosted"),
    server: v.string(),
    instance: v.string(),
    asOf: countSchema,
    rooms: v.array(
      v.strictObject({
        room: roomSchema,
        players: v.array(v.string()),
        seats: v.array(v.string()),
      }),
    ),
  }),
  /** From a server outside that has let go of the room: it is to go to another one. */
  v.strictObject({
    type: v.literal("relocate"),
    room: roomSchema,
    server: v.string(),
    instance: v.string(),
  }),
  /**
   * From a server outside that has the room: begins a newer snapshot than any before, and makes it the
   * room's. In between come its parts. `seq` rises with every snapshot of the server's process.
   */
  v.strictObject({
    type: v.literal("beginHosted"),
    room: roomSchema,
    server: v.string(),
    instance: v.string(),
    seq: countSchema,
    digests: v.array(v.string()),
  }),
  v.strictObject({
    type: v.literal("commitHosted"),
    room: roomSchema,
    server: v.string(),
    instance: v.string(),
    id: v.string(),
  }),
  /**
   * From a server outside: what went wrong with the room's state, how it is with it now, and how what
   * it was asked to do with it ended.
   */
  v.strictObject({
    type: v.literal("hostedState"),
    room: roomSchema,
    server: v.string(),
    instance: v.string(),
    failures: v.array(snapshotFailureSchema),
    error: v.nullable(v.string()),
    done: v.exactOptional(
      v.strictObject({
        order: v.string(),
        problem: v.exactOptional(v.strictObject({ code: v.string(), detail: v.string() })),
      }),
    ),
  }),
  /** Has the server outside that has the room store its state now, or take the newest one up again. */
  v.strictObject({ type: v.literal("takeSnapshot"), room: roomSchema }),
  v.strictObject({ type: v.literal("restoreSnapshot"), room: roomSchema }),
  /** From the hub to a partition: this start of the server is gone, and these rooms leave it. */
  v.strictObject({
    type: v.literal("gone"),
    server: v.string(),
    instance: v.string(),
    rooms: v.array(roomSchema),
  }),

  v.strictObject({ type: v.literal("lock"), key: v.string(), ttlMs: countSchema }),
  v.strictObject({
    type: v.literal("extend"),
    key: v.string(),
    token: countSchema,
    ttlMs: countSchema,
  }),
  v.strictObject({ type: v.literal("release"), key: v.string(), token: countSchema }),

  /** From a partition to the hub. */
  v.strictObject({
    type: v.literal("events"),
    events: v.array(eventSchema),
    /** Events that the partition could not keep. */
    lost: countSchema,
    /** The same for a batch that is sent again: it is published once. */
    batch: v.optional(v.string()),
  }),
  /** From the hub: somebody has subscribed to events. */
  v.strictObject({ type: v.literal("heard") }),
  /** From the hub to a former partition: rows that belong elsewhere are to go there. */
  v.strictObject({ type: v.literal("handOver") }),
  /** From a former partition: rows of this one. Those that are there already stay as they are. */
  v.strictObject({ type: v.literal("adopt"), rows: v.record(v.string(), v.unknown()) }),

  ...snapshotRequests,
]);

type ShardStatus = ServerStatus;

/** A shard as placement sees it. */
export type ShardLoad = {
  readonly id: ShardId;
  readonly status: ShardStatus;
  readonly connections: number;
  readonly capacity: number;
  /** Rises when the slot gets a new object; only the newest generation serves. */
  readonly generation: number;
  /** When `connections` was true, epoch milliseconds. */
  readonly reportedAt: number;
  /** Where the shard is, if its type names regions. */
  readonly region?: Region;
};

/** `address` is `null` where the gate knows it: rooms on shards are at its own address. */
export type RoomListing = Omit<RoomRegistration, "address"> & { readonly address: string | null };

export type RoomOrder = SnapshotOrder & { readonly roomId: RoomId };

export type HeldSeats = {
  readonly room: RoomId;
  /** A shard, or a server outside. */
  readonly server: string;
  /** Of a server outside: the start of it that has the room. */
  readonly instance?: string;
  /** Address of the room on a server outside; `null` on shards. */
  readonly redirect: string | null;
  readonly expiresAt: number;
  readonly seats: readonly { readonly id: string; readonly player: string }[];
};

export type Figures = {
  /** Rooms that have clients. */
  readonly rooms: number;
  readonly connections: number;
  readonly counters: Readonly<Record<string, number>>;
};

export type RegistryReplies = SnapshotReplies & {
  table: {
    readonly shards: readonly ShardLoad[];
    readonly isLocked: boolean;
    /** Address of the room when it is on a server outside. */
    readonly redirect: string | null;
    /** The start of that server which has it. */
    readonly instance?: string;
  };
  /** Fails with `fenced` when a later generation serves the slot. */
  report: null;
  /** Shards whose load is to be told again: their room is being disposed of. */
  reports: { readonly again: readonly ShardId[] };
  suspect: null;
  layout: { readonly shards: readonly ShardLoad[] };
  resize: RoomListing;
  migrate: RoomListing;
  drainShard: null;
  count: null;
  /** `through`: what to ask for next as `after`, or `null` when there are no more. */
  sweep: { readonly rooms: readonly RoomId[]; readonly through: string | null };
  metrics: { readonly text: string };
  figures: Figures;
  /** `through`: the last id looked at when there may be more, else `null`. */
  rooms: { readonly rooms: readonly RoomListing[]; readonly through: string | null };
  room: RoomListing;
  create: RoomListing;
  change: RoomListing;
  dispose: null;
  /** `serverAddress` and `connect` of rooms on shards are the gate's to fill in. */
  route: RouteAnswer;
  reserve: HeldSeats;
  /** `address` of shards is the gate's to fill in. */
  servers: { readonly servers: readonly ServerRegistration[]; readonly through: string | null };
  register: HeartbeatAnswer;
  heartbeat: HeartbeatAnswer;
  drain: ServerRegistration;
  unregister: null;
  /** `isOld`: the server has had the room for longer, and players may be there. */
  allocate: {
    readonly server: string;
    readonly instance: string;
    readonly url: string;
    readonly isOld?: boolean;
  } | null;
  /** `url`: the server's address. */
  offer: { readonly server: string; readonly url: string } | null;
  vacate: null;
  relocate: RoomListing;
  beginHosted: { readonly id: string };
  commitHosted: SnapshotInfo;
  hostedState: null;
  /** `null` for a room that is on no server outside: its shards have the state. */
  takeSnapshot: SnapshotInfo | null;
  restoreSnapshot: SnapshotInfo | null;
  /** Rooms that the partition does not place on that server, and what it is to do with those it has. */
  hosted: {
    readonly unknown: readonly RoomId[];
    readonly orders?: readonly RoomOrder[];
  };
  gone: null;
  lock: LockGrant;
  extend: LockGrant;
  release: null;
  /** Whether anybody listens. */
  events: { readonly isHeard: boolean };
  heard: null;
  handOver: null;
  adopt: null;
};
