/** `GET` of a room: its shards as the registry lays them out, and what the sequencer knows of them. */
import type { RoomType } from "../core/rooms.ts";
import { shardId, slotOf, type RoomId, type ShardId } from "../protocol/names.ts";
import { jsonResponse, refusal, type Refusal } from "./http.ts";
import type { GatePorts } from "./ports.ts";

export async function readStatus(
  room: RoomId,
  type: RoomType,
  partition: string,
  ports: GatePorts,
): Promise<Response | Refusal> {
  const [laid, told] = await Promise.all([
    ports.calls.call({ role: "registry", id: partition }, { type: "layout", room }),
    ports.calls.call({ role: "sequencer", id: room }, { type: "status" }),
  ]);
  if (!told.ok) return refusal("unavailable", "the room's sequencer cannot be reached");
  if (!laid.ok) return refusal("unavailable", "the room's shards are not known at the moment");
  const { epoch, seq, history, snapshot, subscribers } = told.value;
  const byShard = new Map(subscribers.map((each) => [each.shard, each]));
  const objects = laid.value.shards.map((shard) => {
    const subscriber = byShard.get(shard.id);
    const isSilent = subscriber !== undefined && subscriber.connections === null;
    return {
      // The slot's: whichever object serves it.
      id: shardId(room, slotOf(shard.id)),
      status: isSilent ? "offline" : shard.status,
      connections: subscriber?.connections ?? 0,
      capacity: type.capacity,
      // A shard without clients is owed nothing.
      acked: subscriber?.acked ?? seq,
      generation: shard.generation,
      // A type without regions has none.
      ...(shard.region === undefined ? {} : { region: shard.region }),
    };
  });
  const shards = slotsOf(objects);
  const connections = shards.reduce((sum, shard) => sum + shard.connections, 0);
  const snapshotError = subscribers.find((each) => each.stateError !== null)?.stateError;
  const state = { room, type: type.name, epoch, seq, connections, shards, history, snapshot };
  return jsonResponse({
    ...state,
    ...(snapshotError === undefined ? {} : { snapshotError }),
  });
}

type Listed = {
  readonly id: ShardId;
  readonly connections: number;
  readonly acked: number;
  readonly generation: number;
};

/** Each slot once, as its newest object is: layouts of former versions kept an older one beside it. */
function slotsOf<Each extends Listed>(objects: readonly Each[]): Each[] {
  const slots = new Map<ShardId, Each>();
  for (const each of objects) {
    const other = slots.get(each.id) ?? each;
    const newest = each.generation > other.generation ? each : other;
    const connections = each === other ? each.connections : each.connections + other.connections;
    const acked = Math.min(each.acked, other.acked);
    slots.set(each.id, { ...newest, connections, acked });
  }
  return [...slots.values()];
}
