/** Sessions of seats: a secret, and the number of the shard that has the seat. Opaque to clients. */
import { shardId, type RoomId, type ShardId } from "./names.ts";

const sessionPattern = /^([1-9]\d{0,5})\./;

export function newSession(shard: ShardId, secret: string): string {
  return `${shard.slice(shard.lastIndexOf("-") + 1)}.${secret}`;
}

/** The shard of the room that gave the session; `null` for what no shard gave. */
export function shardOfSession(session: string, room: RoomId): ShardId | null {
  const number = sessionPattern.exec(session)?.[1];
  return number === undefined ? null : shardId(room, Number(number));
}
