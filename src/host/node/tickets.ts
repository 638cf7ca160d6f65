/** What a client that connects to a game server asks for, and whether its ticket is for this server. */
import { parseClientRequest, type ClientRequest } from "../../protocol/client-request.ts";
import { isConnectionId, parseRoomId, type RoomId } from "../../protocol/names.ts";
import type { ProblemCode } from "../../protocol/problems.ts";
import { failure, success, type Result } from "../../protocol/result.ts";
import { verifyTicket, type TicketClaims } from "../../protocol/ticket.ts";
import { entropy } from "../platform.ts";

export type Visitor = {
  readonly room: RoomId;
  readonly connection: string;
  readonly request: ClientRequest;
  /** `null` for who brings the session of a seat in place of a ticket. */
  readonly claims: TicketClaims | null;
};

/** `target`: path and query of the upgrade, `/parties/router/ROOM?ticket=…`. */
export async function readVisitor(
  target: string,
  secret: string,
  serverId: string,
): Promise<Result<Visitor, ProblemCode>> {
  if (!URL.canParse(target, "http://server")) {
    return failure("malformed-query", "the address cannot be read");
  }
  const { pathname, searchParams } = new URL(target, "http://server");
  const name = /^\/parties\/router\/([^/]+)$/.exec(pathname)?.[1];
  if (name === undefined) return failure("not-found", "rooms are at /parties/router/ROOM");
  const room = parseRoomId(name);
  if (!room.ok) return room;
  const request = parseClientRequest(searchParams);
  if (!request.ok) return request;
  const connection = searchParams.get("_pk") ?? entropy.id();
  if (!isConnectionId(connection)) {
    return failure("malformed-query", "_pk must be 1 to 128 printable ASCII characters, no ~");
  }
  const ticket = searchParams.get("ticket");
  const visitor = { room: room.value, connection, request: request.value };
  if (ticket === null && request.value.session !== undefined) {
    return success({ ...visitor, claims: null });
  }
  if (ticket === null) {
    return failure("ticket-invalid", "this server takes players with a ticket only: reserve one");
  }
  const claims = await verifyTicket(secret, ticket);
  if (!claims.ok) return claims;
  if (claims.value.room !== room.value || claims.value.server !== serverId) {
    return failure("ticket-invalid", "the ticket is for another room or server");
  }
  return success({ ...visitor, claims: claims.value });
}

/** Whether it is a session that brings the client, whose ticket was good once. */
export function comesBack(target: string): boolean {
  return (
    URL.canParse(target, "http://server") &&
    new URL(target, "http://server").searchParams.has("session")
  );
}
