/** The registry's rooms over HTTP: listed, created, read, changed, disposed. */
import { wrongLimit, type RoomType, type Rooms } from "../../core/rooms.ts";
import { parseRoomId, type RoomId } from "../../protocol/names.ts";
import type { RoomListing } from "../../protocol/registry-calls.ts";
import type { BodyOf, RoomRegistration } from "../../protocol/registry.ts";
import { success, type Success } from "../../protocol/result.ts";
import { disposeRoom } from "../disposing.ts";
import { jsonResponse, refusal, type Refusal } from "../http.ts";
import { mergePages } from "../../core/listing.ts";
import { newRoomId } from "./new-room-id.ts";
import { askAll, askPartition } from "./partitions.ts";
import { parseRoomsQuery } from "./query.ts";
import type { Ask } from "./route.ts";

export async function listRooms(ask: Ask): Promise<Response | Refusal> {
  const query = parseRoomsQuery(ask.url.searchParams);
  if (!query.ok) return query;
  const { roomType } = query.value;
  if (roomType !== null && ask.rooms.type(roomType) === undefined) {
    return unknownType(roomType, ask.rooms);
  }
  const answer = await askAll(ask, { type: "rooms", ...query.value });
  if (!answer.ok) return answer;
  const parts = answer.value.map(({ rooms, through }) => ({ items: rooms, through }));
  const page = mergePages(parts, ({ roomId }) => roomId, query.value.limit);
  const rooms = page.items.map((room) => registrationOf(room, ask.url));
  return jsonResponse({ rooms, ...(page.cursor === null ? {} : { cursor: page.cursor }) });
}

export async function createRoom(
  { rooms, ports, request, url }: Ask,
  body: BodyOf<"createRoom">,
): Promise<Response | Refusal> {
  const type = rooms.type(body.type);
  if (type === undefined) return unknownType(body.type, rooms);
  const wrong = wrongLimit(type, body.maxPlayers ?? null);
  if (wrong !== null) return refusal("malformed-body", wrong);
  const room = roomOfType(body.roomId ?? newRoomId(type, ports.entropy), type, rooms);
  if (!room.ok) return room;
  const answer = await askPartition(ports, rooms.partitionOf(room.value), {
    type: "create",
    room: room.value,
    metadata: body.metadata,
    maxPlayers: body.maxPlayers ?? null,
    isLocked: body.isLocked,
    keepMs: body.keepMs,
    region: ports.region(request),
    server: body.serverId ?? null,
  });
  return answer.ok ? jsonResponse(registrationOf(answer.value, url), 201) : answer;
}

export async function readRoom({ rooms, ports, name, url }: Ask): Promise<Response | Refusal> {
  const room = roomNamed(name, rooms);
  if (!room.ok) return room;
  const question = { type: "room", room: room.value } as const;
  const answer = await askPartition(ports, rooms.partitionOf(room.value), question);
  return answer.ok ? jsonResponse(registrationOf(answer.value, url)) : answer;
}

export async function changeRoom(
  { rooms, ports, name, url }: Ask,
  body: BodyOf<"changeRoom">,
): Promise<Response | Refusal> {
  const room = roomNamed(name, rooms);
  if (!room.ok) return room;
  const change = { type: "change", room: room.value, ...body } as const;
  const answer = await askPartition(ports, rooms.partitionOf(room.value), change);
  return answer.ok ? jsonResponse(registrationOf(answer.value, url)) : answer;
}

export async function deleteRoom({ rooms, ports, name }: Ask): Promise<Response | Refusal> {
  const room = roomNamed(name, rooms);
  return room.ok ? disposeRoom(room.value, rooms, ports) : room;
}

/** A room id of a type that the deployment has. */
export function roomNamed(name: string, rooms: Rooms): Success<RoomId> | Refusal {
  const room = parseRoomId(name);
  if (!room.ok) return refusal(room.code, room.detail);
  return rooms.typeOf(room.value) === undefined ? unknownType(name, rooms) : room;
}

/** A room id of this type and no other. */
export function roomOfType(name: string, type: RoomType, rooms: Rooms): Success<RoomId> | Refusal {
  const room = parseRoomId(name);
  if (!room.ok) return refusal(room.code, room.detail);
  if (rooms.typeOf(room.value) === type) return success(room.value);
  return refusal("malformed-body", `"${name}" names no room of the type "${type.name}"`);
}

export function unknownType(name: string, rooms: Rooms): Refusal {
  const known = rooms.names().join(", ");
  const shown = name.slice(0, 140);
  return refusal("unknown-room-type", `"${shown}" names no room type; there are: ${known}`);
}

/** Rooms on shards are where the request came to. */
export function addressOf(room: string, url: URL): string {
  const protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return `${protocol}//${url.host}/parties/router/${room}`;
}

export function registrationOf(room: RoomListing, url: URL): RoomRegistration {
  return { ...room, address: room.address ?? addressOf(room.roomId, url) };
}
