/** The router party on PartyKit: the sequencer's object, and the gate in the Worker. */
import type * as Party from "partykit/server";
import type { Rooms } from "../../core/rooms.ts";
import { isRoomId } from "../../protocol/names.ts";
import { Sequencer } from "../../sequencer/sequencer.ts";
import { WakeTimer } from "../platform.ts";
import { answerFromOutside, type PartyClass } from "./gate.ts";
import { answerCall, createObjectPorts, dialShard, startOrReset } from "./ports.ts";

/** Makes the `router` party: clients and publishers come here, and each room's order is kept here. */
export function router(rooms: Rooms): PartyClass {
  return class Router implements Party.Server {
    static onBeforeConnect(request: Party.Request, lobby: Party.Lobby): Promise<Response> {
      return answerFromOutside(rooms, request, lobby);
    }

    static onBeforeRequest(request: Party.Request, lobby: Party.Lobby): Promise<Response> {
      return answerFromOutside(rooms, request, lobby);
    }

    readonly options: Party.ServerOptions = { hibernate: true };
    readonly #room: Party.Room;
    readonly #timer = new WakeTimer(() => this.#sequencer?.wake());
    #sequencer: Sequencer | undefined;

    constructor(room: Party.Room) {
      this.#room = room;
    }

    onStart(): Promise<void> {
      return startOrReset(this.#room, () => this.#start());
    }

    async onRequest(request: Party.Request): Promise<Response> {
      const answer = await answerCall("sequencer", request, (call) =>
        this.#sequencer?.handle(call),
      );
      return answer ?? new Response("Not found", { status: 404 });
    }

    async #start(): Promise<void> {
      const { id, context } = this.#room;
      const type = isRoomId(id) ? rooms.typeOf(id) : undefined;
      if (!isRoomId(id) || type === undefined) throw new Error(`no room type for "${id}"`);
      this.#sequencer = await Sequencer.start(type, {
        ...createObjectPorts(this.#room, this.#timer),
        registry: rooms.partitionOf(id),
        dialer: { dial: (shard, events) => dialShard(context.parties, shard, events) },
      });
    }
  };
}
