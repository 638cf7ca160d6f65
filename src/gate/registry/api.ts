/**
 * The registry's HTTP API: the table of its routes, and who may use which. Knows nothing of how they
 * are answered.
 */
import { hub } from "../../core/partitions.ts";
import { isAuthorized } from "../authorization.ts";
import { isUpgrade, preflightResponse, refusal, type Refusal } from "../http.ts";
import { announce, subscribe } from "./events.ts";
import { acquireLock, extendLock, releaseLock } from "./locks.ts";
import { reserveSeats, routePlayer } from "./matchmaking.ts";
import { health, metrics } from "./metrics.ts";
import { changeRoom, createRoom, deleteRoom, listRooms, readRoom } from "./rooms.ts";
import { findRoutes, route, routeWithBody, type Ask, type Route } from "./route.ts";
import { migrateShard, resizeRoom } from "./shards.ts";
import { readSnapshot, restoreSnapshot, takeSnapshot } from "./snapshots.ts";
import { maxTransferBytes, transferSnapshot } from "./transfers.ts";
import {
  drainServer,
  heartbeat,
  listServers,
  registerServer,
  unregisterServer,
} from "./servers.ts";

/** A heartbeat names every player of every room of its server. */
const maxHeartbeatBytes = 8 * 1024 * 1024;

/** The only path that opens a WebSocket. */
const eventsPath = "events";

const routes: readonly Route[] = [
  route("GET", "rooms", "matchmaking", listRooms),
  routeWithBody("POST", "rooms", "admin", "createRoom", createRoom),
  route("GET", "rooms/:", "admin", readRoom),
  routeWithBody("PATCH", "rooms/:", "admin", "changeRoom", changeRoom),
  route("DELETE", "rooms/:", "admin", deleteRoom),
  routeWithBody("POST", "rooms/:/resize", "admin", "resizeRoom", resizeRoom),
  routeWithBody("POST", "rooms/:/migrate", "admin", "migrateShard", migrateShard),
  routeWithBody("POST", "route", "admin", "route", routePlayer),
  routeWithBody("POST", "reserve", "matchmaking", "reserve", reserveSeats),
  route("GET", "servers", "admin", listServers),
  routeWithBody("POST", "servers", "admin", "registerServer", registerServer),
  routeWithBody("PUT", "servers/:/heartbeat", "admin", "heartbeat", heartbeat, maxHeartbeatBytes),
  route("POST", "servers/:/drain", "admin", drainServer),
  route("DELETE", "servers/:", "admin", unregisterServer),
  routeWithBody("POST", "locks/:", "admin", "acquireLock", acquireLock),
  routeWithBody("PUT", "locks/:", "admin", "extendLock", extendLock),
  route("DELETE", "locks/:", "admin", releaseLock),
  route("GET", "snapshots/:", "admin", readSnapshot),
  route("PUT", "snapshots/:", "admin", takeSnapshot),
  route("POST", "snapshots/:/restore", "admin", restoreSnapshot),
  routeWithBody(
    "POST",
    "snapshots/:/transfer",
    "admin",
    "transferSnapshot",
    transferSnapshot,
    maxTransferBytes,
  ),
  route("GET", eventsPath, "admin", subscribe),
  routeWithBody("POST", eventsPath, "admin", "announce", announce),
  route("GET", "metrics", "admin", metrics),
  route("GET", "health", "public", health),
];

/** Answers a request for `/parties/registry/PARTITION/PATH`; the API is at the first partition. */
export async function answerRegistry(
  partition: string,
  path: string,
  ask: Omit<Ask, "name">,
): Promise<Response | Refusal> {
  const { method } = ask.request;
  const found = findRoutes(partition === hub ? routes : [], path);
  const allowed = methodsOf(found.routes);
  // A browser asks without the token whether it may send it.
  if (method === "OPTIONS") return preflightResponse(allowed);
  const sought = method === "HEAD" ? "GET" : method;
  const match = found.routes.find((each) => each.method === sought);
  // Without the token nobody learns what there is.
  if (!isOpen(match, ask)) {
    const authorized = await isAuthorized(ask.request, ask.ports.adminToken);
    if (!authorized.ok) return authorized;
  }
  if (match !== undefined) {
    if (isUpgrade(ask.request) && match.path !== eventsPath) {
      return refusal("malformed-header", "of the registry only events come over a WebSocket");
    }
    return match.handle({ ...ask, name: found.name });
  }
  if (found.routes.length > 0) {
    return refusal("method-not-allowed", `"${path.slice(0, 100)}" takes ${allowed}`, {
      allow: allowed,
    });
  }
  return refusal(
    "not-found",
    `the registry's API is at /parties/registry/${hub}/…, see the README`,
  );
}

function isOpen(match: Route | undefined, { rooms }: Omit<Ask, "name">): boolean {
  switch (match?.access) {
    case "public":
      return true;
    case "matchmaking":
      return rooms.deployment.openMatchmaking;
    case "admin":
    case undefined:
      return false;
  }
}

function methodsOf(found: readonly Route[]): string {
  const methods = found.map(({ method }) => method);
  const withHead = methods.flatMap((method) => (method === "GET" ? ["GET", "HEAD"] : [method]));
  return [...withHead, "OPTIONS"].join(", ");
}
