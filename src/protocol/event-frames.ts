/**
 * What a subscriber of the registry's events and the hub say to each other over a WebSocket: the hub
 * sends `subscribed` and then events as JSON, the subscriber acknowledges. Knows nothing of sockets.
 */
import * as v from "valibot";
import { describeIssues } from "./issues.ts";
import { failure, success, type Result } from "./result.ts";

/** The first frame; every later event that fits the pattern has a larger `seq`. */
type SubscribedFrame = {
  readonly type: "subscribed";
  readonly pattern: string;
  readonly seq: number;
};

/** Every event up to `seq` has arrived. */
const acknowledgementSchema = v.strictObject({
  type: v.literal("ack"),
  seq: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
});
export type Acknowledgement = v.InferOutput<typeof acknowledgementSchema>;

export function encodeSubscribed(pattern: string, seq: number): string {
  return JSON.stringify({ type: "subscribed", pattern, seq } satisfies SubscribedFrame);
}

export function parseAcknowledgement(text: string): Result<Acknowledgement, "malformed-frame"> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return failure("malformed-frame", "the frame is not JSON");
  }
  const parsed = v.safeParse(acknowledgementSchema, value);
  if (parsed.success) return success(parsed.output);
  return failure("malformed-frame", describeIssues(parsed.issues));
}
