/** A POST to the router: from the request to the sequencer's answer. Knows nothing of order. */
import type { RoomType } from "../core/rooms.ts";
import { maxIdempotencyKeyLength, type Published, type PublishRequest } from "../protocol/calls.ts";
import { isTopic } from "../protocol/client.ts";
import type { RoomId } from "../protocol/names.ts";
import { isProblemCode } from "../protocol/problems.ts";
import { success, type Result, type Success } from "../protocol/result.ts";
import { readMessages } from "./body.ts";
import type { GatePorts } from "./ports.ts";
import { jsonResponse, refusal, type Refusal } from "./http.ts";

/** A write with an idempotency key is tried again when the answer was lost; one without is not. */
const keyedAttempts = 3;

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
  const result = await callWithRetry(room, call, ports);
  if (!result.ok) {
    const code = isProblemCode(result.code) ? result.code : "unavailable";
    return refusal(code, result.detail);
  }
  const { epoch, first, seq, shards } = result.value;
  const isLate = call.waitDelivered && shards.pending > 0;
  const many = messages.value.length > 1 && !call.volatile ? { first } : {};
  return jsonResponse({ room, epoch, ...many, seq, shards }, isLate ? 202 : 200);
}

async function callWithRetry(
  room: RoomId,
  call: PublishRequest,
  ports: GatePorts,
): Promise<Result<Published>> {
  const attempts = call.key === undefined ? 1 : keyedAttempts;
  for (let attempt = 1; ; attempt += 1) {
    const result = await ports.calls.call({ role: "sequencer", id: room }, call);
    if (result.ok || result.code !== "unreachable" || attempt === attempts) return result;
  }
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
  const topic = query.get("topic");
  if (topic !== null && !isTopic(topic)) {
    return refusal(
      "malformed-query",
      "topic must be 1 to 128 printable ASCII characters without , and *",
    );
  }
  const options = {
    volatile: volatile === "1",
    waitDelivered: wait === "delivered",
    ...(topic === null ? {} : { topic }),
  };
  const key = headers.get("idempotency-key");
  if (key === null) return success(options);
  if (key.length === 0 || key.length > maxIdempotencyKeyLength || !/^[\x20-\x7e]+$/.test(key)) {
    return refusal(
      "malformed-header",
      `Idempotency-Key must be 1 to ${maxIdempotencyKeyLength} printable ASCII characters`,
    );
  }
  if (options.volatile) {
    return refusal("malformed-header", "a volatile message cannot have an Idempotency-Key");
  }
  return success({ ...options, key });
}
