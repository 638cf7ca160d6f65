/**
 * What a write may say, whoever makes it, and the call that carries it to the room's sequencer. Knows
 * nothing of HTTP or of room classes.
 */
import { maxIdempotencyKeyLength, type Published, type PublishRequest } from "../protocol/calls.ts";
import { isTopic } from "../protocol/client.ts";
import type { RoomId } from "../protocol/names.ts";
import { isProblemCode, type ProblemCode } from "../protocol/problems.ts";
import { failure, type Result } from "../protocol/result.ts";
import type { Caller } from "./ports.ts";

/** A write with an idempotency key is tried again when the answer was lost; one without is not. */
const keyedAttempts = 3;

/** What is wrong with a topic, if anything is. */
export function wrongTopic(topic: unknown): string | null {
  if (typeof topic === "string" && isTopic(topic)) return null;
  return "topic must be 1 to 128 printable ASCII characters without , and *";
}

/** What is wrong with an idempotency key, if anything is; `name` is what its giver calls it. */
export function wrongKey(name: string, key: unknown): string | null {
  const isKey = typeof key === "string" && /^[\x20-\x7e]+$/.test(key);
  if (isKey && key.length <= maxIdempotencyKeyLength) return null;
  return `${name} must be 1 to ${maxIdempotencyKeyLength} printable ASCII characters`;
}

/** The sequencer's answer, or the problem that the writer is told. */
export async function callPublish(
  calls: Caller,
  room: RoomId,
  call: PublishRequest,
): Promise<Result<Published, ProblemCode>> {
  const attempts = call.key === undefined ? 1 : keyedAttempts;
  for (let attempt = 1; ; attempt += 1) {
    const result = await calls.call({ role: "sequencer", id: room }, call);
    if (result.ok) return result;
    if (result.code === "unreachable" && attempt < attempts) continue;
    return failure(isProblemCode(result.code) ? result.code : "unavailable", result.detail);
  }
}
