/**
 * The ports over Durable Objects: storage, calls by RPC, links by `fetch`. Translates and decides
 * nothing.
 */
import type {
  Address,
  Caller,
  LinkEvents,
  ObjectPorts,
  Socket,
  Storage,
} from "../../core/ports.ts";
import type { Rooms } from "../../core/rooms.ts";
import { regionOfShard } from "../../core/shard-regions.ts";
import type { ReplyTo, RequestTo, Role } from "../../protocol/calls.ts";
import type { ShardId } from "../../protocol/names.ts";
import type { MessageData } from "../../protocol/payload.ts";
import { failure, success, type Result } from "../../protocol/result.ts";
import {
  callFailure,
  clock,
  entropy,
  inSlices,
  withDeadline,
  type WakeTimer,
} from "../platform.ts";

/** The method of every object that takes calls; RPC is not reachable from outside. */
export interface Callable extends Rpc.DurableObjectBranded {
  partyshardCall(request: unknown): Promise<unknown>;
}

/** Bindings that a deployment must have, named like this in its wrangler configuration. */
export type Bindings = {
  readonly Main: DurableObjectNamespace<Callable>;
  readonly Router: DurableObjectNamespace<Callable>;
  readonly Registry: DurableObjectNamespace<Callable>;
};

/** Header of a link's upgrade; the gate takes it off every request from outside. */
export const linkHeader = "x-partyshard-link";

/** A value of 2 MB holds a million two-byte units; the rest is for the key and the form. */
const maxTextUnits = 900_000;

export function createStorage(storage: DurableObjectStorage): Storage {
  return {
    list: (prefix) => storage.list({ prefix }),
    put: (rows) => {
      inSlices(Object.entries(rows), (slice) => void storage.put(Object.fromEntries(slice)));
    },
    delete: (keys) => {
      inSlices(keys, (slice) => void storage.delete(slice));
    },
    sync: () => storage.sync(),
    maxTextUnits,
  };
}

/**
 * A shard's object. Every touch says where the object belongs, since the platform heeds the first that
 * comes to it and no other (Cloudflare, "Data location", 2026).
 */
export function shardStub(
  namespace: Bindings["Main"],
  rooms: Rooms,
  shard: ShardId,
): DurableObjectStub<Callable> {
  const region = regionOfShard(rooms, shard);
  return namespace.getByName(shard, region === undefined ? {} : { locationHint: region });
}

export function createCaller(bindings: Bindings, rooms: Rooms): Caller {
  const stubs = {
    shard: (id: string) => shardStub(bindings.Main, rooms, id as ShardId),
    sequencer: (id: string) => bindings.Router.getByName(id),
    registry: (id: string) => bindings.Registry.getByName(id),
  } as const;
  return {
    async call<R extends Role, Request extends RequestTo<R>>(to: Address<R>, request: Request) {
      try {
        const stub = stubs[to.role](to.id);
        const reply: unknown = await withDeadline(
          to.role,
          request.type,
          Promise.resolve(stub.partyshardCall(request)),
        );
        return reply as Result<ReplyTo<R, Request>>;
      } catch (error) {
        return callFailure(error);
      }
    },
  };
}

export function createObjectPorts(
  ctx: DurableObjectState,
  bindings: Bindings,
  rooms: Rooms,
  timer: WakeTimer,
): ObjectPorts {
  return {
    clock,
    entropy,
    storage: createStorage(ctx.storage),
    calls: createCaller(bindings, rooms),
    wakeups: {
      soon: (at) => timer.set(at),
      durable: (at) => {
        void ctx.storage.setAlarm(at);
      },
    },
  };
}

export async function dialShard(
  namespace: Bindings["Main"],
  rooms: Rooms,
  shard: ShardId,
  events: LinkEvents,
): Promise<Result<Socket>> {
  try {
    const url = `https://partyshard.internal/parties/main/${shard}`;
    const headers = { Upgrade: "websocket", [linkHeader]: "1" };
    const { webSocket } = await shardStub(namespace, rooms, shard).fetch(url, { headers });
    if (webSocket === null) return failure("unreachable", "the shard took no link");
    webSocket.addEventListener("message", ({ data }) => {
      if (typeof data === "string") events.message(data);
    });
    webSocket.addEventListener("close", ({ code }) => events.close(code));
    webSocket.addEventListener("error", () => events.close(1006));
    webSocket.accept();
    return success(openSocket(webSocket));
  } catch (error) {
    return callFailure(error);
  }
}

/** The port's socket: sending on one that has closed does nothing. */
export function openSocket(webSocket: WebSocket): Socket {
  return {
    send: (data: MessageData) => quietly(() => webSocket.send(data)),
    close: (code, reason) => quietly(() => webSocket.close(code, reason)),
  };
}

function quietly(act: () => void): void {
  try {
    act();
  } catch {
    // The socket has closed; its event tells the owner.
  }
}
