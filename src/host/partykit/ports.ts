/**
 * The ports over PartyKit: key-value storage, calls by internal HTTP, links by `socket()`. Translates
 * and decides nothing.
 */
import type * as Party from "partykit/server";
import type {
  Address,
  Caller,
  LinkEvents,
  ObjectPorts,
  Socket,
  Storage,
} from "../../core/ports.ts";
import { parseRequest, type ReplyTo, type RequestTo, type Role } from "../../protocol/calls.ts";
import type { ShardId } from "../../protocol/names.ts";
import { failure, success, type Result } from "../../protocol/result.ts";
import {
  callFailure,
  clock,
  entropy,
  inSlices,
  linkPath,
  withDeadline,
  type WakeTimer,
} from "../platform.ts";

/** Path of an object at which it takes calls; the gate lets nothing from outside reach objects. */
const callPath = "~call";
/** A value of 128 KiB holds 65,536 two-byte units; the rest is for the form around them. */
const maxTextUnits = 60_000;

const partyOfRole = { shard: "main", sequencer: "router", registry: "registry" } as const;

function createStorage(storage: Party.Storage): Storage {
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

export function createCaller(parties: Party.Context["parties"]): Caller {
  return {
    async call<R extends Role, Request extends RequestTo<R>>(to: Address<R>, request: Request) {
      try {
        const init = { method: "POST", body: JSON.stringify(request) };
        const response = await withDeadline(
          to.role,
          request.type,
          stub(parties, to.role, to.id).fetch(`/${callPath}`, init),
        );
        if (response.ok) return await response.json<Result<ReplyTo<R, Request>>>();
        return failure("unreachable", `the object answered ${response.status}`);
      } catch (error) {
        return callFailure(error);
      }
    },
  };
}

/** Answers a request that is a call, by the role that `handle` stands for; `null` for any other. */
export async function answerCall<R extends Role>(
  role: R,
  request: Party.Request,
  handle: (call: RequestTo<R>) => unknown,
): Promise<Response | null> {
  if (!new URL(request.url).pathname.endsWith(`/${callPath}`)) return null;
  const body: unknown = await request.json().catch(() => null);
  const parsed = parseRequest(role, body);
  return Response.json(parsed.ok ? await handle(parsed.value) : parsed);
}

/**
 * Nothing wakes an object of PartyKit when it is not in memory: its alarms know neither its id nor
 * other parties (partykit 0.0.115). The cron sweep stands in, see `sweep` in shard.ts.
 */
export function createObjectPorts(room: Party.Room, timer: WakeTimer): ObjectPorts {
  return {
    clock,
    entropy,
    storage: createStorage(room.storage),
    calls: createCaller(room.context.parties),
    wakeups: { soon: (at) => timer.set(at), durable: () => {} },
  };
}

/**
 * Starts the object's role, or resets the object. PartyKit (0.0.115) goes on with one whose `onStart`
 * threw and never calls it again: its upgrades are accepted and close with 1011, so that no gate learns
 * that it is dead. A fresh object fails the call, and may succeed at the next.
 */
export async function startOrReset(room: Party.Room, start: () => Promise<void>): Promise<void> {
  try {
    await start();
  } catch (error) {
    await room.blockConcurrencyWhile(() => Promise.reject(error as Error));
  }
}

export async function dialShard(
  parties: Party.Context["parties"],
  shard: ShardId,
  events: LinkEvents,
): Promise<Result<Socket>> {
  try {
    const webSocket = await stub(parties, "shard", shard).socket(`/${linkPath}`);
    webSocket.addEventListener("message", ({ data }) => {
      if (typeof data === "string") events.message(data);
    });
    webSocket.addEventListener("close", ({ code }) => events.close(code));
    webSocket.addEventListener("error", () => events.close(1006));
    return success(openSocket(webSocket));
  } catch (error) {
    return callFailure(error);
  }
}

type RawSocket = {
  send(data: string | Uint8Array): void;
  close(code: number, reason: string): void;
};

/** The port's socket: sending on one that has closed does nothing. */
export function openSocket(webSocket: RawSocket): Socket {
  return {
    send: (data) => quietly(() => webSocket.send(data)),
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

/** The object of a role, by id. */
export function stub(parties: Party.Context["parties"], role: Role, id: string): Party.Stub {
  const party = parties[partyOfRole[role]];
  if (party === undefined) throw new Error(`partykit.json has no party "${partyOfRole[role]}"`);
  return party.get(id);
}
