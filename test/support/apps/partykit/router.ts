/** The `router` party of the test app, which its shards can reset, and which lets only members in. */
import type * as Party from "partykit/server";
import { router } from "../../../../src/host/partykit/index.ts";
import { refuseStranger } from "../members.ts";
import { rooms } from "../rooms.ts";
import { crashPath } from "./crash-path.ts";

class MortalRouter extends router(rooms) {
  static override async onBeforeConnect(request: Party.Request, lobby: Party.Lobby) {
    return refuseStranger(request) ?? super.onBeforeConnect(request, lobby);
  }

  static override async onBeforeRequest(request: Party.Request, lobby: Party.Lobby) {
    return refuseStranger(request) ?? super.onBeforeRequest(request, lobby);
  }

  readonly #room: Party.Room;

  constructor(room: Party.Room) {
    super(room);
    this.#room = room;
    // For tests that read the server's log.
    console.log(`sequencer of ${room.id} started`);
  }

  override async onRequest(request: Party.Request): Promise<Response> {
    if (new URL(request.url).pathname.endsWith(`/${crashPath}`)) {
      void this.#room.blockConcurrencyWhile(() => Promise.reject(new Error("reset")));
    }
    return super.onRequest(request);
  }
}

export default MortalRouter;
