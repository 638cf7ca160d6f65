/** The `main` party of the test app. */
import type * as Party from "partykit/server";
import { playerOf, publish, roomOf, shard } from "../../../../src/host/partykit/index.ts";
import { Behaviour } from "../behaviour.ts";
import { rooms } from "../rooms.ts";
import { crashPath } from "./crash-path.ts";

/** What a client says to end its room's sequencer. */
const crashSequencer = "crash the sequencer";

class TestRoom implements Party.Server {
  readonly #room: Party.Room;
  readonly onBroadcast: Behaviour["onBroadcast"];
  readonly getSnapshot: Behaviour["getSnapshot"];
  readonly #behaviour: Behaviour;

  constructor(room: Party.Room) {
    this.#room = room;
    this.#behaviour = new Behaviour({
      id: room.id,
      publish: (data, options) => publish(this, data, options),
      roomOf: () => roomOf(this),
      playerOf: (client) => playerOf(this, client),
      broadcast: (message, without) => room.broadcast(message, without),
      clients: () => room.getConnections(),
      hasClient: (id) => room.getConnection(id) !== undefined,
      reset: () => void room.blockConcurrencyWhile(() => Promise.reject(new Error("reset"))),
    });
    this.onBroadcast = this.#behaviour.onBroadcast;
    this.getSnapshot = this.#behaviour.getSnapshot;
  }

  onRestore(snapshot: unknown): void {
    this.#behaviour.onRestore(snapshot);
  }

  onStart(): Promise<void> {
    // For tests that read the server's log.
    console.log(`started ${this.#room.id}`);
    return this.#behaviour.onStart();
  }

  onConnect(connection: Party.Connection, { request }: Party.ConnectionContext): void {
    this.#behaviour.onConnect(connection, new URL(request.url));
  }

  async onMessage(
    message: string | ArrayBuffer | ArrayBufferView,
    sender: Party.Connection,
  ): Promise<void> {
    if (message === crashSequencer) {
      const { id, context } = this.#room;
      const room = id.slice(0, id.lastIndexOf("-"));
      await context.parties["router"]?.get(room).fetch(`/${crashPath}`);
      return;
    }
    this.#behaviour.onMessage(message, sender);
  }

  onClose(connection: Party.Connection): void {
    console.log(`${this.#room.id} was left by ${connection.id}`);
    this.#behaviour.onClose(connection);
  }

  async onRequest(request: Party.Request): Promise<Response> {
    await this.#behaviour.onRequest(request);
    return new Response("ok");
  }
}

export default shard(TestRoom, rooms);
