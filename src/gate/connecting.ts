/**
 * A WebSocket upgrade at the router: which shard takes it, and handing it over. Knows nothing of what
 * the socket will carry, nor whether a seat is free: that the shard says.
 */
import { Allowance } from "../core/allowance.ts";
import type { ShardCandidate } from "../core/placement-table.ts";
import type { Counters } from "../core/counters.ts";
import type { Rooms, RoomType } from "../core/rooms.ts";
import { roomOfShard, type RoomId, type ShardId } from "../protocol/names.ts";
import type { Region } from "../protocol/registry.ts";
import { shardOfSession } from "../protocol/session.ts";
import { parseArrival, shardOf, withoutSession, type Arrival } from "./arrival.ts";
import { locked, missing, misdirected, redirect } from "./redirecting.ts";
import type { GatePorts } from "./ports.ts";
import { refusal, type Refusal } from "./http.ts";
import { hasLeft, isFinal, refusalOf, seatRefusalOf, type Refused } from "./shard-refusals.ts";
import { Suspects } from "./suspects.ts";
import { stepMs, Tables, type KnownRoom } from "./tables.ts";

/** Shards that are tried for one socket. */
const attempts = 3;
const nowhere: ReadonlySet<Region> = new Set();
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

/** What was tried for one socket with one table. */
type Tried = {
  readonly since: number;
  readonly excluded: Set<ShardId>;
  /** Those that serve no more. */
  readonly moved: Set<ShardId>;
};

export class Connecting {
  readonly #rooms: Rooms;
  readonly #tables: Tables;
  readonly #suspects: Suspects;
  readonly #newRooms = new Allowance(newRoomsByGuests);

  constructor(rooms: Rooms, counters: Counters) {
    this.#rooms = rooms;
    this.#tables = new Tables(rooms, counters);
    this.#suspects = new Suspects(rooms, (room, now) => {
      this.#tables.lastKnown(room)?.placement.holdOff(now);
    });
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
    const former = await this.#formerShardOf(comer, known, ports);
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

  /** The shard that a ticket names: no other has the seat. */
  async takeSeat(shard: ShardId, comer: Comer, ports: GatePorts): Promise<Response | Refusal> {
    const result = await this.#tryShard(shard, comer, comer.type.connectTimeoutMs, ports);
    return result instanceof Response ? result : seatRefusalOf(comer.room, result);
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

  /** The shard of the room that gave the session which the client brings, if one gave it. */
  async #formerShardOf(
    { room, type, arrival: { session } }: Comer,
    known: KnownRoom,
    ports: GatePorts,
  ): Promise<ShardId | undefined> {
    const former = session === null ? null : shardOfSession(session, room);
    if (former === null || isOutside(type, known)) return undefined;
    return (await this.#tables.hasShard(known, former, type, ports)) ? former : undefined;
  }

  /** `null` when it has no answer in time. */
  async #tryShard(
    shard: ShardId,
    { request, arrival }: Comer,
    ms: number,
    ports: GatePorts,
  ): Promise<Response | Refused | null> {
    const result = await ports.within(ms, (signal) =>
      handOver(shard, !ports.canRefuseUpgrades, request, arrival, ports, signal),
    );
    await this.#learn(shard, result, ports);
    return result;
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
    const result = await this.#tryShard(former, comer, stepMs(comer.type), ports);
    if (result instanceof Response) return result;
    const answer = seatRefusalOf(comer.room, result);
    const isLost = answer.code === "unavailable";
    // Its seat is kept, and so is its session: the next time it may find it again.
    const mayGoElsewhere = isLost && !known.isLocked;
    if (!mayGoElsewhere) return answer;
    known.placement.passOver(former, ports.clock.now());
    return this.#place(known, until, comer, ports, { shard: former, hasLeft: hasLeft(result) });
  }

  async #place(
    known: KnownRoom,
    until: number,
    comer: Comer,
    ports: GatePorts,
    former?: { readonly shard: ShardId; readonly hasLeft: boolean },
  ): Promise<Response | Refusal> {
    const { room } = comer;
    const excluded = new Set<ShardId>(former === undefined ? [] : [former.shard]);
    let why = "unreachable";
    for (let questions = 0; ; questions += 1) {
      const moved = new Set<ShardId>();
      if (questions === 0 && former?.hasLeft === true) moved.add(former.shard);
      const tried = { since: ports.clock.now(), excluded, moved };
      const answer = await this.#tryShards(known, until, comer, tried, ports);
      if (answer instanceof Response) return answer;
      if (answer !== "unreachable") why = answer;
      const mayAsk = questions < 2 && answer !== "unreachable" && !isFinal(answer);
      if (!mayAsk || !(await this.#askAgain(known, answer === "full", tried, comer, ports))) {
        return refusalOf(room, why);
      }
      if (excluded.size >= attempts) excluded.clear();
    }
  }

  /** A room in which no shard took a socket; whether another may now. */
  async #askAgain(
    known: KnownRoom,
    isFull: boolean,
    { since, moved }: Tried,
    { room, type }: Comer,
    ports: GatePorts,
  ): Promise<boolean> {
    // A room that follows its audience may have a shard more then.
    const isNewer =
      (isFull && (await this.#tables.afterRefusal(room, type, ports))) ||
      (moved.size > 0 && (await this.#tables.afterMove(room, type, since, moved, ports)));
    const named = [...moved].filter((shard) => known.isHeard && known.contested.has(shard));
    await Promise.all(named.map((shard) => this.#suspects.stillNamed(shard, ports)));
    return isNewer;
  }

  /** A response, or why there is none. */
  async #tryShards(
    { placement }: KnownRoom,
    until: number,
    { type, request, arrival }: Comer,
    { excluded, moved }: Tried,
    ports: GatePorts,
  ): Promise<Response | string> {
    const { clock, entropy } = ports;
    const crowded = new Set<Region>();
    let why = moved.size > 0 ? "moved" : "unreachable";
    while (excluded.size < attempts) {
      const left = Math.min(stepMs(type), until - clock.now());
      if (left <= 0) break;
      const asked = {
        random: () => entropy.random(),
        key: arrival.connection,
        region: ports.region(request),
        local: null,
      };
      // Of one that refused a sibling may have a place; that all are full must not cost every try.
      const avoided = excluded.size === attempts - 1 ? crowded : nowhere;
      const shard = placement.place(type.placement, asked, clock.now(), excluded, avoided);
      if (shard === undefined) break;
      const result = await ports.within(left, async (signal) => {
        const isAsked = mayRefuse(shard, arrival, ports);
        return handOver(shard.id, isAsked, request, arrival, ports, signal);
      });
      await this.#learn(shard.id, result, ports);
      if (result instanceof Response) return result;
      placement.forget(shard.id);
      placement.passOver(shard.id, clock.now());
      excluded.add(shard.id);
      const code = result?.code ?? "unreachable";
      if (isFinal(code)) return code;
      if (code === "full") {
        why = "full";
        if (shard.region !== undefined) crowded.add(shard.region);
      } else if (hasLeft(result)) {
        moved.add(shard.id);
        if (why !== "full") why = "moved";
      }
    }
    return why;
  }

  /** By the time that a shard has hung for, it may be known to have been replaced. */
  #isReplaced(shard: ShardId): boolean {
    return this.#tables.lastKnown(roomOfShard(shard))?.placement.hasSuccessor(shard) === true;
  }

  /** Whether the shard can be reached. */
  async #learn(shard: ShardId, result: Response | Refused | null, ports: GatePorts): Promise<void> {
    if (result instanceof Response) this.#suspects.answered(shard);
    else if (hasLeft(result)) this.#suspects.left(shard);
    else if (result?.code === "overloaded") await this.#suspects.overloaded(shard, ports);
    else if (result !== null && result.code !== "unreachable") this.#suspects.answered(shard);
    else if (result !== null || !this.#isReplaced(shard)) {
      await this.#suspects.notReached(shard, result === null, ports);
    }
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
