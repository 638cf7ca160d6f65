/**
 * The gate: the stateless half of the router, through which every request from outside comes. Tells
 * what may come in and where it goes. Keeps nothing but placement tables and counters; knows nothing
 * of the order of messages or of room state.
 */
import { Counters } from "../core/counters.ts";
import { hub } from "../core/partitions.ts";
import type { Rooms } from "../core/rooms.ts";
import { isShardId, parseRoomId, roomOfShard, type RoomId } from "../protocol/names.ts";
import { isShardOf, parseArrival, readTicket, usableSecret } from "./arrival.ts";
import { isAuthorized } from "./authorization.ts";
import { Connecting } from "./connecting.ts";
import { disposeRoom } from "./disposing.ts";
import {
  isUpgrade,
  preflightResponse,
  problemResponse,
  refusal,
  withoutBody,
  type Refusal,
} from "./http.ts";
import type { GatePorts } from "./ports.ts";
import { readMessages } from "./reading.ts";
import { readStatus } from "./status.ts";
import { publish } from "./publishing.ts";
import { answerRegistry } from "./registry/api.ts";

/** Names and values of all headers of a request. */
const maxHeaderLength = 32 * 1024;
/** What was counted, and no question for a table took along, is told after this. */
const reportIntervalMs = 5_000;
const routerMethods = "GET, HEAD, POST, DELETE, OPTIONS";
const readMethods = "GET, HEAD, OPTIONS";

export class Gate {
  readonly #rooms: Rooms;
  readonly #counters = new Counters();
  #nextReportAt = 0;
  readonly #connecting: Connecting;

  constructor(rooms: Rooms) {
    this.#rooms = rooms;
    this.#connecting = new Connecting(rooms, this.#counters);
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
    await this.#count(answer.code, ports);
    return problemResponse(answer);
  }

  /** Refusing is to cost the registry next to nothing. */
  async #count(code: string, ports: GatePorts): Promise<void> {
    const now = ports.clock.now();
    if (this.#counters.isEmpty) this.#nextReportAt = now + reportIntervalMs;
    this.#counters.increment(code);
    if (now < this.#nextReportAt) return;
    this.#nextReportAt = now + reportIntervalMs;
    await this.#reportCounters(ports);
  }

  async #reportCounters(ports: GatePorts): Promise<void> {
    const counters = this.#counters.take();
    if (Object.keys(counters).length === 0) return;
    const question = { type: "count", counters } as const;
    const result = await ports.calls.call({ role: "registry", id: hub }, question);
    if (!result.ok) this.#counters.add(counters);
  }

  async #route(request: Request, ports: GatePorts): Promise<Response | Refusal> {
    const url = new URL(request.url);
    const [, prefix, party, name, ...rest] = url.pathname.split("/");
    // One slash at the end changes nothing.
    const path = rest.join("/").replace(/(?<=[^/])\/$/, "");
    if (prefix === "party" || (prefix === "parties" && party === "main")) {
      const shard = path === "" && prefix === "parties" ? name : undefined;
      return this.#connectShard(shard ?? "", request, url, ports);
    }
    const tooLarge = headersTooLarge(request.headers);
    if (tooLarge !== null) return tooLarge;
    if (prefix === "parties" && name !== undefined) {
      if (party === "router") return this.#routeRoom(name, path, request, url, ports);
      if (party === "registry") {
        const reportCounters = (): Promise<void> => this.#reportCounters(ports);
        return answerRegistry(name, path, {
          request,
          url,
          rooms: this.#rooms,
          ports,
          reportCounters,
        });
      }
    }
    return refusal("not-found", "rooms are at /parties/router/ROOM");
  }

  /** Only a ticket for this shard leads to it from outside. */
  async #connectShard(
    shard: string,
    request: Request,
    url: URL,
    ports: GatePorts,
  ): Promise<Response | Refusal> {
    const forbidden = refusal("forbidden", "shards are reached through /parties/router/ROOM");
    const text = url.searchParams.get("ticket");
    const secret = usableSecret(ports);
    if (text === null || !secret.ok || !isUpgrade(request) || !isShardId(shard)) return forbidden;
    const ticket = await readTicket(secret.value, text);
    const room = roomOfShard(shard);
    if (!ticket.ok || ticket.value.server !== shard || ticket.value.room !== room) return forbidden;
    const type = this.#rooms.typeOf(room);
    if (type === undefined || !(await isShardOf(shard, this.#rooms, ports))) return forbidden;
    const tooLarge = headersTooLarge(request.headers);
    if (tooLarge !== null) return tooLarge;
    const arrival = await parseArrival(room, url, ports);
    if (!arrival.ok) return arrival;
    return this.#connecting.takeSeat(shard, { room, type, request, arrival: arrival.value }, ports);
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
    if (path !== "" && path !== "messages") {
      return refusal("not-found", `a room has nothing at "${path.slice(0, 100)}"`);
    }
    if (path === "" && isUpgrade(request)) {
      return this.#connecting.connect(room.value, type, request, url, ports);
    }
    if (["GET", "HEAD", "POST"].includes(request.method)) {
      const elsewhere = await this.#connecting.elsewhere(room.value, type, ports);
      if (elsewhere !== null) return elsewhere;
    }
    if (path === "messages") return routeMessages(room.value, request, url, ports);
    switch (request.method) {
      case "POST":
        return publish(room.value, type, request, url, ports);
      case "GET":
      case "HEAD":
        return readStatus(room.value, type, this.#rooms.partitionOf(room.value), ports);
      case "DELETE":
        return this.#dispose(room.value, request, ports);
      case "OPTIONS":
        return preflightResponse(routerMethods);
      default:
        return refusal("method-not-allowed", `a room takes ${routerMethods}`, {
          allow: routerMethods,
        });
    }
  }

  async #dispose(room: RoomId, request: Request, ports: GatePorts): Promise<Response | Refusal> {
    const authorized = await isAuthorized(request, ports.adminToken);
    return authorized.ok ? disposeRoom(room, this.#rooms, ports) : authorized;
  }
}

async function routeMessages(
  room: RoomId,
  request: Request,
  url: URL,
  ports: GatePorts,
): Promise<Response | Refusal> {
  if (request.method === "OPTIONS") return preflightResponse(readMethods);
  if (isUpgrade(request)) {
    return refusal("malformed-header", "a WebSocket is opened at /parties/router/ROOM");
  }
  if (request.method === "GET" || request.method === "HEAD") {
    return readMessages(room, url.searchParams, ports);
  }
  return refusal("method-not-allowed", `messages take ${readMethods}`, { allow: readMethods });
}

function headersTooLarge(headers: Headers): Refusal | null {
  let length = 0;
  for (const [name, value] of headers) length += name.length + value.length;
  if (length <= maxHeaderLength) return null;
  return refusal("headers-too-large", `headers must not exceed ${maxHeaderLength} characters`);
}
