/**
 * Where players go: `route` tells, `reserve` holds seats and signs tickets for them. A player without
 * a room is offered the partitions' open rooms one partition after the other, then a new room.
 */
import { hub, partitionNames } from "../../core/partitions.ts";
import type { RoomType } from "../../core/rooms.ts";
import type { RoomId } from "../../protocol/names.ts";
import type { ProblemCode } from "../../protocol/problems.ts";
import type { HeldSeats } from "../../protocol/registry-calls.ts";
import type {
  BodyOf,
  ConnectAddress,
  Region,
  Reservation,
  ReservedSeat,
  RouteAnswer,
} from "../../protocol/registry.ts";
import { success, type Success } from "../../protocol/result.ts";
import { signSeat } from "../../protocol/ticket.ts";
import { usableSecret } from "../arrival.ts";
import { jsonResponse, refusal, type Refusal } from "../http.ts";
import { newRoomId } from "./new-room-id.ts";
import { askPartition } from "./partitions.ts";
import { addressOf, roomOfType, unknownType } from "./rooms.ts";
import type { Ask } from "./route.ts";

/** Best first: a room that is there, then a new one. */
const preference = ["local", "redirect", "create", "unavailable"] as const;

export async function routePlayer(ask: Ask, body: BodyOf<"route">): Promise<Response | Refusal> {
  const { rooms, ports, request } = ask;
  const type = rooms.type(body.roomType);
  if (type === undefined) return unknownType(body.roomType, rooms);
  const room = optionalRoom(body.roomId, type, ask);
  if (!room.ok) return room;
  const question = {
    type: "route",
    roomType: type.name,
    room: room.value,
    player: body.playerId,
    server: body.serverId ?? null,
    query: body.query,
  } as const;
  const region = body.region ?? ports.region(request);
  const names = room.value === null ? shuffled(ask) : [rooms.partitionOf(room.value)];
  const answers = await Promise.all(names.map((name) => askPartition(ports, name, question)));
  const routes = answers.flatMap((answer) => (answer.ok ? [answer.value] : []));
  const best = preference.flatMap((kind) => routes.filter((each) => each.type === kind))[0];
  const failed = answers.find((answer): answer is Refusal => !answer.ok);
  // A partition that is silent may have the room; what was found elsewhere is as good.
  const isFound = best?.type === "local" || best?.type === "redirect";
  if (failed !== undefined && !isFound) return failed;
  if (best === undefined) return refusal("unavailable", "the registry gave no answer");
  const key = room.value ?? body.playerId;
  const answer =
    best.type === "create"
      ? await newRoom(ask, type, { key, region, local: question.server })
      : null;
  if (answer?.ok === false) return answer;
  return jsonResponse(answer?.value ?? withAddress(best, ask.url));
}

/** Where a new room would come about, if it can. */
async function newRoom(
  { ports }: Ask,
  { name, hostedBy }: RoomType,
  asked: { readonly key: string; readonly region: Region | null; readonly local: string | null },
): Promise<Success<RouteAnswer> | Refusal> {
  if (hostedBy === "shards") return success({ type: "create" });
  const question = { type: "offer", roomType: name, ...asked } as const;
  const offered = await askPartition(ports, hub, question);
  if (!offered.ok) {
    if (offered.code !== "no-server") return offered;
    return success({ type: "unavailable", reason: offered.detail });
  }
  if (offered.value === null) return success({ type: "create" });
  const { server: serverId, url: serverAddress } = offered.value;
  return success({ type: "create", serverId, serverAddress });
}

/** Rooms on shards are where the request came to. */
function withAddress(answer: RouteAnswer, url: URL): RouteAnswer {
  if (answer.type !== "redirect" || answer.serverAddress !== "") return answer;
  const { roomId } = answer;
  return { ...answer, serverAddress: addressOf(roomId, url), connect: connectTo(roomId, {}) };
}

function connectTo(room: string, query: ConnectAddress["query"]): ConnectAddress {
  return { party: "router", room, query };
}

export async function reserveSeats(ask: Ask, body: BodyOf<"reserve">): Promise<Response | Refusal> {
  const type = ask.rooms.type(body.roomType);
  if (type === undefined) return unknownType(body.roomType, ask.rooms);
  const players = playersOf(body);
  if (!players.ok) return players;
  const places = type.maxPlayers ?? type.capacity;
  if (players.value.length > places) {
    const most = `a room of type "${type.name}" takes ${places} players at most`;
    return refusal("malformed-body", `${most}, and a group goes into one room`);
  }
  const room = optionalRoom(body.roomId, type, ask);
  if (!room.ok) return room;
  const secret = usableSecret(ask.ports);
  if (!secret.ok) return refusal(secret.code, secret.detail);
  const wanted: Wanted = {
    type: "reserve",
    roomType: type.name,
    players: players.value,
    query: body.query,
    ttlMs: body.ttlMs ?? null,
    region: body.region ?? ask.ports.region(ask.request),
    server: body.serverId ?? null,
  };
  const held =
    room.value === null
      ? await joinOrCreate(ask, type, wanted)
      : await reserveIn(ask, room.value, wanted);
  if (!held.ok) return held;
  return jsonResponse(await reservationOf(held.value, secret.value));
}

type Wanted = {
  readonly type: "reserve";
  readonly roomType: string;
  readonly players: string[];
  readonly query: BodyOf<"reserve">["query"];
  readonly ttlMs: number | null;
  readonly region: Region | null;
  readonly server: string | null;
};

type Held = Promise<Success<HeldSeats> | Refusal>;

function reserveIn({ rooms, ports }: Ask, room: RoomId, wanted: Wanted): Held {
  return askPartition(ports, rooms.partitionOf(room), { ...wanted, room, create: null });
}

/**
 * An open room of any partition, else a new one in its own partition. With one partition that is one
 * call. A partition that is silent is passed over: seats that it may have held expire.
 */
async function joinOrCreate(ask: Ask, type: RoomType, wanted: Wanted): Held {
  const { rooms, ports } = ask;
  const created = roomOfType(newRoomId(type, ports.entropy), type, rooms);
  if (!created.ok) return created;
  const home = rooms.partitionOf(created.value);
  for (const name of shuffled(ask)) {
    // It is asked last, together with the new room.
    if (name === home) continue;
    const held = await askPartition(ports, name, { ...wanted, room: null, create: null });
    if (held.ok || !mayBeElsewhere.has(held.code)) return held;
  }
  return askPartition(ports, home, { ...wanted, room: null, create: created.value });
}

/** Refusals of one partition that say nothing of the others. */
const mayBeElsewhere: ReadonlySet<ProblemCode> = new Set([
  "unknown-room",
  "room-full",
  "room-locked",
  "no-server",
  "unavailable",
]);

/** The partitions in turn, from one drawn at random, so that none gets all players first. */
function shuffled({ rooms, ports }: Ask): string[] {
  const names = partitionNames(rooms.deployment.partitions);
  const start = Math.floor(ports.entropy.random() * names.length);
  return [...names.slice(start), ...names.slice(0, start)];
}

function optionalRoom(
  name: string | undefined,
  type: RoomType,
  { rooms }: Ask,
): Success<RoomId | null> | Refusal {
  return name === undefined ? success(null) : roomOfType(name, type, rooms);
}

function playersOf({ playerId, playerIds }: BodyOf<"reserve">): Success<string[]> | Refusal {
  if ((playerId === undefined) === (playerIds === undefined)) {
    return refusal("malformed-body", "either playerId or playerIds must be given");
  }
  const players = playerIds ?? (playerId === undefined ? [] : [playerId]);
  if (new Set(players).size === players.length) return success(players);
  return refusal("malformed-body", "playerIds must not name a player twice");
}

async function reservationOf(held: HeldSeats, secret: string): Promise<Reservation> {
  const { room, server, expiresAt, redirect } = held;
  const seats = await Promise.all(
    held.seats.map(async (seat): Promise<ReservedSeat> => {
      const ticket = await signSeat(secret, held, seat);
      return { id: seat.id, playerId: seat.player, expiresAt, ticket };
    }),
  );
  const [first] = seats;
  if (first === undefined) throw new Error(`the registry held no seat in "${room}"`);
  return {
    roomId: room,
    serverId: server,
    seat: { id: first.id, expiresAt },
    ticket: first.ticket,
    seats,
    connect: connectTo(room, { ticket: first.ticket }),
    ...(redirect === null ? {} : { redirect }),
  };
}
