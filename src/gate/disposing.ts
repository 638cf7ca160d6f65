/**
 * Disposing of a room: its entry in the registry, then its shards, then its log. Every step may be
 * done again, and none is left out because an earlier one found nothing; so a request that was cut
 * short is finished by the next one.
 */
import type { Rooms } from "../core/rooms.ts";
import type { RoomId } from "../protocol/names.ts";
import { emptyResponse, refusal, type Refusal } from "./http.ts";
import type { GatePorts } from "./ports.ts";

/** Calls that may wait for an answer at a time (Cloudflare Workers, limits, 2026). */
const parallelCalls = 6;

export async function disposeRoom(
  room: RoomId,
  rooms: Rooms,
  ports: GatePorts,
): Promise<Response | Refusal> {
  const type = rooms.typeOf(room);
  if (type === undefined) return refusal("unknown-room-type", `no room type for "${room}"`);
  const registry = { role: "registry", id: rooms.partitionOf(room) } as const;
  // The layout of a room that has left the directory is a plain one.
  const layout = await ports.calls.call(registry, { type: "layout", room });
  if (!layout.ok) return unfinished(room);
  // First, so that nobody is sent to the room any more.
  const entry = await ports.calls.call(registry, { type: "dispose", room });
  if (!entry.ok && entry.code !== "unknown-room") return unfinished(room);
  const shards = layout.value.shards.map(({ id }) => id);
  for (let start = 0; start < shards.length; start += parallelCalls) {
    const some = shards.slice(start, start + parallelCalls);
    const disposed = await Promise.all(
      some.map((id) => ports.calls.call({ role: "shard", id }, { type: "dispose" })),
    );
    if (disposed.some(({ ok }) => !ok)) return unfinished(room);
  }
  // Last, when no shard is left that would subscribe again.
  const sequencer = { role: "sequencer", id: room } as const;
  const log = await ports.calls.call(sequencer, { type: "dispose" });
  return log.ok ? emptyResponse() : unfinished(room);
}

function unfinished(room: RoomId): Refusal {
  return refusal("unavailable", `not all of "${room}" could be disposed of; send it again`);
}
