/**
 * One room of the directory: what is kept of it in storage, and what memory adds. Knows nothing of
 * other rooms. A deployment may have 100,000 of these, so they are plain fields.
 */
import * as v from "valibot";
import { idOf, servingSlots, type Layout } from "../core/layout.ts";
import type { RoomType } from "../core/rooms.ts";
import { shardId, type RoomId, type ShardId } from "../protocol/names.ts";
import type { Metadata } from "../protocol/registry.ts";
import type { RoomListing } from "../protocol/registry-calls.ts";
import type { ShardCounts } from "./shard-counts.ts";

/** A room that nobody created is forgotten when nobody has been in it for so long. */
const unusedMs = 60_000;
const noMetadata: Metadata = Object.freeze({});

/** The server outside that a room lives on, and which start of it: another one knows nothing of the room. */
const hostSchema = v.object({
  server: v.string(),
  instance: v.string(),
  url: v.string(),
  /** Of the snapshots that it has stored, from the first on. */
  epoch: v.exactOptional(v.string()),
  /** What is wrong with the room's state there. */
  stateError: v.exactOptional(v.string()),
});
export type RoomHost = v.InferOutput<typeof hostSchema>;

/** Why a room is to leave its server: that is gone, or lets go of it. */
const departureSchema = v.picklist(["lost", "asked"]);
export type Departure = v.InferOutput<typeof departureSchema>;

const rowSchema = v.object({
  metadata: v.optional(v.record(v.string(), v.unknown()), {}),
  isLocked: v.optional(v.boolean(), false),
  /** The room's own limit. */
  maxPlayers: v.optional(v.nullable(v.number()), null),
  /** For rooms that were created by hand; `null` for rooms that were entered when first used. */
  keepMs: v.optional(v.nullable(v.number()), null),
  host: v.optional(v.nullable(hostSchema), null),
  departure: v.optional(v.nullable(departureSchema), null),
  createdAt: v.optional(v.number(), 0),
  updatedAt: v.optional(v.number(), 0),
  /** Since when nobody has been in a room that is kept for long. */
  emptySince: v.optional(v.nullable(v.number()), null),
});
export type RoomRow = v.InferOutput<typeof rowSchema>;

export type HeldSeat = { readonly player: string; readonly expiresAt: number };

export type Room = {
  readonly id: RoomId;
  readonly type: RoomType;
  createdAt: number;
  updatedAt: number;
  metadata: Metadata;
  isLocked: boolean;
  maxPlayers: number | null;
  keepMs: number | null;
  host: RoomHost | null;
  /** Until another server has been found for it. */
  departure: Departure | null;
  /** Whether its load was reported or asked for since this object started. */
  isKnown: boolean;
  /** Being disposed of or moved: nobody is sent there any more. */
  isClosing: boolean;
  /** By shard; `null` until a shard has reported or a table was asked for. */
  counts: ShardCounts | null;
  /** Sockets on shards. */
  connections: number;
  /** Who has a seat, where the room has a limit or is on a server outside, and it is known. */
  players: readonly string[] | null;
  /** Seats held, as last reported, and those held since. */
  reserved: number;
  /** Seats of a room on a server outside that its partition holds, by id. */
  seats: Map<string, HeldSeat> | null;
  /** Seats that are being asked for. */
  pending: number;
  emptySince: number | null;
  /** When the deadline queue comes to it. */
  dueAt: number | null;
  /** Its place among the open rooms: see open-rooms.ts. 0 when it is not open. */
  level: number;
};

export function newRow(now: number, more: Partial<RoomRow> = {}): RoomRow {
  const created = { createdAt: now, updatedAt: now, emptySince: null };
  const plain = { metadata: noMetadata, isLocked: false, maxPlayers: null, keepMs: null };
  return { ...plain, host: null, departure: null, ...created, ...more };
}

/** What a row says, or `null` when it is none. Rows of the first version hold `true`. */
export function parseRow(value: unknown): RoomRow | null {
  if (value === true) return newRow(0);
  const parsed = v.safeParse(rowSchema, value);
  return parsed.success ? parsed.output : null;
}

export function toRow(room: Room): RoomRow {
  const { metadata, isLocked, maxPlayers, keepMs, host, departure } = room;
  const { createdAt, updatedAt, emptySince } = room;
  const times = { createdAt, updatedAt, emptySince };
  return { metadata, isLocked, maxPlayers, keepMs, host, departure, ...times };
}

export function roomOf(id: RoomId, type: RoomType, row: RoomRow, isKnown: boolean): Room {
  const { metadata, isLocked, maxPlayers, keepMs, host, departure } = row;
  const { createdAt, updatedAt, emptySince } = row;
  return {
    id,
    type,
    createdAt,
    updatedAt,
    metadata: Object.keys(metadata).length === 0 ? noMetadata : metadata,
    isLocked,
    maxPlayers,
    keepMs,
    host,
    departure,
    isKnown,
    isClosing: departure !== null,
    counts: null,
    connections: 0,
    players: null,
    reserved: 0,
    seats: null,
    pending: 0,
    emptySince,
    dueAt: null,
    level: 0,
  };
}

/** Players that the room takes; for a large room its sockets. */
export function limitOf({ type, maxPlayers }: Room): number {
  // A room that follows its audience takes as many as it can grow to.
  return maxPlayers ?? type.maxPlayers ?? type.capacity * type.shards.max;
}

export function playerCount({ players, connections }: Room): number {
  return players?.length ?? connections;
}

/** Seats that nobody has or was promised, as far as is known. */
export function freeSeats(room: Room): number {
  return limitOf(room) - playerCount(room) - room.reserved - room.pending;
}

/** Whether nobody is in the room or on the way, as far as can be known. */
export function isEmpty(room: Room): boolean {
  const isQuiet = room.connections === 0 && room.reserved === 0 && room.pending === 0;
  if (!isQuiet || !room.isKnown || playerCount(room) > 0) return false;
  return room.counts === null || room.counts.unreached === 0;
}

/** How long it stays while nobody is in it. */
export function keepMsOf({ keepMs }: Room): number {
  return keepMs ?? unusedMs;
}

export function serverOf({ host, id }: Room, layout: Layout): string {
  if (host !== null) return host.server;
  const [first] = shardsIn(id, layout);
  return first ?? shardId(id, 1);
}

/** A room's shards: those that serve before those that are being emptied. */
export function shardsIn(room: RoomId, layout: Layout): ShardId[] {
  const leaving = layout.slots.filter(({ status }) => status === "draining");
  return [...servingSlots(layout), ...leaving].map((slot) => idOf(room, slot));
}

export function listing(room: Room, layout: Layout): RoomListing {
  const { id, type, host, isLocked, metadata, createdAt, updatedAt } = room;
  const limit = room.maxPlayers ?? type.maxPlayers;
  return {
    roomId: id,
    roomType: type.name,
    serverId: serverOf(room, layout),
    serverIds: host === null ? shardsIn(id, layout) : [host.server],
    address: host?.url ?? null,
    playerCount: playerCount(room),
    ...(limit === null ? {} : { maxPlayers: limit }),
    isLocked,
    metadata,
    createdAt,
    updatedAt,
    ...(host?.stateError === undefined ? {} : { snapshotError: host.stateError }),
  };
}
