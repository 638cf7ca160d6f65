/**
 * A WebSocket upgrade at the router: which shard takes it, and handing it over. Knows nothing of what
 * the socket will carry, nor whether a seat is free: that the shard says.
 */
import { Allowance } from "../core/allowance.ts";
import type { ShardCandidate } from "../core/placement-table.ts";
import type { Counters } from "../core/counters.ts";
import type { Rooms, RoomType } from "../core/rooms.ts";
import type { RoomId, ShardId } from "../protocol/names.ts";
import type { ProblemCode } from "../protocol/problems.ts";
import { formerShardOf, parseArrival, shardOf, withoutSession, type Arrival } from "./arrival.ts";
import { locked, missing, misdirected, redirect } from "./redirecting.ts";
import type { GatePorts } from "./ports.ts";
import { refusal, type Refusal } from "./http.ts";
import { stepMs, Tables, type KnownRoom } from "./tables.ts";

/** Shards that are tried for one socket. */
const attempts = 3;
/** A shard is nearly full with a tenth, or so few places, left. */
const fewPlaces = 16;

/** Anybody can make up names of rooms on servers outside, whose capacity is for all. */
const newRoomsByGuests = { atOnce: 100, perSecond: 20 };

/** Who comes, and where to. */
type Comer = {
  readonly room: RoomId;
  readonly type: RoomType;
  readonly request: Request;
  readonly arrival: Arrival;
};

/** Why a shard did not take a socket. */
type Refused = { readonly ok: false; readonly code: string };

export class Connecting {
  readonly #rooms: Rooms;
  readonly #tables: Tables;
  readonly #newRooms = new Allowance(newRoomsByGuests);

  constructor(rooms: Rooms, counters: Counters) {
    this.#rooms = rooms;
    this.#tables = new Tables(rooms, counters);
  }

  async connect(
    room: RoomId,
    type: RoomType,
    request: Request,
    url: URL,
    ports: GatePorts,
  ): Promise<Response | Refusal> {
    const parsed = await parseArrival(room, url, ports);
    if (!parsed.ok) return parsed;
    const arrival = parsed.value;
    const comer: Comer = { room, type, request, arrival };
    const until = ports.clock.now() + type.connectTimeoutMs;
    const shard = arrival.ticket === null ? undefined : shardOf(arrival.ticket, room, type);
    if (shard !== undefined) return takeSeat(shard, comer, ports);
    const known = await this.#tables.current(room, type, ports);
    if (known.isLocked && !mayEnterLocked(comer, known)) return locked(room);
    if (isOutside(type, known)) {
      const partition = this.#rooms.partitionOf(room);
      const region = ports.region(request);
      const newRooms = this.#newRooms;
      return redirect({ room, type, arrival, known, newRooms, partition, region }, ports);
    }
    if (arrival.ticket !== null) {
      return refusal("ticket-invalid", `the ticket is for no shard of "${room}"`);
    }
    const answer = await placeOrComeBack(known, until, comer, ports);
    if (answer instanceof Response || answer.code !== "ticket-expired") return answer;
    // No seat is kept for the session any more: who brings it is as good as anybody.
    if (known.isLocked) return locked(room);
    return place(known, until, { ...comer, arrival: withoutSession(arrival) }, ports);
  }

  /**
   * The refusal of a request for a room that is on a server outside; `null` when it is here. The
   * registry is asked where rooms of the type are always outside, or this one was when it last said:
   * no message to any other asks it.
   */
  async elsewhere(room: RoomId, type: RoomType, ports: GatePorts): Promise<Refusal | null> {
    const last = this.#tables.lastKnown(room);
    const mayBeOutside = last === undefined ? type.hostedBy === "servers" : isOutside(type, last);
    if (!mayBeOutside) return null;
    const known = await this.#tables.current(room, type, ports);
    if (!isOutside(type, known)) return null;
    return known.redirect === null ? missing(room, known) : misdirected(room, known.redirect);
  }
}

/** Who brings a session goes to the shard that has its seat. */
async function placeOrComeBack(
  known: KnownRoom,
  until: number,
  comer: Comer,
  ports: GatePorts,
): Promise<Response | Refusal> {
  const { room, type, arrival } = comer;
  const former = formerShardOf(arrival, room, type);
  if (former === undefined) return place(known, until, comer, ports);
  const answer = await takeSeat(former, comer, ports, stepMs(type));
  const isLost = !(answer instanceof Response) && answer.code === "unavailable";
  // Its seat is kept, and so is its session: the next time it may find it again.
  const mayGoElsewhere = isLost && type.shards > 1 && !known.isLocked;
  return mayGoElsewhere ? place(known, until, comer, ports) : answer;
}

/** Whether the room is not here: on a server outside, or nowhere yet. */
function isOutside({ hostedBy }: RoomType, { redirect: address, isAbsent }: KnownRoom): boolean {
  return address !== null || isAbsent || hostedBy === "servers";
}

async function place(
  { placement }: KnownRoom,
  until: number,
  comer: Comer,
  ports: GatePorts,
): Promise<Response | Refusal> {
  const { room, type, request, arrival } = comer;
  const { clock, entropy } = ports;
  const excluded = new Set<ShardId>();
  let isFull = false;
  while (excluded.size < attempts) {
    const left = Math.min(stepMs(type), until - clock.now());
    if (left <= 0) break;
    const asked = {
      random: () => entropy.random(),
      key: arrival.connection,
      region: ports.region(request),
      local: null,
    };
    const shard = placement.place(type.placement, asked, clock.now(), excluded);
    if (shard === undefined) break;
    const result = await ports.within(left, async (signal) => {
      const isAsked = mayRefuse(shard, arrival, ports);
      return handOver(shard.id, isAsked, request, arrival, ports, signal);
    });
    if (result instanceof Response) return result;
    placement.forget(shard.id);
    placement.distrust();
    excluded.add(shard.id);
    const code = result?.code ?? "unreachable";
    if (isFinal(code)) return refusalOf(room, code);
    if (code === "full") isFull = true;
  }
  return refusalOf(room, isFull ? "full" : "unreachable");
}

/** The shard that a ticket or session names: no other has the seat. */
export async function takeSeat(
  shard: ShardId,
  { room, type, request, arrival }: Comer,
  ports: GatePorts,
  ms = type.connectTimeoutMs,
): Promise<Response | Refusal> {
  const result = await ports.within(ms, (signal) =>
    handOver(shard, !ports.canRefuseUpgrades, request, arrival, ports, signal),
  );
  return result instanceof Response ? result : refusalOf(room, result?.code ?? "unreachable");
}

async function handOver(
  shard: ShardId,
  isAsked: boolean,
  request: Request,
  { query, connection, ticket, session }: Arrival,
  ports: GatePorts,
  signal: AbortSignal,
): Promise<Response | Refused> {
  const claim = ticket?.claim ?? null;
  if (isAsked) {
    const question = { type: "hold", connection, claim, session } as const;
    const held = await ports.calls.call({ role: "shard", id: shard }, question);
    if (!held.ok) return held;
  }
  if (signal.aborted) return { ok: false, code: "unreachable" };
  return ports.connect(shard, request, query, connection, signal, claim);
}

/**
 * Who was given a seat may come, and who comes back to one: whether the session is one of its own can
 * be told by the shard that gave it, the only one of its room, and a server outside.
 */
function mayEnterLocked({ room, type, arrival }: Comer, known: KnownRoom): boolean {
  if (arrival.ticket !== null) return true;
  if (arrival.session === null) return false;
  if (type.shards === 1 || known.redirect !== null) return true;
  return formerShardOf(arrival, room, type) !== undefined;
}

/**
 * Where the host cannot refuse an upgrade, a shard that may be full is asked for a place first, and
 * any for who comes back to a seat. Only then, so that the usual connect stays one call.
 */
function mayRefuse(shard: ShardCandidate, { session }: Arrival, ports: GatePorts): boolean {
  const left = shard.capacity - shard.connections;
  const isNearlyFull = left <= Math.max(fewPlaces, shard.capacity / 10);
  return !ports.canRefuseUpgrades && (isNearlyFull || session !== null);
}

/** What is wrong with the ticket or session, which is so on every shard. */
const seatProblems = {
  "ticket-invalid": "the ticket is for no seat of this room",
  "ticket-used": "the ticket was used by another connection",
  "ticket-expired": "the seat was not taken in time, or its grace is over",
} as const satisfies Partial<Record<ProblemCode, string>>;

function isFinal(code: string): code is keyof typeof seatProblems {
  return Object.hasOwn(seatProblems, code);
}

function refusalOf(room: RoomId, code: string): Refusal {
  if (isFinal(code)) return refusal(code, seatProblems[code]);
  return code === "full"
    ? refusal("room-full", `"${room}" has no place for another client at the moment`)
    : refusal("unavailable", `no shard of "${room}" could be reached`);
}
