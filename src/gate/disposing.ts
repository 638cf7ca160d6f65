/** Disposing of a room: its partition of the registry does it, and knows what there is to end. */
import type { Rooms } from "../core/rooms.ts";
import type { RoomId } from "../protocol/names.ts";
import { emptyResponse, refusal, type Refusal } from "./http.ts";
import type { GatePorts } from "./ports.ts";

export async function disposeRoom(
  room: RoomId,
  rooms: Rooms,
  ports: GatePorts,
): Promise<Response | Refusal> {
  const registry = { role: "registry", id: rooms.partitionOf(room) } as const;
  const disposed = await ports.calls.call(registry, { type: "dispose", room });
  if (disposed.ok) return emptyResponse();
  return refusal("unavailable", `not all of "${room}" could be disposed of; send it again`);
}
