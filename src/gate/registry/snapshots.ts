/** Snapshots over HTTP: read, taken now, gone back to. Knows nothing of how they are stored. */
import { decodeSnapshot } from "../../core/snapshot-value.ts";
import { SnapshotStore } from "../../core/snapshot-store.ts";
import type { SequencerStatus } from "../../protocol/calls.ts";
import type { RoomId, ShardId } from "../../protocol/names.ts";
import { isProblemCode } from "../../protocol/problems.ts";
import { success, type Failure, type Success } from "../../protocol/result.ts";
import type { RoomSnapshot, SnapshotInfo } from "../../protocol/snapshot.ts";
import { jsonResponse, refusal, type Refusal } from "../http.ts";
import { askPartition } from "./partitions.ts";
import { roomNamed } from "./rooms.ts";
import type { Ask } from "./route.ts";

/** UTF-16 units of a snapshot whose state is answered with its position. */
const maxShownUnits = 1024 * 1024;
/** Deeper states are not shown. */
const maxDepth = 64;
/** Calls that may wait for an answer at a time (Cloudflare Workers, limits, 2026). */
const parallelCalls = 6;
/** Shards that are asked for a snapshot when others do not answer. */
const tries = 3;

/** The newest snapshot's position, and its state where that is JSON and not large. */
export async function readSnapshot({ rooms, ports, name }: Ask): Promise<Response | Refusal> {
  const room = roomNamed(name, rooms);
  if (!room.ok) return room;
  const store = new SnapshotStore(room.value, rooms.partitionOf(room.value), ports.calls);
  const newest = await store.newest();
  if (!newest.ok) return noSnapshot(room.value, newest, { rooms, ports });
  const shown = shownInfo(room.value, newest.value);
  if (newest.value.size > maxShownUnits) return jsonResponse(shown);
  const read = await store.read();
  if (!read.ok) return noSnapshot(room.value, read, { rooms, ports });
  const type = rooms.typeOf(room.value)?.name ?? "";
  const decoded = decodeSnapshot(type, read.value.text);
  const info = shownInfo(room.value, read.value.info);
  const isShown = decoded.ok && isJson(decoded.value, 0);
  return jsonResponse(isShown ? { ...info, state: decoded.value } : info);
}

/** Has a shard with clients, or the room's server outside, store the state as it is now. */
export async function takeSnapshot(ask: Ask): Promise<Response | Refusal> {
  const { rooms, ports, name } = ask;
  const room = roomNamed(name, rooms);
  if (!room.ok) return room;
  const outside = await orderOutside(room.value, "takeSnapshot", ask);
  if (outside !== null) return outside;
  const shards = await subscribedShards(room.value, ports);
  if (!shards.ok) return shards;
  const used = shards.value.filter(({ connections }) => (connections ?? 0) > 0);
  if (used.length === 0) {
    return refusal("room-empty", `nobody is in "${room.value}", so no shard has its state`);
  }
  let last: Refusal = refusal("unavailable", "no shard of the room could be reached; try again");
  for (const { shard } of used.slice(0, tries)) {
    const taken = await ports.calls.call({ role: "shard", id: shard }, { type: "takeSnapshot" });
    if (taken.ok) return jsonResponse(shownInfo(room.value, taken.value));
    last = refusalOf(taken);
    if (last.code !== "unavailable") return last;
  }
  return last;
}

/**
 * Has every shard of the room go back to the newest snapshot, and on from there by the log; or its
 * server outside, where there is no log to go on by.
 */
export async function restoreSnapshot(ask: Ask): Promise<Response | Refusal> {
  const { rooms, ports, name } = ask;
  const room = roomNamed(name, rooms);
  if (!room.ok) return room;
  const outside = await orderOutside(room.value, "restoreSnapshot", ask);
  if (outside !== null) return outside;
  const store = new SnapshotStore(room.value, rooms.partitionOf(room.value), ports.calls);
  const newest = await store.newest();
  if (!newest.ok) return noSnapshot(room.value, newest, { rooms, ports });
  const shards = await subscribedShards(room.value, ports);
  if (!shards.ok) return shards;
  const restored: ShardId[] = [];
  for (let start = 0; start < shards.value.length; start += parallelCalls) {
    const some = shards.value.slice(start, start + parallelCalls);
    const results = await Promise.all(
      some.map(({ shard }) =>
        ports.calls.call({ role: "shard", id: shard }, { type: "restoreSnapshot" }),
      ),
    );
    const failed = results.find((result) => !result.ok);
    if (failed !== undefined) return refusalOf(failed);
    restored.push(...some.map(({ shard }) => shard));
  }
  return jsonResponse({ ...shownInfo(room.value, newest.value), shards: restored });
}

/** What came of it where the room is on a server outside; `null` where it is not. */
async function orderOutside(
  room: RoomId,
  type: "takeSnapshot" | "restoreSnapshot",
  { rooms, ports }: Ask,
): Promise<Response | Refusal | null> {
  const hostedBy = rooms.typeOf(room)?.hostedBy;
  if (hostedBy === "shards") return null;
  const registry = { role: "registry", id: rooms.partitionOf(room) } as const;
  const done = await ports.calls.call(registry, { type, room });
  if (!done.ok) return refusalOf(done);
  if (done.value !== null) return jsonResponse(shownInfo(room, done.value));
  return hostedBy === "servers" ? refusal("unknown-room", `there is no room "${room}"`) : null;
}

/** Shards that have clients, or had some a moment ago; others begin with the newest snapshot. */
async function subscribedShards(
  room: RoomId,
  ports: Ask["ports"],
): Promise<Success<SequencerStatus["subscribers"]> | Refusal> {
  const status = await ports.calls.call({ role: "sequencer", id: room }, { type: "status" });
  if (status.ok) return success(status.value.subscribers);
  return refusal("unavailable", "the room's sequencer cannot be reached");
}

/** Tells a room without a snapshot from one that the directory does not know. */
async function noSnapshot(
  room: RoomId,
  problem: Failure,
  { rooms, ports }: Pick<Ask, "rooms" | "ports">,
): Promise<Refusal> {
  if (problem.code !== "not-found") return refusalOf(problem);
  const known = await askPartition(ports, rooms.partitionOf(room), { type: "room", room });
  return known.ok ? refusal("no-snapshot", `"${room}" has no snapshot`) : known;
}

function refusalOf({ code, detail }: Failure): Refusal {
  switch (code) {
    case "hook-threw":
    case "hook-late":
    case "snapshot-impossible":
    case "snapshot-damaged":
    case "snapshot-foreign":
      return refusal("state-failed", detail);
    default: {
      const isOwn = isProblemCode(code) && code !== "overloaded";
      return refusal(isOwn ? code : "unavailable", detail);
    }
  }
}

function shownInfo(
  room: RoomId,
  { position, takenAt, expiresAt, size }: SnapshotInfo,
): RoomSnapshot {
  return { roomId: room, ...position, takenAt, expiresAt, size };
}

/** Whether JSON carries the value as it is. */
function isJson(value: unknown, depth: number): boolean {
  if (value === null || typeof value === "boolean" || typeof value === "string") return true;
  if (typeof value === "number") return Number.isFinite(value) && !Object.is(value, -0);
  if (typeof value !== "object" || depth === maxDepth) return false;
  if (Array.isArray(value)) {
    return Array.from(value).every((each) => isJson(each, depth + 1));
  }
  if (Object.getPrototypeOf(value) !== Object.prototype || "toJSON" in value) return false;
  return Object.values(value).every((each) => isJson(each, depth + 1));
}
