/**
 * Where a room's shards are: the region of a slot follows from its number and the type's list, so that
 * whoever touches a shard first knows it without asking anybody. Pure.
 */
import { roomOfShard, slotOf, type ShardId } from "../protocol/names.ts";
import type { Region } from "../protocol/registry.ts";
import type { Rooms, RoomType } from "./rooms.ts";

/** Slots take the regions of the list in turn; every generation of a slot is in the same one. */
export function regionOfSlot({ regions }: RoomType, number: number): Region | undefined {
  return regions[(number - 1) % regions.length];
}

export function regionOfShard(rooms: Rooms, shard: ShardId): Region | undefined {
  const type = rooms.typeOf(roomOfShard(shard));
  return type === undefined ? undefined : regionOfSlot(type, slotOf(shard));
}

/** The field of whatever describes a shard; none where the type names no regions. */
export function placeOfSlot(type: RoomType, number: number): { readonly region?: Region } {
  const region = regionOfSlot(type, number);
  return region === undefined ? {} : { region };
}
