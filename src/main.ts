/** The `main` party: the room class, as every shard of a room runs it. */
import type * as Party from "partykit/server";
import { shard } from "./host/partykit/index.ts";
import { rooms } from "./rooms.ts";

/** An ordinary PartyKit class. A POST to the router reaches all clients without any code here. */
class ChatRoom implements Party.Server {
  readonly room: Party.Room;

  constructor(room: Party.Room) {
    this.room = room;
  }

  /** What a client sends reaches the other clients of its shard, and no other shard. */
  onMessage(message: string | ArrayBuffer | ArrayBufferView, sender: Party.Connection): void {
    this.room.broadcast(message, [sender.id]);
  }
}

export default shard(ChatRoom, rooms);
