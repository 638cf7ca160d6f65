/** `GET …/messages`: the room's log over HTTP. Knows nothing of sockets. */
import { parsePosition } from "../protocol/client-request.ts";
import { parseFrameToShard, type BatchFrame } from "../protocol/link.ts";
import type { RoomId } from "../protocol/names.ts";
import type { Payload } from "../protocol/payload.ts";
import { success, type Success } from "../protocol/result.ts";
import { jsonResponse, refusal, type Refusal } from "./http.ts";
import type { GatePorts } from "./ports.ts";

const defaultLimit = 100;
const maxLimit = 1_000;

type ReadMessage = ({ readonly data: string } | { readonly base64: string }) & {
  readonly seq: number;
  readonly topic?: string;
  readonly at: number;
};

/**
 * Messages after `since` in the life `epoch`, at most `limit`; without a position, the oldest that
 * are kept. `recovered` tells whether they follow on the position without a gap.
 */
export async function readMessages(
  room: RoomId,
  query: URLSearchParams,
  ports: GatePorts,
): Promise<Response | Refusal> {
  const position = parsePosition(query.get("epoch"), query.get("since"));
  if (!position.ok) return position;
  const limit = parseLimit(query.get("limit"));
  if (!limit.ok) return limit;
  const sequencer = { role: "sequencer", id: room } as const;
  const request = { type: "read", position: position.value, limit: limit.value } as const;
  const result = await ports.calls.call(sequencer, request);
  if (!result.ok) return refusal("unavailable", "the room's sequencer cannot be reached");
  const { epoch, after, frames } = result.value;
  const asked = position.value;
  const recovered = asked === null || (asked.epoch === epoch && asked.seq === after);
  const messages = takeMessages(frames, after, limit.value);
  const through = messages.at(-1)?.seq ?? after;
  return jsonResponse({ epoch, after, through, recovered, messages });
}

function takeMessages(frames: readonly string[], after: number, limit: number): ReadMessage[] {
  const messages: ReadMessage[] = [];
  for (const text of frames) {
    const frame = parseFrameToShard(text);
    if (!frame.ok || frame.value.type !== "batch") continue;
    for (const message of messagesOf(frame.value)) {
      if (message.seq <= after) continue;
      if (messages.length === limit) return messages;
      messages.push(message);
    }
  }
  return messages;
}

function messagesOf({ after, at, entries, topics }: BatchFrame): ReadMessage[] {
  return entries.map((payload: Payload, index) => {
    const topic = topics?.[index] ?? null;
    return {
      seq: after + index + 1,
      ...(typeof payload === "string" ? { data: payload } : payload),
      ...(topic === null ? {} : { topic }),
      at,
    };
  });
}

function parseLimit(text: string | null): Success<number> | Refusal {
  if (text === null) return success(defaultLimit);
  const limit = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= maxLimit) return success(limit);
  return refusal("malformed-query", `limit must be a whole number from 1 to ${maxLimit}`);
}
