/** Whether the directory says what is: its rooms and counts, and that what is gone leaves nothing. */
import { partitionNames } from "../../../src/core/partitions.ts";
import { roomOfShard, type RoomId } from "../../../src/protocol/names.ts";
import type { RoomListing } from "../../../src/protocol/registry-calls.ts";
import { Violation } from "../environment.ts";
import type { RegistryWorld } from "./world.ts";

type Listed = Omit<RoomListing, "roomId"> & { readonly roomId: RoomId };

/** Rows that say something of rooms or locks. */
const perRoom = ["room/", "seats/", "owed/", "assigned/", "lock/"];

/** The directory's rooms, of all partitions. */
export async function listRooms(world: RegistryWorld): Promise<Listed[]> {
  const calls = world.outsider("gate/1");
  const page = { type: "rooms", roomType: null, query: {}, after: null, limit: 1_000 } as const;
  const listed: Listed[] = [];
  for (const id of partitionNames(world.rooms.deployment.partitions)) {
    const rooms = await calls.call({ role: "registry", id }, page);
    if (!rooms.ok) throw new Violation("DI1", `${id} answers ${rooms.code}`);
    for (const each of rooms.value.rooms) listed.push({ ...each, roomId: each.roomId as RoomId });
  }
  return listed;
}

/** Rooms on shards: who is there, by the sockets that there are. */
export async function checkDirectory(world: RegistryWorld): Promise<void> {
  const truth = new Map<RoomId, number>();
  for (const [shard, { clients }] of world.shards) {
    const room = roomOfShard(shard);
    const count = [...clients].filter((client) => client.isOpenAtShard).length;
    truth.set(room, (truth.get(room) ?? 0) + count);
  }
  const seen = new Set<string>();
  for (const { roomId, roomType, playerCount } of await listRooms(world)) {
    if (seen.has(roomId)) throw new Violation("DI1", `"${roomId}" is listed twice`);
    seen.add(roomId);
    if (roomType === "hosted") continue;
    const count = truth.get(roomId) ?? 0;
    if (playerCount === count) continue;
    throw new Violation(
      "DI1",
      `"${roomId}" has ${count} players and is listed with ${playerCount}`,
    );
  }
  for (const [room, count] of truth) {
    if (count > 0 && !seen.has(room)) throw new Violation("DI1", `"${room}" is not listed`);
  }
}

/** Everybody has left, and the time of empty rooms is over. */
export async function checkNothingLeft(world: RegistryWorld): Promise<void> {
  const [room] = await listRooms(world);
  if (room !== undefined) throw new Violation("DI1", `"${room.roomId}" is empty and listed`);
  for (const { object } of world.partitions) {
    for (const key of object.rows.values.keys()) {
      if (!perRoom.some((prefix) => key.startsWith(prefix))) continue;
      throw new Violation("DI1", `${object.address} keeps the row ${key} of nothing`);
    }
  }
  for (const [shard, { object }] of world.shards) {
    for (const key of object.rows.values.keys()) {
      if (!key.startsWith("seat/") && key !== "limit") continue;
      throw new Violation("SE4", `${shard} keeps the row ${key}, and its room is gone`);
    }
  }
}
