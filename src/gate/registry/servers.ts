/** The registry's servers over HTTP: shards as they are, servers outside as they register. */
import { hub } from "../../core/partitions.ts";
import { isRoomId } from "../../protocol/names.ts";
import { isRegistryId, type BodyOf, type ServerRegistration } from "../../protocol/registry.ts";
import { emptyResponse, jsonResponse, refusal, type Refusal } from "../http.ts";
import { mergePages } from "../../core/listing.ts";
import { askAll, askPartition } from "./partitions.ts";
import { parseServersQuery } from "./query.ts";
import { addressOf, unknownType } from "./rooms.ts";
import { drainShard, shardNamed } from "./shards.ts";
import type { Ask } from "./route.ts";

export async function listServers(ask: Ask): Promise<Response | Refusal> {
  const query = parseServersQuery(ask.url.searchParams);
  if (!query.ok) return query;
  const { roomType } = query.value;
  if (roomType !== null && ask.rooms.type(roomType) === undefined) {
    return unknownType(roomType, ask.rooms);
  }
  const answer = await askAll(ask, { type: "servers", ...query.value });
  if (!answer.ok) return answer;
  const parts = answer.value.map(({ servers, through }) => ({ items: servers, through }));
  const page = mergePages(parts, ({ serverId }) => serverId, query.value.limit);
  const servers = page.items.map((server) => withAddress(server, ask.url));
  return jsonResponse({ servers, ...(page.cursor === null ? {} : { cursor: page.cursor }) });
}

/** Shards are reached through their room. */
function withAddress(server: ServerRegistration, url: URL): ServerRegistration {
  if (server.kind === "server") return server;
  const room = server.serverId.slice(0, server.serverId.lastIndexOf("-"));
  return { ...server, address: addressOf(room, url) };
}

export async function registerServer(
  { rooms, ports }: Ask,
  server: BodyOf<"registerServer">,
): Promise<Response | Refusal> {
  const unknown = server.roomTypes.find((name) => rooms.type(name) === undefined);
  if (unknown !== undefined) return unknownType(unknown, rooms);
  const answer = await askPartition(ports, hub, { type: "register", server });
  return answer.ok ? jsonResponse(answer.value) : answer;
}

export async function heartbeat(
  { ports, name }: Ask,
  report: BodyOf<"heartbeat">,
): Promise<Response | Refusal> {
  const wrong = checkName(name) ?? checkRooms(report);
  if (wrong !== null) return wrong;
  const answer = await askPartition(ports, hub, { type: "heartbeat", server: name, report });
  return answer.ok ? jsonResponse(answer.value) : answer;
}

/** A server outside, or a shard: one that has registered under a shard's name is meant before it. */
export async function drainServer(ask: Ask): Promise<Response | Refusal> {
  const { ports, name } = ask;
  const wrong = checkName(name);
  if (wrong !== null) return wrong;
  const answer = await askPartition(ports, hub, { type: "drain", server: name });
  const shard = shardNamed(name, ask);
  if (!answer.ok && answer.code === "unknown-server" && shard !== null) {
    return drainShard(shard, ask);
  }
  return answer.ok ? jsonResponse(answer.value) : answer;
}

export async function unregisterServer({ ports, name }: Ask): Promise<Response | Refusal> {
  const wrong = checkName(name);
  if (wrong !== null) return wrong;
  const answer = await askPartition(ports, hub, { type: "unregister", server: name });
  return answer.ok ? emptyResponse() : answer;
}

function checkName(name: string): Refusal | null {
  if (isRegistryId(name)) return null;
  const rule = "1 to 128 printable ASCII characters without spaces";
  return refusal("malformed-name", `a server's id is ${rule}`);
}

function checkRooms({ rooms }: BodyOf<"heartbeat">): Refusal | null {
  const wrong = rooms.find(({ roomId }) => !isRoomId(roomId));
  if (wrong === undefined) return null;
  return refusal("malformed-body", `"${wrong.roomId.slice(0, 140)}" is not a room id`);
}
