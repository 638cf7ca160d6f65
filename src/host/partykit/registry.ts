/** The registry party on PartyKit. */
import type * as Party from "partykit/server";
import type { Rooms } from "../../core/rooms.ts";
import type { EventSocket, KeptSubscription } from "../../registry/event-subscribers.ts";
import { Registry } from "../../registry/registry.ts";
import { answerWithStream, patternOf } from "../event-stream.ts";
import { eventsPath, WakeTimer } from "../platform.ts";
import { answerFromOutside, type PartyClass } from "./gate.ts";
import { answerCall, createObjectPorts, openSocket, startOrReset } from "./ports.ts";

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
    readonly #subscribers = new Map<Party.Connection, EventSocket>();
    #registry: Registry | undefined;

    constructor(room: Party.Room) {
      this.#room = room;
    }

    onStart(): Promise<void> {
      return startOrReset(this.#room, () => this.#start());
    }

    /** Only the gate can open sockets here. */
    onConnect(connection: Party.Connection): void {
      this.#role.events.subscribe(this.#socketOf(connection), patternOf(connection.uri));
    }

    onMessage(data: string | ArrayBuffer | ArrayBufferView, sender: Party.Connection): void {
      this.#role.events.receive(this.#socketOf(sender), typeof data === "string" ? data : null);
    }

    onClose(connection: Party.Connection): void {
      this.#role.events.leave(this.#socketOf(connection));
      this.#subscribers.delete(connection);
      // The other end waits for its close to be answered, which this runtime leaves to the object.
      openSocket(connection).close(1000, "");
    }

    onError(connection: Party.Connection): void {
      this.onClose(connection);
    }

    async onRequest(request: Party.Request): Promise<Response> {
      const answer = await answerCall("registry", request, (call) => this.#role.handle(call));
      if (answer !== null) return answer;
      if (!new URL(request.url).pathname.endsWith(`/${eventsPath}`)) {
        return new Response("Not found", { status: 404 });
      }
      return answerWithStream(this.#role.events, request.url, new IdentityTransformStream());
    }

    async #start(): Promise<void> {
      const ports = createObjectPorts(this.#room, new WakeTimer(() => this.#registry?.wake()));
      this.#registry = await Registry.start(rooms.withoutRegions(), ports, this.#room.id);
      for (const connection of this.#room.getConnections()) {
        this.#role.events.restore(this.#socketOf(connection));
      }
    }

    get #role(): Registry {
      if (this.#registry === undefined) throw new Error("the registry has not started");
      return this.#registry;
    }

    #socketOf(connection: Party.Connection): EventSocket {
      const known = this.#subscribers.get(connection);
      if (known !== undefined) return known;
      const socket = eventSocket(connection);
      this.#subscribers.set(connection, socket);
      return socket;
    }
  };
}

/** The pattern rests with the connection's URL, and has no place beside it in 2 KiB. */
function eventSocket(connection: Party.Connection): EventSocket {
  return {
    ...openSocket(connection),
    get kept() {
      const state = connection.state as Omit<KeptSubscription, "pattern"> | null;
      return state === null ? null : { ...state, pattern: patternOf(connection.uri) };
    },
    keep: ({ through, unacknowledged }) => {
      connection.setState({ through, unacknowledged });
    },
  };
}
