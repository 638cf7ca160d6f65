/** The `main` party of the demo: a room whose clients can ask for their shard, and kill it for good. */
import type * as Party from "partykit/server";
import { shard } from "../../src/host/partykit/index.ts";
import { rooms } from "../../src/rooms.ts";

const killedKey = "demo-killed";

class DemoRoom implements Party.Server {
  readonly room: Party.Room;

  constructor(room: Party.Room) {
    this.room = room;
  }

  /** An object that was killed starts no more, so that every call to it fails from then on. */
  async onStart(): Promise<void> {
    if ((await this.room.storage.get(killedKey)) === true) {
      throw new Error(`${this.room.id} was killed by the demo`);
    }
  }

  /** The shard's answer to `where` is its id; `kill` ends the object, as an error in it would, for good. */
  async onMessage(
    message: string | ArrayBuffer | ArrayBufferView,
    sender: Party.Connection,
  ): Promise<void> {
    if (message === "where") sender.send(`shard ${this.room.id}`);
    if (message === "kill") {
      await this.room.storage.put(killedKey, true);
      // The end of the object would undo what is not written yet.
      await this.room.storage.sync();
      await this.room.blockConcurrencyWhile(() => Promise.reject(new Error("killed by the demo")));
    }
  }
}

export default shard(DemoRoom, rooms);
