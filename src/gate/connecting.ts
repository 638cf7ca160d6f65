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
import type { Region } from "../protocol/registry.ts";
import { formerShardOf, parseArrival, shardOf, withoutSession, type Arrival } from "./arrival.ts";
import { locked, missing, misdirected, redirect } from "./redirecting.ts";
import type { GatePorts } from "./ports.ts";
import { refusal, type Refusal } from "./http.ts";
import { Suspects } from "./suspects.ts";
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
  readonly #suspects: Suspects;
  readonly #newRooms = new Allowance(newRoomsByGuests);

  constructor(rooms: Rooms, counters: Counters) {
    this.#rooms = rooms;
    this.#suspects = new Suspects(rooms);
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
    const { ticket } = arrival;
    const shard = ticket === null ? undefined : await shardOf(ticket, room, this.#rooms, ports);
    if (shard !== undefined) return this.takeSeat(shard, comer, ports);
    const known = await this.#tables.current(room, type, ports);
    const former = await formerShardOf(arrival, room, this.#rooms, ports);
    if (known.isLocked && !mayEnterLocked(arrival, former, known)) return locked(room);
    if (isOutside(type, known)) {
      const partition = this.#rooms.partitionOf(room);
      const region = ports.region(request);
      const newRooms = this.#newRooms;
      return redirect({ room, type, arrival, known, newRooms, partition, region }, ports);
    }
    if (arrival.ticket !== null) {
      return refusal("ticket-invalid", `the ticket is for no shard of "${room}"`);
    }
    const answer = await this.#placeOrComeBack(known, until, comer, former, ports);
    if (answer instanceof Response || answer.code !== "ticket-expired") return answer;
    // No seat is kept for the session any more: who brings it is as good as anybody.
    if (known.isLocked) return locked(room);
    return this.#place(known, until, { ...comer, arrival: withoutSession(arrival) }, ports);
  }

  /** The shard that a ticket or session names: no other has the seat. */
  async takeSeat(
    shard: ShardId,
    { room, type, request, arrival }: Comer,
    ports: GatePorts,
    ms = type.connectTimeoutMs,
  ): Promise<Response | Refusal> {
    const result = await ports.within(ms, (signal) =>
      handOver(shard, !ports.canRefuseUpgrades, request, arrival, ports, signal),
    );
    await this.#learn(shard, result, ports);
    if (result instanceof Response) return result;
    // The seats of a shard that is no more are no more either.
    const code = result?.code === "fenced" ? "ticket-expired" : result?.code;
    return refusalOf(room, code ?? "unreachable");
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

  /** Who brings a session goes to the shard that has its seat. */
  async #placeOrComeBack(
    known: KnownRoom,
    until: number,
    comer: Comer,
    former: ShardId | undefined,
    ports: GatePorts,
  ): Promise<Response | Refusal> {
    if (former === undefined) return this.#place(known, until, comer, ports);
    const answer = await this.takeSeat(former, comer, ports, stepMs(comer.type));
    const isLost = !(answer instanceof Response) && answer.code === "unavailable";
    // Its seat is kept, and so is its session: the next time it may find it again.
    const mayGoElsewhere = isLost && !known.isLocked;
    return mayGoElsewhere ? this.#place(known, until, comer, ports, former) : answer;
  }

  async #place(
    known: KnownRoom,
    until: number,
    comer: Comer,
    ports: GatePorts,
    former?: ShardId,
  ): Promise<Response | Refusal> {
    const { room } = comer;
    const excluded = new Set<ShardId>(former === undefined ? [] : [former]);
    let why = "unreachable";
    for (let questions = 0; ; questions += 1) {
      const since = ports.clock.now();
      const answer = await this.#tryShards(known, until, comer, excluded, ports);
      if (answer instanceof Response) return answer;
      if (answer !== "unreachable") why = answer;
      const mayAsk = questions < 2 && answer !== "unreachable";
      if (!mayAsk || !(await this.#askAgain(answer === "full", since, comer, ports))) {
        return refusalOf(room, why);
      }
      if (excluded.size >= attempts) excluded.clear();
    }
  }

  /** A room in which no shard took a socket; whether another may now. */
  #askAgain(
    isFull: boolean,
    since: number,
    { room, type }: Comer,
    ports: GatePorts,
  ): Promise<boolean> {
    // A room that follows its audience may have a shard more then.
    return isFull
      ? this.#tables.afterRefusal(room, type, ports)
      : this.#tables.afterMove(room, type, since, ports);
  }

  /** A response, or why there is none. */
  async #tryShards(
    { placement }: KnownRoom,
    until: number,
    { type, request, arrival }: Comer,
    excluded: Set<ShardId>,
    ports: GatePorts,
  ): Promise<Response | string> {
    const { clock, entropy } = ports;
    const crowded = new Set<Region>();
    let why = "unreachable";
    while (excluded.size < attempts) {
      const left = Math.min(stepMs(type), until - clock.now());
      if (left <= 0) break;
      const asked = {
        random: () => entropy.random(),
        key: arrival.connection,
        region: ports.region(request),
        local: null,
      };
      const shard = placement.place(type.placement, asked, clock.now(), excluded, crowded);
      if (shard === undefined) break;
      const result = await ports.within(left, async (signal) => {
        const isAsked = mayRefuse(shard, arrival, ports);
        return handOver(shard.id, isAsked, request, arrival, ports, signal);
      });
      await this.#learn(shard.id, result, ports);
      if (result instanceof Response) return result;
      placement.forget(shard.id);
      placement.distrust();
      excluded.add(shard.id);
      const code = result?.code ?? "unreachable";
      if (isFinal(code)) return code;
      if (code === "full") {
        why = "full";
        if (shard.region !== undefined) crowded.add(shard.region);
      } else if (why !== "full" && (code === "draining" || code === "fenced")) why = "moved";
    }
    return why;
  }

  /** Whether the shard can be reached. */
  async #learn(shard: ShardId, result: Response | Refused | null, ports: GatePorts): Promise<void> {
    if (result instanceof Response) this.#suspects.answered(shard);
    else if (result?.code === "overloaded") await this.#suspects.overloaded(shard, ports);
    else if (result !== null && result.code !== "unreachable") this.#suspects.answered(shard);
    else await this.#suspects.notReached(shard, result === null, ports);
  }
}

/** Whether the room is not here: on a server outside, or nowhere yet. */
function isOutside({ hostedBy }: RoomType, { redirect: address, isAbsent }: KnownRoom): boolean {
  return address !== null || isAbsent || hostedBy === "servers";
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
 * be told by the shard that gave it, and by a server outside.
 */
function mayEnterLocked(
  { ticket, session }: Arrival,
  former: ShardId | undefined,
  { redirect: address }: KnownRoom,
): boolean {
  return ticket !== null || former !== undefined || (session !== null && address !== null);
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
