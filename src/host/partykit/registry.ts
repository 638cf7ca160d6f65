/** The registry party on PartyKit. */
import type * as Party from "partykit/server";
import type { Rooms } from "../../core/rooms.ts";
import { Registry } from "../../registry/registry.ts";
import { WakeTimer } from "../platform.ts";
import { answerFromOutside, type PartyClass } from "./gate.ts";
import { answerCall, createObjectPorts } from "./ports.ts";

/** Makes the `registry` party: the directory and the load of rooms. */
export function registry(rooms: Rooms): PartyClass {
  return class RegistryParty implements Party.Server {
    static onBeforeConnect(request: Party.Request, lobby: Party.Lobby): Promise<Response> {
      return answerFromOutside(rooms, request, lobby);
    }

    static onBeforeRequest(request: Party.Request, lobby: Party.Lobby): Promise<Response> {
      return answerFromOutside(rooms, request, lobby);
    }

    readonly options: Party.ServerOptions = { hibernate: true };
    readonly #room: Party.Room;
    #registry: Registry | undefined;

    constructor(room: Party.Room) {
      this.#room = room;
    }

    async onStart(): Promise<void> {
      const ports = createObjectPorts(this.#room, new WakeTimer(() => this.#registry?.wake()));
      this.#registry = await Registry.start(rooms, ports, this.#room.id);
    }

    async onRequest(request: Party.Request): Promise<Response> {
      const answer = await answerCall("registry", request, (call) => this.#registry?.handle(call));
      return answer ?? new Response("Not found", { status: 404 });
    }
  };
}
