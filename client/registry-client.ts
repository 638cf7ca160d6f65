/**
 * `RegistryClient`: the registry's HTTP API as methods, for game servers, matchmakers and Workers.
 * Every method gives a `RegistryResult` within the deadline: a value, or a problem; none throws for a
 * refusal or for a network that fails (`unavailable`). Each call is tried once.
 */
import type {
  BodyInput,
  HeartbeatAnswer,
  Metadata,
  Reservation,
  RoomQuery,
  RoomRegistration,
  RouteAnswer,
  ServerRegistration,
} from "../src/protocol/registry.ts";
import type { RoomSnapshot } from "../src/protocol/snapshot.ts";
import { RegistryEvents, type EventOptions } from "./registry-events.ts";
import { RegistryHttp, type Query, type RegistryConnection } from "./registry-http.ts";
import { holding, isLockGrant, RegistryLock } from "./registry-lock.ts";
import { answerWith, isAnything, type RegistryResult } from "./registry-result.ts";
import type { OpenWebSocket } from "./socket-texts.ts";

export { problemType, type RegistryProblem, type RegistryResult } from "./registry-result.ts";
export type { RegistryEvents } from "./registry-events.ts";
export type { RegistryLock } from "./registry-lock.ts";
export type {
  HeartbeatAnswer,
  LockGrant,
  RegistryEvent,
  Reservation,
  RoomQuery,
  RoomRegistration,
  RouteAnswer,
  ServerRegistration,
} from "../src/protocol/registry.ts";

export type { RoomSnapshot } from "../src/protocol/snapshot.ts";

export type RegistryClientOptions = RegistryConnection & {
  /** Events come over it, in place of a stream; Node's client has one. */
  readonly openWebSocket?: OpenWebSocket;
};

export type RoomsQuery = RoomQuery & { readonly type?: string; readonly limit?: number };
export type RoomsPage = { readonly rooms: readonly RoomRegistration[]; readonly cursor?: string };
export type ServersQuery = {
  readonly kind?: ServerRegistration["kind"];
  /** Servers that host rooms of this type. */
  readonly type?: string;
  readonly limit?: number;
};
export type ServersPage = {
  readonly servers: readonly ServerRegistration[];
  readonly cursor?: string;
};
export type CreateRoomOptions = Omit<BodyInput<"createRoom">, "type">;
export type ReserveOptions = Omit<BodyInput<"reserve">, "roomType">;
export type JoinOptions = Omit<BodyInput<"reserve">, "roomType" | "playerId" | "playerIds">;

const isRoom = answerWith<RoomRegistration>({ roomId: "string", address: "string" });
const isRoomsPage = answerWith<RoomsPage>({ rooms: "object" });
const isSnapshot = answerWith<RoomSnapshot>({ roomId: "string", seq: "number" });
const isServer = answerWith<ServerRegistration>({ serverId: "string", status: "string" });
const isServersPage = answerWith<ServersPage>({ servers: "object" });
const isReservation = answerWith<Reservation>({ roomId: "string", ticket: "string" });
const isRoute = answerWith<RouteAnswer>({ type: "string" });
const isHeartbeatAnswer = answerWith<HeartbeatAnswer>({
  now: "number",
  leaseMs: "number",
  heartbeatIntervalMs: "number",
  dispose: "object",
});

export class RegistryClient {
  readonly #http: RegistryHttp;
  readonly #openWebSocket: OpenWebSocket | undefined;

  constructor(options: RegistryClientOptions) {
    this.#http = new RegistryHttp(options);
    this.#openWebSocket = options.openWebSocket;
  }

  /** A seat for this player in an open room of the type that fits, or in a new one. */
  joinOrCreate(
    roomType: string,
    playerId: string,
    options: JoinOptions = {},
  ): Promise<RegistryResult<Reservation>> {
    return this.reserve(roomType, { ...options, playerId });
  }

  /** Seats for one player or for a group, in one room or none. */
  reserve(roomType: string, options: ReserveOptions): Promise<RegistryResult<Reservation>> {
    const body: BodyInput<"reserve"> = { ...options, roomType };
    return this.#http.call("POST", "reserve", isReservation, { body });
  }

  /** Where a player would go. Changes nothing. */
  route(body: BodyInput<"route">): Promise<RegistryResult<RouteAnswer>> {
    return this.#http.call("POST", "route", isRoute, { body });
  }

  /** One page; a page may be short, even empty, and still have a cursor. */
  queryRooms(query: RoomsQuery = {}, cursor?: string): Promise<RegistryResult<RoomsPage>> {
    return this.#http.call("GET", "rooms", isRoomsPage, { query: roomsQuery(query, cursor) });
  }

  /** Every room that fits, in order of ids; ends after a problem, which comes last. */
  async *rooms(
    query: RoomsQuery = {},
  ): AsyncGenerator<RegistryResult<RoomRegistration>, void, void> {
    let cursor: string | undefined;
    do {
      const page = await this.queryRooms(query, cursor);
      if (!page.ok) {
        yield page;
        return;
      }
      for (const value of page.value.rooms) yield { ok: true, value };
      ({ cursor } = page.value);
    } while (cursor !== undefined);
  }

  getRoom(roomId: string): Promise<RegistryResult<RoomRegistration>> {
    return this.#http.call("GET", roomPath(roomId), isRoom);
  }

  /** With `roomId`, that room or `room-exists`; else one with a new id. */
  createRoom(
    type: string,
    options: CreateRoomOptions = {},
  ): Promise<RegistryResult<RoomRegistration>> {
    const body: BodyInput<"createRoom"> = { ...options, type };
    return this.#http.call("POST", "rooms", isRoom, { body });
  }

  updateRoom(
    roomId: string,
    body: BodyInput<"changeRoom">,
  ): Promise<RegistryResult<RoomRegistration>> {
    return this.#http.call("PATCH", roomPath(roomId), isRoom, { body });
  }

  lockRoom(roomId: string): Promise<RegistryResult<RoomRegistration>> {
    return this.updateRoom(roomId, { isLocked: true });
  }

  unlockRoom(roomId: string): Promise<RegistryResult<RoomRegistration>> {
    return this.updateRoom(roomId, { isLocked: false });
  }

  setMetadata(roomId: string, metadata: Metadata): Promise<RegistryResult<RoomRegistration>> {
    return this.updateRoom(roomId, { metadata });
  }

  disposeRoom(roomId: string): Promise<RegistryResult<unknown>> {
    return this.#http.call("DELETE", roomPath(roomId), isAnything);
  }

  /** So many shards, within the type's bounds; `null` has the room follow its audience again. */
  resizeRoom(roomId: string, shards: number | null): Promise<RegistryResult<RoomRegistration>> {
    const body: BodyInput<"resizeRoom"> = { shards };
    return this.#http.call("POST", `${roomPath(roomId)}/resize`, isRoom, { body });
  }

  /** Moves the clients of a shard, such as `my-room-1`, to a fresh object of its slot. */
  migrateShard(roomId: string, from: string): Promise<RegistryResult<RoomRegistration>> {
    const body: BodyInput<"migrateShard"> = { from };
    return this.#http.call("POST", `${roomPath(roomId)}/migrate`, isRoom, { body });
  }

  /** The newest snapshot's position, and its state where that is JSON and not large. */
  getSnapshot(roomId: string): Promise<RegistryResult<RoomSnapshot>> {
    return this.#http.call("GET", snapshotPath(roomId), isSnapshot);
  }

  /** Has a shard of the room, or its server outside with its next heartbeat, store its state as it is now. */
  takeSnapshot(roomId: string): Promise<RegistryResult<RoomSnapshot>> {
    return this.#http.call("PUT", snapshotPath(roomId), isSnapshot);
  }

  /**
   * Has every shard of the room go back to the newest snapshot, and on by the log after it; or its
   * server outside, where there is no log.
   */
  restoreSnapshot(roomId: string): Promise<RegistryResult<RoomSnapshot>> {
    return this.#http.call("POST", `${snapshotPath(roomId)}/restore`, isSnapshot);
  }

  /** How a game server stores and takes up the state of its rooms: `GameServer` does it. */
  transferSnapshot(
    roomId: string,
    body: BodyInput<"transferSnapshot">,
  ): Promise<RegistryResult<unknown>> {
    return this.#http.call("POST", `${snapshotPath(roomId)}/transfer`, isAnything, { body });
  }

  /** Of a game server outside that has let go of the room: it goes to another one. */
  relocateRoom(
    roomId: string,
    from: string,
    instance: string,
  ): Promise<RegistryResult<RoomRegistration>> {
    const body: BodyInput<"migrateShard"> = { from, instance };
    return this.#http.call("POST", `${roomPath(roomId)}/migrate`, isRoom, { body });
  }

  /** One page of shards and servers outside; a page may be short and still have a cursor. */
  getServers(
    { kind, type, limit }: ServersQuery = {},
    cursor?: string,
  ): Promise<RegistryResult<ServersPage>> {
    const query = { kind, type, limit: limit?.toString(), cursor };
    return this.#http.call("GET", "servers", isServersPage, { query });
  }

  registerServer(body: BodyInput<"registerServer">): Promise<RegistryResult<HeartbeatAnswer>> {
    return this.#http.call("POST", "servers", isHeartbeatAnswer, { body });
  }

  heartbeat(
    serverId: string,
    body: BodyInput<"heartbeat">,
  ): Promise<RegistryResult<HeartbeatAnswer>> {
    const path = `${serverPath(serverId)}/heartbeat`;
    return this.#http.call("PUT", path, isHeartbeatAnswer, { body });
  }

  /** A server outside or a shard: it takes nobody new, is emptied, and leaves. */
  drainServer(serverId: string): Promise<RegistryResult<ServerRegistration>> {
    return this.#http.call("POST", `${serverPath(serverId)}/drain`, isServer);
  }

  unregisterServer(serverId: string): Promise<RegistryResult<unknown>> {
    return this.#http.call("DELETE", serverPath(serverId), isAnything);
  }

  /** `lock-held` while another owner has it. */
  async acquireLock(key: string, ttlMs: number): Promise<RegistryResult<RegistryLock>> {
    const path = `locks/${encodeURIComponent(key)}`;
    const granted = await this.#http.call("POST", path, isLockGrant, { body: { ttlMs } });
    if (!granted.ok) return granted;
    return { ok: true, value: new RegistryLock(this.#http, granted.value) };
  }

  /**
   * Runs `work` under the lock, extends it meanwhile and releases it in the end. `lock-held` when
   * another owner has it. What `work` throws is thrown on.
   */
  async withLock<Value>(
    key: string,
    ttlMs: number,
    work: (lock: RegistryLock, signal: AbortSignal) => Promise<Value>,
  ): Promise<RegistryResult<Value>> {
    const lock = await this.acquireLock(key, ttlMs);
    if (!lock.ok) return lock;
    return { ok: true, value: await holding(lock.value, ttlMs, work) };
  }

  /** Events from the moment of the first iteration on: `*`, `room:*`, `server:offline`, or a list. */
  events(pattern = "*", options: EventOptions = {}): RegistryEvents {
    return new RegistryEvents(this.#http, pattern, this.#openWebSocket, options);
  }

  /** Tells every subscriber of `room:message`; up to 16 KiB. */
  publishMessage(roomId: string, data: unknown): Promise<RegistryResult<unknown>> {
    const body: BodyInput<"announce"> = { type: "room:message", roomId, data };
    return this.#http.call("POST", "events", isAnything, { body });
  }
}

function roomPath(roomId: string): string {
  return `rooms/${encodeURIComponent(roomId)}`;
}

function serverPath(serverId: string): string {
  return `servers/${encodeURIComponent(serverId)}`;
}

function roomsQuery(
  { type, hasSpace, notLocked, metadata = {}, limit }: RoomsQuery,
  cursor: string | undefined,
): Query {
  const parts: Record<string, string | undefined> = { type, cursor };
  parts["hasSpace"] = hasSpace?.toString();
  parts["notLocked"] = notLocked?.toString();
  parts["limit"] = limit?.toString();
  for (const [key, value] of Object.entries(metadata)) {
    // In quotes, since `3` alone stands for the number.
    parts[`metadata.${key}`] = typeof value === "string" ? `"${value}"` : String(value);
  }
  return parts;
}

function snapshotPath(roomId: string): string {
  return `snapshots/${encodeURIComponent(roomId)}`;
}
