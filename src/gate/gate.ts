/**
 * The gate: the stateless half of the router, through which every request from outside comes. Tells
 * what may come in and where it goes. Keeps nothing but placement tables and counters; knows nothing
 * of the order of messages or of room state.
 */
import { Counters } from "../core/counters.ts";
import { shardsOf, type Rooms, type RoomType } from "../core/rooms.ts";
import { parseRoomId, type RoomId } from "../protocol/names.ts";
import { isAuthorized } from "./authorization.ts";
import { Connecting } from "./connecting.ts";
import {
  jsonResponse,
  metricsResponse,
  preflightResponse,
  problemResponse,
  refusal,
  withoutBody,
  type Refusal,
} from "./http.ts";
import type { GatePorts } from "./ports.ts";
import { readMessages } from "./reading.ts";
import { publish } from "./publishing.ts";

/** Names and values of all headers of a request. */
const maxHeaderLength = 32 * 1024;
const reportIntervalMs = 1_000;
const routerMethods = "GET, HEAD, POST, OPTIONS";
const readMethods = "GET, HEAD, OPTIONS";

export class Gate {
  readonly #rooms: Rooms;
  readonly #counters = new Counters();
  #nextReportAt: number | null = null;
  readonly #connecting = new Connecting(this.#counters);

  constructor(rooms: Rooms) {
    this.#rooms = rooms;
  }

  /** Answers any request from outside. Never throws. */
  async handle(request: Request, ports: GatePorts): Promise<Response> {
    const answer = await this.#answer(request, ports);
    return request.method === "HEAD" ? withoutBody(answer) : answer;
  }

  async #answer(request: Request, ports: GatePorts): Promise<Response> {
    let answer: Response | Refusal;
    try {
      answer = await this.#route(request, ports);
    } catch (error) {
      ports.onError(error);
      answer = refusal("unavailable", "the request could not be handled; try again");
    }
    if (answer instanceof Response) return answer;
    this.#counters.increment(answer.code);
    await this.#reportNowAndThen(ports);
    return problemResponse(answer);
  }

  /** At most once a second, so that refusing costs the registry next to nothing. */
  async #reportNowAndThen(ports: GatePorts): Promise<void> {
    const now = ports.clock.now();
    this.#nextReportAt ??= now + reportIntervalMs;
    if (now < this.#nextReportAt) return;
    this.#nextReportAt = now + reportIntervalMs;
    await this.#reportCounters(ports);
  }

  async #reportCounters(ports: GatePorts): Promise<void> {
    const counters = this.#counters.take();
    if (Object.keys(counters).length === 0) return;
    const question = { type: "count", counters } as const;
    const result = await ports.calls.call({ role: "registry", id: ports.registry }, question);
    if (!result.ok) this.#counters.add(counters);
  }

  async #route(request: Request, ports: GatePorts): Promise<Response | Refusal> {
    const url = new URL(request.url);
    const [, prefix, party, name, ...rest] = url.pathname.split("/");
    // One slash at the end changes nothing.
    const path = rest.join("/").replace(/(?<=[^/])\/$/, "");
    if (prefix === "party" || (prefix === "parties" && party === "main")) {
      return refusal("forbidden", "shards are reached through /parties/router/ROOM");
    }
    if (headerLength(request.headers) > maxHeaderLength) {
      return refusal("headers-too-large", `headers must not exceed ${maxHeaderLength} characters`);
    }
    if (prefix === "parties" && name !== undefined) {
      if (party === "router") return this.#routeRoom(name, path, request, url, ports);
      if (party === "registry") {
        return routeRegistry(name, path, request, ports, () => this.#reportCounters(ports));
      }
    }
    return refusal("not-found", "rooms are at /parties/router/ROOM");
  }

  async #routeRoom(
    name: string,
    path: string,
    request: Request,
    url: URL,
    ports: GatePorts,
  ): Promise<Response | Refusal> {
    const room = parseRoomId(name);
    if (!room.ok) return refusal(room.code, room.detail);
    const type = this.#rooms.typeOf(room.value);
    if (type === undefined) {
      const known = this.#rooms.names().join(", ");
      return refusal("unknown-room-type", `"${name}" names no room type; there are: ${known}`);
    }
    if (path === "messages") return routeMessages(room.value, request, url, ports);
    if (path !== "") return refusal("not-found", `a room has nothing at "${path.slice(0, 100)}"`);
    if (isUpgrade(request)) {
      return this.#connecting.connect(room.value, type, request, url, ports);
    }
    switch (request.method) {
      case "POST":
        return publish(room.value, type, request, url, ports);
      case "GET":
      case "HEAD":
        return status(room.value, type, ports);
      case "OPTIONS":
        return preflightResponse(routerMethods);
      default:
        return refusal("method-not-allowed", `a room takes ${routerMethods}`, {
          allow: routerMethods,
        });
    }
  }
}

async function routeMessages(
  room: RoomId,
  request: Request,
  url: URL,
  ports: GatePorts,
): Promise<Response | Refusal> {
  if (request.method === "OPTIONS") return preflightResponse(readMethods);
  return refuseUnlessRead(request) ?? readMessages(room, url.searchParams, ports);
}

/** What can only be read takes no other method, and opens no socket. */
function refuseUnlessRead(request: Request): Refusal | null {
  if (isUpgrade(request)) {
    return refusal("malformed-header", "a WebSocket is opened at /parties/router/ROOM");
  }
  if (request.method === "GET" || request.method === "HEAD") return null;
  return refusal("method-not-allowed", `this takes ${readMethods}`, { allow: readMethods });
}

async function status(room: RoomId, type: RoomType, ports: GatePorts): Promise<Response | Refusal> {
  const result = await ports.calls.call({ role: "sequencer", id: room }, { type: "status" });
  if (!result.ok) return refusal("unavailable", "the room's sequencer cannot be reached");
  const { epoch, seq, history, subscribers } = result.value;
  const byShard = new Map(subscribers.map((each) => [each.shard, each]));
  const shards = shardsOf(room, type).map((id) => {
    const subscriber = byShard.get(id);
    const isSilent = subscriber !== undefined && subscriber.connections === null;
    return {
      id,
      status: isSilent ? "offline" : "online",
      connections: subscriber?.connections ?? 0,
      capacity: type.capacity,
      // A shard without clients is owed nothing.
      acked: subscriber?.acked ?? seq,
      generation: 1,
    };
  });
  const connections = shards.reduce((sum, shard) => sum + shard.connections, 0);
  return jsonResponse({ room, type: type.name, epoch, seq, connections, shards, history });
}

async function routeRegistry(
  name: string,
  path: string,
  request: Request,
  ports: GatePorts,
  reportCounters: () => Promise<void>,
): Promise<Response | Refusal> {
  // A browser asks without the token whether it may send it.
  if (request.method === "OPTIONS") return preflightResponse(readMethods);
  const authorized = await isAuthorized(request, ports.adminToken);
  if (!authorized.ok) return authorized;
  if (name !== ports.registry || path !== "metrics") {
    return refusal("not-found", `the registry has /parties/registry/${ports.registry}/metrics`);
  }
  const refused = refuseUnlessRead(request);
  if (refused !== null) return refused;
  await reportCounters();
  const result = await ports.calls.call({ role: "registry", id: name }, { type: "metrics" });
  if (!result.ok) return refusal("unavailable", "the registry cannot be reached");
  return metricsResponse(result.value.text);
}

/** Only a GET asks for a socket (RFC 6455, section 4.1). */
function isUpgrade(request: Request): boolean {
  return request.method === "GET" && request.headers.get("upgrade")?.toLowerCase() === "websocket";
}

function headerLength(headers: Headers): number {
  let length = 0;
  for (const [name, value] of headers) length += name.length + value.length;
  return length;
}
