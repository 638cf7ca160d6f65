/**
 * What a room class meets alike on both hosts: its hook for the room's messages, and clients that
 * speak protocol 1 beside those that do not. Knows nothing of how a host accepts sockets.
 */
import type { Socket } from "../core/ports.ts";
import { encodeServerFrame } from "../protocol/client.ts";
import { parseClientRequest, type ClientRequest } from "../protocol/client-request.ts";
import { encodePayload, toMessageData, type RawMessage } from "../protocol/payload.ts";
import type { BroadcastHook } from "../shard/fan-out.ts";
import { plainRequest } from "../shard/clients.ts";
import type { Shard } from "../shard/shard.ts";
import type { StateHooks } from "../shard/state.ts";

/** What a room class may have beyond its host's own hooks. */
export type RoomHooks = {
  /** Called once a message of the room: what it returns is sent to the shard's clients, `null` nothing. */
  readonly onBroadcast?: BroadcastHook | undefined;
  /** The state that the class has from the room's messages: anything that structured clone carries. */
  readonly getSnapshot?: (() => unknown) | undefined;
  /** Takes up such a state in place of its own. */
  readonly onRestore?: ((snapshot: never) => unknown) | undefined;
};

/** What a client asked for. The gate has checked it, and its URL stays with its socket. */
export function clientRequestOf(url: string): ClientRequest {
  // Most sockets ask for nothing, and need not have their URL taken apart. Names may be encoded.
  if (!/[?&](?:protocol|topics|session)|%/.test(url)) return plainRequest;
  const parsed = parseClientRequest(new URL(url).searchParams);
  return parsed.ok ? parsed.value : plainRequest;
}

type RawConnection = {
  send(data: RawMessage): void;
  close(code: number, reason: string): void;
};

/**
 * The role's end of a socket that speaks protocol 1. What the room class sends on the connection
 * itself goes to the role from here on, which sends it as a `local` frame; before there is a role it
 * goes out from here.
 */
function speakProtocol(connection: RawConnection, roleOf: () => SpeakingRole | undefined): Socket {
  const send = connection.send.bind(connection);
  const end: Socket = { send, close: (code, reason) => connection.close(code, reason) };
  Object.defineProperty(connection, "send", {
    configurable: true,
    value: (data: RawMessage) => {
      const message = toMessageData(data);
      const role = roleOf();
      if (role !== undefined) role.sendLocal(end, message);
      else send(encodeServerFrame({ type: "local", data: encodePayload(message) }));
    },
  });
  return end;
}

type SpeakingRole = Pick<Shard, "protocolClient" | "receive" | "sendLocal">;

/** The role's ends of clients' sockets: the socket itself, unless the client speaks protocol 1. */
export class ClientEnds<Connection extends RawConnection & Socket> {
  readonly #speakers = new Map<Connection, Socket>();
  /** Also of speakers that have closed. */
  readonly #ends = new WeakMap<Connection, Socket>();
  readonly #roleOf: () => SpeakingRole | undefined;

  /** `roleOf` gives the shard, once it has started. */
  constructor(roleOf: () => SpeakingRole | undefined) {
    this.#roleOf = roleOf;
  }

  open(connection: Connection, { speaksProtocol }: ClientRequest): Socket {
    if (!speaksProtocol) return connection;
    const end = speakProtocol(connection, this.#roleOf);
    this.#speakers.set(connection, end);
    this.#ends.set(connection, end);
    return end;
  }

  /** The role's end of a socket that is open, or was. */
  of(connection: Connection): Socket {
    return this.#ends.get(connection) ?? connection;
  }

  /** The end of a socket that has closed. */
  close(connection: Connection): Socket {
    const end = this.#speakers.get(connection) ?? connection;
    this.#speakers.delete(connection);
    return end;
  }

  /** What of a client's message the room class gets; `null` when it is for the role, or for nobody. */
  receive(role: SpeakingRole, connection: Connection, message: RawMessage): RawMessage | null {
    const speaker = this.#speakers.get(connection);
    if (speaker === undefined) return message;
    const client = role.protocolClient(speaker);
    // It was closed, and what it sent before it knew is for nobody.
    return client === undefined ? null : role.receive(client, toMessageData(message));
  }
}

/**
 * How the class takes the room's messages: by `onBroadcast`, else by `onRequest` when it has one of
 * its own, else not at all.
 */
export function broadcastHookOf(
  room: object,
  shard: string,
  onRequest: ((request: Request) => unknown) | undefined,
): { onBroadcast?: BroadcastHook; canReplay?: boolean } {
  if ("onBroadcast" in room && typeof room.onBroadcast === "function") {
    const hook = room.onBroadcast as BroadcastHook;
    return { onBroadcast: (message) => hook.call(room, message) };
  }
  if (onRequest === undefined) return {};
  const url = `https://partyshard.internal/parties/main/${shard}`;
  return {
    canReplay: false,
    onBroadcast: async ({ data }) => {
      await onRequest(broadcastRequest(url, data));
      return null;
    },
  };
}

/**
 * The class's hooks for its state, where it has `getSnapshot`. `started` resolves when the class may be
 * called.
 */
export function stateHooksOf(
  room: object,
  started: () => Promise<void> | null,
): { state?: StateHooks } {
  if (!("getSnapshot" in room) || typeof room.getSnapshot !== "function") return {};
  const getSnapshot = room.getSnapshot as () => unknown;
  const call = (hook: () => unknown): unknown => {
    const starting = started();
    return starting === null ? hook() : starting.then(hook);
  };
  return {
    state: {
      getSnapshot: () => call(() => getSnapshot.call(room)),
      onRestore: (snapshot) => call(() => restore(room, snapshot)),
    },
  };
}

function restore(room: object, snapshot: unknown): unknown {
  if ("onRestore" in room && typeof room.onRestore === "function") {
    return (room.onRestore as (snapshot: unknown) => unknown).call(room, snapshot);
  }
  throw new Error("the room class has getSnapshot and no onRestore");
}

/** The write as a class with `onRequest` and no `onBroadcast` gets it. */
function broadcastRequest(url: string, data: string | Uint8Array): Request {
  const type = typeof data === "string" ? "text/plain;charset=UTF-8" : "application/octet-stream";
  const body = data as string | Uint8Array<ArrayBuffer>;
  return new Request(url, { method: "POST", headers: { "content-type": type }, body });
}
