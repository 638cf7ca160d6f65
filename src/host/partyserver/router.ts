/** The router party on Durable Objects: the sequencer's object, and the gate in the Worker. */
import { DurableObject } from "cloudflare:workers";
import type { Rooms } from "../../core/rooms.ts";
import { Gate } from "../../gate/gate.ts";
import { problemResponse, refusal } from "../../gate/http.ts";
import type { GatePorts } from "../../gate/ports.ts";
import { parseRequest } from "../../protocol/calls.ts";
import { isRoomId } from "../../protocol/names.ts";
import { Sequencer } from "../../sequencer/sequencer.ts";
import { hub } from "../../core/partitions.ts";
import { secretName } from "../../protocol/ticket.ts";
import { regionOfRequest, upgradeHeaders, variable } from "../outside.ts";
import {
  adminTokenName,
  callFailure,
  clock,
  discardUpgrade,
  entropy,
  eventsPath,
  outsideHeaders,
  WakeTimer,
  within,
} from "../platform.ts";
import {
  createCaller,
  createObjectPorts,
  dialShard,
  shardStub,
  type Bindings,
  type Callable,
} from "./ports.ts";
import { refusedHeader } from "./shard.ts";

export type RouterClass = new (
  ctx: DurableObjectState,
  env: Bindings,
) => DurableObject<Bindings> & Callable & { alarm(): Promise<void> };

/** What `router` makes for the isolate's gate, since the Worker's handler is given no room types. */
let served: { readonly gate: Gate; readonly rooms: Rooms } | undefined;

/** The Durable Object class behind the binding `Router`: orders and keeps a room's messages. */
export function router(rooms: Rooms): RouterClass {
  served = { gate: new Gate(rooms), rooms };
  return class Router extends DurableObject<Bindings> implements Callable {
    readonly #timer = new WakeTimer(() => this.#sequencer?.wake());
    #sequencer: Sequencer | undefined;

    constructor(ctx: DurableObjectState, env: Bindings) {
      super(ctx, env);
      void ctx.blockConcurrencyWhile(async () => {
        const { name } = ctx.id;
        if (name === undefined || !isRoomId(name)) throw new Error(`"${name}" is not a room id`);
        const type = rooms.typeOf(name);
        if (type === undefined) throw new Error(`no room type for "${name}"`);
        this.#sequencer = await Sequencer.start(type, {
          ...createObjectPorts(ctx, env, rooms, this.#timer),
          registry: rooms.partitionOf(name),
          dialer: { dial: (shard, events) => dialShard(env.Main, rooms, shard, events) },
        });
      });
    }

    async partyshardCall(request: unknown): Promise<unknown> {
      const parsed = parseRequest("sequencer", request);
      return parsed.ok ? this.#sequencer?.handle(parsed.value) : parsed;
    }

    /** The object has started, and with that gone on with what it owes. */
    override async alarm(): Promise<void> {
      this.#sequencer?.wake();
    }
  };
}

/** Answers every request of a Worker that serves rooms. Throws when `router` was never called. */
export async function routeRooms(request: Request, env: Bindings): Promise<Response> {
  if (served === undefined) throw new Error("export a Router class made by router(rooms) first");
  const missing = missingBinding(env);
  if (missing !== null) return problemResponse(refusal("not-configured", missing));
  return served.gate.handle(request, createGatePorts(env, served.rooms));
}

/** What the Worker's configuration lacks, as a sentence. */
function missingBinding(env: Partial<Bindings>): string | null {
  const name = (["Main", "Router", "Registry"] as const).find((each) => env[each] === undefined);
  if (name === undefined) return null;
  return `binding \`${name}\` is missing: add it to durable_objects in the wrangler configuration`;
}

/** Longest query: it rests with the socket, in an attachment of at most 16 KiB. */
const maxQueryLength = 8 * 1024;

function createGatePorts(env: Bindings, rooms: Rooms): GatePorts {
  return {
    clock,
    entropy,
    calls: createCaller(env, rooms),
    adminToken: variable(env, adminTokenName),
    secret: variable(env, secretName),
    region: regionOfRequest,
    maxQueryLength,
    canRefuseUpgrades: true,
    onError: (error) => console.error("partyshard gate:", error),
    within,
    connect: async (shard, request, query, _connection, signal, claim) => {
      const url = `https://partyshard.internal/parties/main/${shard}?${query}`;
      const upgrade = new Request(url, { headers: upgradeHeaders(request.headers, claim) });
      try {
        const response = await shardStub(env.Main, rooms, shard).fetch(upgrade);
        if (signal.aborted) {
          discardUpgrade(response);
          return { ok: false, code: "unreachable" };
        }
        if (response.status === 101) return response;
        return { ok: false, code: response.headers.get(refusedHeader) ?? "unreachable" };
      } catch (error) {
        return callFailure(error);
      }
    },
    answerSocket: (frame, code, reason) => {
      const { 0: theirs, 1: ours } = new WebSocketPair();
      ours.accept();
      ours.send(frame);
      ours.close(code, reason);
      return new Response(null, { status: 101, webSocket: theirs });
    },
    events: (request, pattern) => {
      const path = `${eventsPath}?pattern=${encodeURIComponent(pattern)}`;
      const url = `https://partyshard.internal/parties/registry/${hub}/${path}`;
      const headers = outsideHeaders(request.headers);
      return env.Registry.getByName(hub).fetch(new Request(url, { headers }));
    },
  };
}
