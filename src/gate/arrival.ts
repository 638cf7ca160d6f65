/** What an upgrade brings: its connection, what it asks for, its ticket; and the only parsing of it. */
import type { Rooms } from "../core/rooms.ts";
import type { SeatClaim } from "../protocol/calls.ts";
import { parseClientRequest } from "../protocol/client-request.ts";
import {
  isConnectionId,
  isShardId,
  roomOfShard,
  slotOf,
  type RoomId,
  type ShardId,
} from "../protocol/names.ts";
import { isRegistryId } from "../protocol/registry.ts";
import { failure, success, type Result, type Success } from "../protocol/result.ts";
import { minSecretBytes, secretName, verifyTicket } from "../protocol/ticket.ts";
import type { GatePorts } from "./ports.ts";
import { refusal, type Refusal } from "./http.ts";

export type Arrival = {
  readonly connection: string;
  /** The client's own query for the room class, with the connection's id made sure of and without the ticket. */
  readonly query: string;
  readonly speaksProtocol: boolean;
  /** From the welcome of a former connection. */
  readonly session: string | null;
  /** `null` also beside a session, in whose place it stood. */
  readonly ticket: Ticket | null;
  /** The ticket of whoever has or had a session: who that is, where the room has moved. */
  readonly former: Ticket | null;
};

/** A ticket whose signature holds. */
export type Ticket = {
  readonly room: string;
  /** A shard, or a server outside. */
  readonly server: string;
  /** Of a server outside: the start of it that has the seat. */
  readonly instance?: string;
  readonly claim: SeatClaim;
};

export async function parseArrival(
  room: RoomId,
  url: URL,
  ports: GatePorts,
): Promise<Success<Arrival> | Refusal> {
  const search = url.searchParams;
  const given = search.get("_pk");
  if (given !== null && !isConnectionId(given)) {
    return refusal("malformed-query", "_pk must be 1 to 128 printable ASCII characters, no ~");
  }
  const client = parseClientRequest(search);
  if (!client.ok) return client;
  const connection = given ?? ports.entropy.id();
  const own = without("ticket", url.search.slice(1));
  const query = given === null ? withConnection(own, connection) : own;
  if (query.length > ports.maxQueryLength) {
    return refusal("uri-too-long", `the query must not exceed ${ports.maxQueryLength} characters`);
  }
  const parsed = await parseTicket(room, search.get("ticket"), ports);
  const { speaksProtocol, session = null } = client.value;
  if (session !== null) {
    const former = parsed.ok ? parsed.value : null;
    return success({ connection, query, speaksProtocol, session, ticket: null, former });
  }
  if (!parsed.ok) return parsed;
  const ticket = parsed.value;
  return success({ connection, query, speaksProtocol, session, ticket, former: ticket });
}

/** The same arrival of somebody who was never here. */
export function withoutSession(arrival: Arrival): Arrival {
  return { ...arrival, session: null, query: without("session", arrival.query) };
}

/** The query as it was written, but for one parameter. */
function without(name: string, query: string): string {
  const kept = query.split("&").filter((each) => each !== "" && nameOf(each) !== name);
  return kept.join("&");
}

function nameOf(parameter: string): string | undefined {
  return [...new URLSearchParams(parameter).keys()][0];
}

function withConnection(query: string, connection: string): string {
  const own = String(new URLSearchParams({ _pk: connection }));
  return query === "" ? own : `${query}&${own}`;
}

async function parseTicket(
  room: RoomId,
  text: string | null,
  ports: GatePorts,
): Promise<Success<Ticket | null> | Refusal> {
  if (text === null) return success(null);
  const secret = usableSecret(ports);
  if (!secret.ok) return refusal(secret.code, secret.detail);
  const ticket = await readTicket(secret.value, text);
  if (!ticket.ok) return refusal(ticket.code, `the ticket is not valid: ${ticket.detail}`);
  if (ticket.value.room === room) return ticket;
  return refusal("ticket-invalid", "the ticket is for another room");
}

/** Checks who signed the ticket, and nothing else. */
export async function readTicket(
  secret: string,
  text: string,
): Promise<Result<Ticket, "ticket-invalid">> {
  const claims = await verifyTicket(secret, text);
  if (!claims.ok) return claims;
  const { room, server, instance, seat, player, expiresAt } = claims.value;
  // Servers outside have the secret too, and what they sign goes on in a header.
  if (
    !isRegistryId(seat) ||
    !isRegistryId(player) ||
    !Number.isSafeInteger(expiresAt) ||
    expiresAt < 0
  ) {
    return failure("ticket-invalid", "it names no seat, player or time");
  }
  const start = instance === undefined ? {} : { instance };
  return success({ room, server, ...start, claim: { id: seat, player, expiresAt } });
}

export function usableSecret({ secret }: GatePorts): Result<string, "not-configured"> {
  const bytes = new TextEncoder().encode(secret ?? "").length;
  if (secret !== undefined && bytes >= minSecretBytes) return success(secret);
  const advice = `set ${secretName} to a secret of ${minSecretBytes} bytes or more`;
  return failure("not-configured", `seats need signed tickets: ${advice}`);
}

/** The shard of the room that the ticket is for, if it is for one. */
export async function shardOf(
  { server }: Ticket,
  room: RoomId,
  rooms: Rooms,
  ports: GatePorts,
): Promise<ShardId | undefined> {
  if (!isShardId(server) || roomOfShard(server) !== room) return undefined;
  return (await isShardOf(server, rooms, ports)) ? server : undefined;
}

/**
 * Whether the room has such a shard. The registry is asked about those that not every room of the
 * type has; whether one of the others serves still it says itself.
 */
export async function isShardOf(shard: ShardId, rooms: Rooms, ports: GatePorts): Promise<boolean> {
  const room = roomOfShard(shard);
  if (slotOf(shard) <= (rooms.typeOf(room)?.shards.min ?? 0)) return true;
  const registry = { role: "registry", id: rooms.partitionOf(room) } as const;
  const layout = await ports.calls.call(registry, { type: "layout", room });
  return layout.ok && layout.value.shards.some(({ id }) => id === shard);
}
