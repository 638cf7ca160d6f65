/**
 * What code of a room class may ask of the shard that it runs as, by the class's instance, so that the
 * class stays an ordinary one: publish to the whole room, the room's id, who a player is.
 */
import { roomOfShard, type ShardId } from "../protocol/names.ts";
import type { RawMessage } from "../protocol/payload.ts";
import type {
  RoomPublisher,
  RoomPublishOptions,
  RoomPublishResult,
} from "../shard/room-publisher.ts";

/** A client's connection, as the host gives it to the class. */
type Connection = { readonly id: string };

export type RoomHandle = {
  readonly shard: ShardId;
  readonly publisher: RoomPublisher;
  readonly playerOf: (connection: Connection) => string | null;
};

const handles = new WeakMap<object, RoomHandle>();

/** For hosts: the class's instance has a shard from now on. */
export function setHandle(room: object, handle: RoomHandle): void {
  handles.set(room, handle);
}

/**
 * Publishes a message to the whole room, as a POST to the router does: it gets its place in the room's
 * order, and every client on every shard gets it. `room` is the class's `this`, from `onStart` on.
 *
 * Resolves when the message is durable, with what a POST is answered; or with the problem's `code` and
 * `detail`, and never throws for one. Messages that one shard publishes keep their order. Not for
 * `onBroadcast`, which runs on every shard and for each message.
 */
export function publish(
  room: object,
  data: RawMessage,
  options: RoomPublishOptions = {},
): Promise<RoomPublishResult> {
  return handleOf(room).publisher.publish(data, options);
}

/** The id of the room that this shard is a part of. `room` is the class's `this`, from `onStart` on. */
export function roomOf(room: object): string {
  return roomOfShard(handleOf(room).shard);
}

/**
 * The `playerId` that a client's seat was reserved for, as its ticket says, also in `onClose`; `null`
 * for a client that came without a ticket. `room` is the class's `this`, from `onStart` on.
 */
export function playerOf(room: object, connection: Connection): string | null {
  return handleOf(room).playerOf(connection);
}

function handleOf(room: object): RoomHandle {
  const handle = handles.get(room);
  if (handle !== undefined) return handle;
  throw new TypeError(
    "this is no room class that runs as a shard: give `this` of a class that was given to shard(), " +
      "in onStart or after it",
  );
}
