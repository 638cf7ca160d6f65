/** Sessions of seats: a secret, and which shard has the seat. Opaque to clients. */
import { isShardId, type RoomId, type ShardId } from "./names.ts";

const sessionPattern = /^([1-9]\d{0,5}(?:~[1-9]\d{0,8})?)\./;

export function newSession(shard: ShardId, secret: string): string {
  return `${shard.slice(shard.lastIndexOf("-") + 1)}.${secret}`;
}

/** The shard of the room that gave the session; `null` for what no shard gave. */
export function shardOfSession(session: string, room: RoomId): ShardId | null {
  const shard = `${room}-${sessionPattern.exec(session)?.[1] ?? ""}`;
  return isShardId(shard) ? shard : null;
}
