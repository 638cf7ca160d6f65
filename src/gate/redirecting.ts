/**
 * Rooms on servers outside: who comes to the router is told where the room is. A client of protocol 1
 * that brings no ticket is given a seat on the way, since a server outside takes nobody without one;
 * with its seat a room that is not there yet comes about.
 */
import type { Allowance } from "../core/allowance.ts";
import type { RoomType } from "../core/rooms.ts";
import { encodeServerFrame } from "../protocol/client.ts";
import { closeCodes } from "../protocol/close-codes.ts";
import type { RoomId } from "../protocol/names.ts";
import { isRegistryId, type Region } from "../protocol/registry.ts";
import type { HeldSeats } from "../protocol/registry-calls.ts";
import { success, type Failure, type Success } from "../protocol/result.ts";
import { signSeat } from "../protocol/ticket.ts";
import { usableSecret, type Arrival } from "./arrival.ts";
import { refusal, type Refusal } from "./http.ts";
import type { GatePorts } from "./ports.ts";
import { stepMs, type KnownRoom } from "./tables.ts";

type Guest = {
  readonly room: RoomId;
  readonly type: RoomType;
  readonly arrival: Arrival;
  readonly known: KnownRoom;
  /** How many rooms this gate lets come about by those who merely come. */
  readonly newRooms: Allowance;
  /** Of the registry, which keeps the room. */
  readonly partition: string;
  readonly region: Region | null;
};

/** A client of protocol 1 is sent on by a frame, any other is told the address. */
export async function redirect(guest: Guest, ports: GatePorts): Promise<Response | Refusal> {
  const { room, arrival, known } = guest;
  const address = known.redirect;
  const { ticket } = arrival;
  const hasTicket = ticket !== null;
  const isForThere = hasTicket && ticket.instance === known.instance;
  if (address === null && (hasTicket || !arrival.speaksProtocol)) return missing(room, known);
  if (address !== null && !arrival.speaksProtocol) return misdirected(room, address);
  const place =
    address !== null && isForThere ? success(address) : await placeOf(guest, address, ports);
  if (!place.ok) return place;
  const frame = encodeServerFrame({ type: "redirect", url: place.value });
  return ports.answerSocket(frame, closeCodes.moved, "the room is on another server");
}

export function misdirected(room: RoomId, address: string): Refusal {
  // What a room publishes is its server's to say: see the README, "Game servers outside".
  const detail = `"${room}" is at ${address}, which takes WebSockets and no other requests`;
  return refusal("room-elsewhere", detail, { location: address });
}

/** A room that nobody has come to, or of which this gate has heard nothing. */
export function missing(room: RoomId, { isAbsent }: KnownRoom): Refusal {
  return isAbsent
    ? refusal("unknown-room", `there is no room "${room}": a seat in it would create it`)
    : refusal("unavailable", `where "${room}" is cannot be said at the moment; try again`);
}

export function locked(room: RoomId): Refusal {
  return refusal("room-locked", `"${room}" is locked: it takes those who have a ticket`);
}

/** The address with a ticket in it. Without a secret there are no tickets, and nobody asks for one. */
async function placeOf(
  guest: Guest,
  address: string | null,
  ports: GatePorts,
): Promise<Success<string> | Refusal> {
  const { room, arrival } = guest;
  const secret = usableSecret(ports);
  if (!secret.ok) return address === null ? refusal(secret.code, secret.detail) : success(address);
  if (guest.known.isAbsent && !guest.newRooms.take(ports.clock.now())) {
    return refusal("unavailable", "too many rooms are being made at the moment; try again");
  }
  const held = await holdSeat(guest, ports);
  if (held?.ok !== true) {
    // Its own seat may be what is in the way: its server knows.
    const isShut = held?.code === "room-full" || held?.code === "room-locked";
    if (isShut && arrival.session !== null && address !== null) return success(address);
    return refusalOf(room, held);
  }
  const { redirect: url, seats } = held.value;
  const [seat] = seats;
  // The room has come to shards meanwhile, which this gate learns within a second.
  if (url === null || seat === undefined) return refusalOf(room, null);
  const place = new URL(url);
  place.searchParams.set("ticket", await signSeat(secret.value, held.value, seat));
  return success(place.href);
}

/**
 * The connection is the player, as on shards, but for who had a ticket to where the room was before.
 * `null` when the registry does not answer in time.
 */
function holdSeat(
  { room, type, arrival: { connection, former }, known, partition, region }: Guest,
  ports: GatePorts,
): Promise<Success<HeldSeats> | Failure | null> {
  const guest = isRegistryId(connection) ? connection : ports.entropy.id();
  const players = [former?.claim.player ?? guest];
  const create = known.isAbsent ? room : null;
  const hasMoved = former !== null && former.instance !== known.instance;
  const returning = hasMoved ? { isReturning: true } : {};
  const more = { query: {}, ttlMs: null, region, create, ...returning };
  const request = { type: "reserve", roomType: type.name, room, players, ...more } as const;
  return ports.within(stepMs(type), () =>
    ports.calls.call({ role: "registry", id: partition }, request),
  );
}

function refusalOf(room: RoomId, failed: Failure | null): Refusal {
  if (failed?.code === "room-locked") return locked(room);
  return failed?.code === "room-full"
    ? refusal("room-full", `"${room}" has no place for another client at the moment`)
    : refusal("unavailable", `no seat could be had in "${room}"; try again`);
}
