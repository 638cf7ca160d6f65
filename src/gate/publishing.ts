/** A POST to the router: from the request to the sequencer's answer. Knows nothing of order. */
import type { RoomType } from "../core/rooms.ts";
import { callPublish, wrongKey, wrongTopic } from "../core/writes.ts";
import type { PublishRequest } from "../protocol/calls.ts";
import type { RoomId } from "../protocol/names.ts";
import { success, type Success } from "../protocol/result.ts";
import { readMessages } from "./body.ts";
import type { GatePorts } from "./ports.ts";
import { jsonResponse, refusal, type Refusal } from "./http.ts";

type Options = Pick<PublishRequest, "volatile" | "waitDelivered" | "key" | "topic">;

export async function publish(
  room: RoomId,
  type: RoomType,
  request: Request,
  url: URL,
  ports: GatePorts,
): Promise<Response | Refusal> {
  const options = parseOptions(request.headers, url.searchParams);
  if (!options.ok) return options;
  const messages = await readMessages(request, type.maxMessageBytes);
  if (!messages.ok) return messages;
  const call: PublishRequest = { type: "publish", messages: messages.value, ...options.value };
  const result = await callPublish(ports.calls, room, call);
  if (!result.ok) return refusal(result.code, result.detail);
  const { epoch, first, seq, shards } = result.value;
  const isLate = call.waitDelivered && shards.pending > 0;
  const many = messages.value.length > 1 && !call.volatile ? { first } : {};
  return jsonResponse({ room, epoch, ...many, seq, shards }, isLate ? 202 : 200);
}

function parseOptions(headers: Headers, query: URLSearchParams): Success<Options> | Refusal {
  const volatile = query.get("volatile");
  if (volatile !== null && volatile !== "0" && volatile !== "1") {
    return refusal("malformed-query", `volatile must be 0 or 1, not "${volatile}"`);
  }
  const wait = query.get("wait");
  if (wait !== null && wait !== "delivered") {
    return refusal("malformed-query", `wait must be "delivered" when given, not "${wait}"`);
  }
  if (query.has("topics")) {
    return refusal("malformed-query", "a message has one topic: topics is for sockets");
  }
  const topic = query.get("topic");
  const badTopic = topic === null ? null : wrongTopic(topic);
  if (badTopic !== null) return refusal("malformed-query", badTopic);
  const options = {
    volatile: volatile === "1",
    waitDelivered: wait === "delivered",
    ...(topic === null ? {} : { topic }),
  };
  const key = headers.get("idempotency-key");
  if (key === null) return success(options);
  const badKey = wrongKey("Idempotency-Key", key);
  if (badKey !== null) return refusal("malformed-header", badKey);
  if (options.volatile) {
    return refusal("malformed-header", "a volatile message cannot have an Idempotency-Key");
  }
  return success({ ...options, key });
}
