/**
 * A WebSocket upgrade at the router: which shard takes it, and handing it over. Keeps a placement
 * table a room. Knows nothing of what the socket will carry.
 */
import { PlacementTable, type ShardCandidate } from "../core/placement-table.ts";
import { shardsOf, type RoomType } from "../core/rooms.ts";
import type { Counters } from "../core/counters.ts";
import { parseClientRequest } from "../protocol/client-request.ts";
import { isConnectionId, type RoomId, type ShardId } from "../protocol/names.ts";
import type { GatePorts } from "./ports.ts";
import { refusal, type Refusal } from "./http.ts";

/** Shards that are tried for one socket. */
const attempts = 3;
/** Tables are dropped when there are more and they have not been used for a while. */
const maxTables = 1_000;
const tableIdleMs = 60_000;
/** A shard is nearly full with a tenth, or so few places, left. */
const fewPlaces = 16;

export class Connecting {
  readonly #tables = new Map<RoomId, PlacementTable>();
  readonly #counters: Counters;

  constructor(counters: Counters) {
    this.#counters = counters;
  }

  async connect(
    room: RoomId,
    type: RoomType,
    request: Request,
    url: URL,
    ports: GatePorts,
  ): Promise<Response | Refusal> {
    const target = parseTarget(url, ports);
    if (!target.ok) return target;
    const { clock, entropy } = ports;
    const until = clock.now() + type.connectTimeoutMs;
    const table = await this.#currentTable(room, type, ports);
    const excluded = new Set<ShardId>();
    let isFull = false;
    while (excluded.size < attempts) {
      const left = Math.min(stepMs(type), until - clock.now());
      if (left <= 0) break;
      const asked = {
        random: () => entropy.random(),
        key: target.connection,
        region: null,
        local: null,
      };
      const shard = table.place(type.placement, asked, clock.now(), excluded);
      if (shard === undefined) break;
      const result = await ports.within(left, (signal) =>
        handOver(shard, request, target, ports, signal),
      );
      if (result instanceof Response) return result;
      table.forget(shard.id);
      table.distrust();
      excluded.add(shard.id);
      if (result?.code === "full") isFull = true;
    }
    return isFull
      ? refusal("room-full", `"${room}" has no place for another client at the moment`)
      : refusal("unavailable", `no shard of "${room}" could be reached`);
  }

  async #currentTable(room: RoomId, type: RoomType, ports: GatePorts): Promise<PlacementTable> {
    let table = this.#tables.get(room);
    if (table === undefined) {
      const now = ports.clock.now();
      this.#dropUnused(now);
      const empty = { connections: 0, capacity: type.capacity, generation: 1, reportedAt: 0 };
      const loads = shardsOf(room, type).map((id) => ({ id, status: "online" as const, ...empty }));
      table = new PlacementTable(loads);
      this.#tables.set(room, table);
    }
    if (!table.startRefresh(ports.clock.now())) return table;
    const counters = this.#counters.take();
    const question = { type: "table", room, counters } as const;
    const reply = await ports.within(stepMs(type), () =>
      ports.calls.call({ role: "registry", id: ports.registry }, question),
    );
    if (reply?.ok === true) {
      table.update(reply.value.shards, ports.clock.now());
    } else {
      this.#counters.add(counters);
      table.refreshFailed(ports.clock.now());
    }
    return table;
  }

  #dropUnused(now: number): void {
    if (this.#tables.size < maxTables) return;
    for (const [room, table] of this.#tables) {
      if (table.isUnusedSince(now - tableIdleMs)) this.#tables.delete(room);
    }
  }
}

type Target = { readonly ok: true; readonly connection: string; readonly query: string };

/** The client's own query goes on to the room class, with the connection's id made sure of. */
function parseTarget(url: URL, ports: GatePorts): Target | Refusal {
  const given = url.searchParams.get("_pk");
  if (given !== null && !isConnectionId(given)) {
    return refusal("malformed-query", "_pk must be 1 to 128 printable ASCII characters, no ~");
  }
  const client = parseClientRequest(url.searchParams);
  if (!client.ok) return client;
  const connection = given ?? ports.entropy.id();
  if (given === null) url.searchParams.set("_pk", connection);
  const query = url.search.slice(1);
  if (query.length > ports.maxQueryLength) {
    return refusal("uri-too-long", `the query must not exceed ${ports.maxQueryLength} characters`);
  }
  return { ok: true, connection, query };
}

/** One that hangs must leave time for another: the registry for a shard, a shard for the next. */
function stepMs(type: RoomType): number {
  return type.connectTimeoutMs / 2;
}

async function handOver(
  shard: ShardCandidate,
  request: Request,
  { query, connection }: Target,
  ports: GatePorts,
  signal: AbortSignal,
): Promise<Response | { readonly ok: false; readonly code: string }> {
  const held = await hold(shard, connection, ports);
  if (!held.ok) return held;
  if (signal.aborted) return { ok: false, code: "unreachable" };
  return ports.connect(shard.id, request, query, connection, signal);
}

/**
 * Where the host cannot refuse an upgrade, a shard that may be full is asked for a place first. Only
 * then, so that the usual connect stays one call.
 */
async function hold(
  shard: ShardCandidate,
  connection: string,
  ports: GatePorts,
): Promise<{ ok: true } | { ok: false; code: string }> {
  const left = shard.capacity - shard.connections;
  const isNearlyFull = left <= Math.max(fewPlaces, shard.capacity / 10);
  if (ports.canRefuseUpgrades || !isNearlyFull) return { ok: true };
  return ports.calls.call(
    { role: "shard", id: shard.id },
    {
      type: "hold",
      connection,
      claim: null,
      session: null,
    },
  );
}
