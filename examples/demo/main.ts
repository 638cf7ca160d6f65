/** The `main` party of the demo: a room whose clients can ask for their shard, and reset it. */
import type * as Party from "partykit/server";
import { shard } from "../../src/host/partykit/index.ts";
import { rooms } from "../../src/rooms.ts";

class DemoRoom implements Party.Server {
  readonly room: Party.Room;

  constructor(room: Party.Room) {
    this.room = room;
  }

  /** The shard's answer to `where` is its id; `reset` ends the object, as an error in it would. */
  onMessage(message: string | ArrayBuffer | ArrayBufferView, sender: Party.Connection): void {
    if (message === "where") sender.send(`shard ${this.room.id}`);
    if (message === "reset") {
      void this.room.blockConcurrencyWhile(() => Promise.reject(new Error("reset by the demo")));
    }
  }
}

export default shard(DemoRoom, rooms);
