/** A room's shards over HTTP: as many as are asked for, moved, emptied. */
import { isShardId, roomOfShard, type ShardId } from "../../protocol/names.ts";
import type { BodyOf, ServerRegistration } from "../../protocol/registry.ts";
import { success, type Success } from "../../protocol/result.ts";
import { jsonResponse, refusal, type Refusal } from "../http.ts";
import { askPartition } from "./partitions.ts";
import { addressOf, registrationOf, roomNamed } from "./rooms.ts";
import type { Ask } from "./route.ts";

export async function resizeRoom(
  { rooms, ports, name, url }: Ask,
  { shards }: BodyOf<"resizeRoom">,
): Promise<Response | Refusal> {
  const room = roomNamed(name, rooms);
  if (!room.ok) return room;
  const question = { type: "resize", room: room.value, shards } as const;
  const answer = await askPartition(ports, rooms.partitionOf(room.value), question);
  return answer.ok ? jsonResponse(registrationOf(answer.value, url)) : answer;
}

export async function migrateShard(
  { rooms, ports, name, url }: Ask,
  { from, instance }: BodyOf<"migrateShard">,
): Promise<Response | Refusal> {
  const room = roomNamed(name, rooms);
  if (!room.ok) return room;
  const partition = rooms.partitionOf(room.value);
  if (instance !== undefined) {
    const question = { type: "relocate", room: room.value, server: from, instance } as const;
    const moved = await askPartition(ports, partition, question);
    return moved.ok ? jsonResponse(registrationOf(moved.value, url)) : moved;
  }
  if (!isShardId(from) || roomOfShard(from) !== room.value) {
    return refusal("malformed-body", `from must be a shard of "${name}", such as "${name}-1"`);
  }
  const question = { type: "migrate", shard: from } as const;
  const answer = await askPartition(ports, partition, question);
  return answer.ok ? jsonResponse(registrationOf(answer.value, url)) : answer;
}

/** The shard with this name, if a room of the deployment may have it. */
export function shardNamed(name: string, { rooms }: Pick<Ask, "rooms">): ShardId | null {
  return isShardId(name) && rooms.typeOf(roomOfShard(name)) !== undefined ? name : null;
}

export async function drainShard(shard: ShardId, ask: Ask): Promise<Response | Refusal> {
  const { rooms, ports } = ask;
  const partition = rooms.partitionOf(roomOfShard(shard));
  const drained = await askPartition(ports, partition, { type: "drainShard", shard });
  if (!drained.ok) return drained;
  const server = await registrationOfShard(shard, partition, ask);
  return server.ok ? jsonResponse(server.value) : server;
}

async function registrationOfShard(
  shard: ShardId,
  partition: string,
  { rooms, ports, url }: Ask,
): Promise<Success<ServerRegistration> | Refusal> {
  const room = roomOfShard(shard);
  const layout = await askPartition(ports, partition, { type: "layout", room });
  if (!layout.ok) return layout;
  const load = layout.value.shards.find(({ id }) => id === shard);
  return success({
    serverId: shard,
    kind: "shard",
    address: addressOf(room, url),
    // One that was empty has left already.
    status: load?.status ?? "offline",
    roomTypes: [rooms.typeOf(room)?.name ?? ""],
    roomCount: load === undefined ? 0 : 1,
    playerCount: load?.connections ?? 0,
    capacity: load?.capacity ?? 0,
    lastHeartbeat: load?.reportedAt ?? 0,
    metadata: {},
    ...(load?.region === undefined ? {} : { region: load.region }),
  });
}
