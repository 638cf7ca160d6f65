/** The registry's events over HTTP: who subscribes is handed to the hub; servers send messages. */
import { hub } from "../../core/partitions.ts";
import { parsePattern } from "../../protocol/event-pattern.ts";
import { jsonBytes } from "../../protocol/json.ts";
import type { BodyOf } from "../../protocol/registry.ts";
import { jsonResponse, refusal, withCors, type Refusal } from "../http.ts";
import { askPartition } from "./partitions.ts";
import { roomNamed } from "./rooms.ts";
import type { Ask } from "./route.ts";

/** Of the data of one message, as JSON. */
const maxDataBytes = 16 * 1024;

export async function subscribe({ request, url, ports }: Ask): Promise<Response | Refusal> {
  // All events, unless a pattern is given.
  const pattern = parsePattern(url.searchParams.get("pattern") ?? "*");
  if (!pattern.ok) return pattern;
  return withCors(await ports.events(request, pattern.value));
}

export async function announce(
  { rooms, ports }: Ask,
  { type, roomId, data }: BodyOf<"announce">,
): Promise<Response | Refusal> {
  const room = roomNamed(roomId, rooms);
  if (!room.ok) return room;
  const bytes = jsonBytes(data);
  if (bytes === null) return refusal("malformed-body", "data is nested too deeply");
  if (bytes > maxDataBytes) {
    return refusal("payload-too-large", `data must not exceed ${maxDataBytes} bytes as JSON`);
  }
  const event = { type, roomId, data, at: ports.clock.now() } as const;
  const answer = await askPartition(ports, hub, { type: "events", events: [event], lost: 0 });
  return answer.ok ? jsonResponse({ isHeard: answer.value.isHeard }) : answer;
}
