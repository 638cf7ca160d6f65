/** A gate on fake ports: requests from outside go in, responses come out. */
import {
  defineRooms,
  type DeploymentOptions,
  type RoomTypeOptions,
  type Rooms,
} from "../../src/core/rooms.ts";
import { Gate } from "../../src/gate/gate.ts";
import type { GatePorts } from "../../src/gate/ports.ts";
import type { SeatClaim } from "../../src/protocol/calls.ts";
import type { ShardLoad } from "../../src/protocol/registry-calls.ts";
import { shardId, type RoomId, type ShardId } from "../../src/protocol/names.ts";
import { FakeCalls, type Answer, type Call } from "./fake-calls.ts";
import { FakeClock } from "./fake-clock.ts";
import { FakeEntropy } from "./fake-entropy.ts";
import { turns } from "./turns.ts";

type Connected = Awaited<ReturnType<GatePorts["connect"]>>;
type Connect = {
  readonly shard: ShardId;
  readonly query: string;
  readonly connection: string;
  readonly claim: SeatClaim | null;
  readonly signal: AbortSignal;
};

export const token = "secret";
/** Key of tickets. */
export const secret = "a secret of at least thirty-two bytes";

export class GateRig {
  readonly clock = new FakeClock();
  readonly calls = new FakeCalls((call) => this.answer(call));
  readonly connects: Connect[] = [];
  readonly errors: unknown[] = [];
  /** What a shard says to an upgrade. */
  connect: (shard: ShardId) => Connected | Promise<Connected> = () => new Response("taken");
  /** Whoever is waited for no longer than for some time, and what happens when that is over. */
  readonly waits: { readonly ms: number; readonly end: () => void }[] = [];
  /** What the registry knows. */
  loads: ShardLoad[];
  isLocked = false;
  redirect: string | null = null;
  instance = "i1";
  readonly ports: GatePorts;
  readonly rooms: Rooms;
  readonly #gate: Gate;

  constructor(
    options: RoomTypeOptions = {},
    ports: Partial<GatePorts> = {},
    deployment: DeploymentOptions = {},
  ) {
    const { shards = 4, capacity = 1_000 } = options;
    const types = {
      default: { ...options, shards },
      game: { maxPlayers: 4 },
      abroad: { hostedBy: "servers" },
      inside: { hostedBy: "shards" },
    } as const;
    this.rooms = defineRooms(types, deployment);
    this.#gate = new Gate(this.rooms);
    this.loads = Array.from(
      { length: typeof shards === "number" ? shards : shards.min },
      (_, index) => {
        const id = shardId("lobby" as RoomId, index + 1);
        const state = { connections: 0, capacity, generation: 1, reportedAt: 0 };
        return { id, status: "online", ...state };
      },
    );
    this.ports = {
      clock: this.clock,
      entropy: new FakeEntropy(),
      calls: this.calls,
      adminToken: token,
      secret,
      region: () => null,
      maxQueryLength: 1_024,
      canRefuseUpgrades: true,
      within: (ms, work) => this.#within(ms, work),
      connect: async (shard, _request, query, connection, signal, claim) => {
        this.connects.push({ shard, query, connection, signal, claim });
        return this.connect(shard);
      },
      answerSocket: (frame, code) => new Response(`${code} ${frame}`),
      events: async (_request, pattern) => new Response(`events ${pattern}`),
      onError: (error) => this.errors.push(error),
      ...ports,
    };
  }

  /** The time of whoever is waited for last is over. */
  async passWait(): Promise<void> {
    await turns();
    const wait = this.waits.at(-1);
    if (wait === undefined) throw new Error("nobody waits");
    this.clock.advance(wait.ms);
    wait.end();
    await turns();
  }

  #within<Value>(ms: number, work: (signal: AbortSignal) => Promise<Value>): Promise<Value | null> {
    const controller = new AbortController();
    const { promise: late, resolve } = Promise.withResolvers<null>();
    const end = (): void => {
      controller.abort();
      resolve(null);
    };
    this.waits.push({ ms, end });
    return Promise.race([work(controller.signal), late]);
  }

  answer({ request }: Call): Answer {
    switch (request.type) {
      case "publish": {
        const shards = { delivered: 4, pending: 0 };
        return { ok: true, value: { epoch: "e", first: 8, seq: 9, shards } };
      }
      case "table":
        return {
          ok: true,
          value: {
            shards: this.loads,
            isLocked: this.isLocked,
            redirect: this.redirect,
            instance: this.instance,
          },
        };
      case "layout":
        return { ok: true, value: { shards: this.loads } };
      case "metrics":
        return { ok: true, value: { text: "partyshard_rooms 1\n" } };
      case "status": {
        const history = { first: 1, last: 9 };
        return {
          ok: true,
          value: { epoch: "e", seq: 9, history, snapshot: null, subscribers: [] },
        };
      }
      default:
        return { ok: true, value: null };
    }
  }

  /** The answer to a request for a path of this server. */
  ask(path: string, init: RequestInit = {}): Promise<Response> {
    return this.#gate.handle(new Request(`https://example.com${path}`, init), this.ports);
  }

  /** The answer to a POST to the room `lobby`. */
  post(body: BodyInit | null, init: { query?: string; headers?: Record<string, string> } = {}) {
    const { query = "", headers = {} } = init;
    return this.ask(`/parties/router/lobby${query}`, { method: "POST", body, headers });
  }

  /** The answer of the registry's API to the bearer of the admin token. */
  admin(path: string, init: { method?: string; body?: unknown } = {}): Promise<Response> {
    const { method = "GET", body } = init;
    const headers = { authorization: `Bearer ${token}` };
    const whole = body === undefined ? {} : { body: JSON.stringify(body) };
    return this.ask(`/parties/registry/default/${path}`, { method, headers, ...whole });
  }

  upgrade(query = "", room = "lobby"): Promise<Response> {
    return this.ask(`/parties/router/${room}${query}`, { headers: { upgrade: "websocket" } });
  }
}

/** Status and code of a problem document, whose form is checked. */
export async function problemOf(response: Response): Promise<string> {
  const document = (await response.json()) as Record<string, unknown>;
  const code = String(document["type"]).replace("urn:partyshard:problem:", "");
  const isComplete =
    response.headers.get("content-type") === "application/problem+json" &&
    response.headers.get("access-control-allow-origin") === "*" &&
    document["status"] === response.status &&
    typeof document["title"] === "string" &&
    String(document["detail"]).length > 10;
  return isComplete ? `${response.status} ${code}` : `malformed ${JSON.stringify(document)}`;
}
