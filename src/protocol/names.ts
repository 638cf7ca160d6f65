/**
 * Names of rooms, shards and connections: their grammar, and nothing about what they name.
 *
 * A room id is 1 to 128 characters of `A–Z a–z 0–9 . _ ~ : -`; the text before its first colon is
 * the room's type (`default` without a colon). A shard id is a room id, a hyphen and the number of a
 * slot, from 1; from the slot's second generation on followed by `~` and the generation.
 */
import { failure, success, type Result } from "./result.ts";

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

export type RoomId = Branded<"RoomId">;
export type ShardId = Branded<"ShardId">;

export const defaultRoomType = "default";
const roomIdPattern = /^[A-Za-z0-9._~:-]{1,128}$/;
const shardIdPattern = /^[A-Za-z0-9._~:-]{1,128}-([1-9][0-9]{0,5})(?:~([2-9]|[1-9][0-9]{1,8}))?$/;
/** Connection ids become tags of the socket; tags that begin with `~` are the library's own. */
const connectionIdPattern = /^[\x21-\x7d]{1,128}$/;

export function isRoomId(text: string): text is RoomId {
  return roomIdPattern.test(text);
}

export function isShardId(text: string): text is ShardId {
  return shardIdPattern.test(text);
}

export function parseRoomId(text: string): Result<RoomId, "malformed-name"> {
  if (isRoomId(text)) return success(text);
  const shown = text.length > 140 ? `${text.slice(0, 140)}…` : text;
  return failure(
    "malformed-name",
    `"${shown}" is not a room id: use 1 to 128 characters of A–Z a–z 0–9 . _ ~ : -`,
  );
}

/** The id that a client gave itself (`_pk`): 1 to 128 printable ASCII characters, no `~`. */
export function isConnectionId(text: string): boolean {
  return connectionIdPattern.test(text);
}

export function roomType(room: RoomId): string {
  const colon = room.indexOf(":");
  return colon === -1 ? defaultRoomType : room.slice(0, colon);
}

/** The id of the object that serves the room's slot with this number, counted from 1. */
export function shardId(room: RoomId, slot: number, generation = 1): ShardId {
  return `${room}-${slot}${generation === 1 ? "" : `~${generation}`}` as ShardId;
}

/** The slot that the shard serves, from 1. */
export function slotOf(shard: ShardId): number {
  return Number(shardIdPattern.exec(shard)?.[1]);
}

/** Which of the slot's objects it is, from 1: only the newest serves. */
export function generationOf(shard: ShardId): number {
  return Number(shardIdPattern.exec(shard)?.[2] ?? 1);
}

export function roomOfShard(shard: ShardId): RoomId {
  return shard.slice(0, shard.lastIndexOf("-")) as RoomId;
}
