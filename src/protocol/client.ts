/**
 * Protocol 1, which a client chooses by `protocol=1`: the frames between a shard and a client, and
 * the only parsing of them. Text frames of JSON; besides these the client may send the text `ping`,
 * which is answered `pong`.
 */
import * as v from "valibot";
import { describeIssues, strict } from "./issues.ts";
import { payloadSchema } from "./payload.ts";
import { isPublishId } from "./publish-id.ts";
import { failure, success, type Result } from "./result.ts";

export const protocolVersion = 1;

const sequenceSchema = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const epochSchema = v.pipe(v.string(), v.minLength(1), v.maxLength(64));
const publishIdSchema = v.pipe(v.string(), v.check(isPublishId, "not the id of a publish"));

export const maxTopics = 100;
export const maxTopicLength = 128;
/** A topic of a message: printable ASCII but `,` and `*`. */
const topicPattern = /^[\x21-\x29\x2b\x2d-\x7e]{1,128}$/;
/** What a client subscribes to: a topic, or everything below a prefix (`scores:*`), or all (`*`). */
const topicFilterPattern =
  /^(?:\*|[\x21-\x29\x2b\x2d-\x7e]{1,128}|[\x21-\x29\x2b\x2d-\x7e]{1,126}:\*)$/;

export function isTopic(text: string): boolean {
  return topicPattern.test(text);
}

export function isTopicFilter(text: string): boolean {
  return topicFilterPattern.test(text);
}

const topicSchema = v.pipe(v.string(), v.check(isTopic, "not a topic"));
const topicsSchema = v.pipe(
  v.array(v.pipe(v.string(), v.check(isTopicFilter, "not a topic filter"))),
  v.maxLength(maxTopics),
);

/** RFC 9457 document, as far as clients read it. */
const problemSchema = v.looseObject({
  type: v.string(),
  title: v.string(),
  status: v.number(),
  detail: v.string(),
});

const serverFrameSchema = v.variant("type", [
  /** First. Nothing after `seq` will be missing; `recovered` says whether that is where the client was. */
  v.object({
    type: v.literal("welcome"),
    protocol: v.literal(protocolVersion),
    connection: v.string(),
    shard: v.string(),
    epoch: epochSchema,
    seq: sequenceSchema,
    recovered: v.boolean(),
    /** What to come back with (`session` in the query), in place of a ticket that is good once. */
    session: v.optional(v.string()),
  }),
  /**
   * Covers every message with `after < seq ≤ through`. Without `seq` they are all in `data`, in
   * order; with it, `data[i]` is message `seq[i]`, and the client's topics left the others out.
   */
  v.object({
    type: v.literal("messages"),
    after: sequenceSchema,
    through: sequenceSchema,
    data: v.array(payloadSchema),
    seq: v.optional(v.array(sequenceSchema)),
  }),
  /** Messages without a number, which may be lost. */
  v.object({ type: v.literal("volatile"), data: v.array(payloadSchema) }),
  /** Continuity is lost: the client goes on from here. */
  v.object({
    type: v.literal("reset"),
    epoch: epochSchema,
    seq: sequenceSchema,
    reason: v.string(),
  }),
  /** What the room class sent to clients of this shard alone. */
  v.object({ type: v.literal("local"), data: payloadSchema }),
  v.object({
    type: v.literal("published"),
    id: publishIdSchema,
    seq: sequenceSchema,
    epoch: v.optional(epochSchema),
  }),
  v.object({ type: v.literal("rejected"), id: publishIdSchema, problem: problemSchema }),
  v.object({ type: v.literal("redirect"), url: v.string() }),
]);
export type ServerFrame = v.InferOutput<typeof serverFrameSchema>;

const clientFrameSchema = v.variant("type", [
  strict({
    type: v.literal("publish"),
    id: publishIdSchema,
    data: payloadSchema,
    topic: v.optional(topicSchema),
  }),
  /** Everything up to `seq` has been taken; sent after so many messages or so much text, see `ackEvery`. */
  strict({ type: v.literal("ack"), seq: sequenceSchema }),
  /** From now on these topics, instead of those before. */
  strict({ type: v.literal("subscribe"), topics: topicsSchema }),
  /** For `onMessage` of the room class on this shard. */
  strict({ type: v.literal("send"), data: payloadSchema }),
]);
export type ClientFrame = v.InferOutput<typeof clientFrameSchema>;

/**
 * A client acknowledges at the latest after so many messages, or so many UTF-16 units of frames,
 * since its last acknowledgement. Never by time: an acknowledgement would wake a sleeping shard.
 */
export const ackEvery = { messages: 128, units: 16 * 1024 } as const;

function parse<Schema extends v.GenericSchema>(
  schema: Schema,
  text: string,
): Result<v.InferOutput<Schema>, "malformed-frame"> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return failure("malformed-frame", "a frame must be JSON");
  }
  const parsed = v.safeParse(schema, json);
  if (!parsed.success) return failure("malformed-frame", describeIssues(parsed.issues));
  return success(parsed.output);
}

export function parseServerFrame(text: string): Result<ServerFrame, "malformed-frame"> {
  const parsed = parse(serverFrameSchema, text);
  if (!parsed.ok || parsed.value.type !== "messages") return parsed;
  return isInOrder(parsed.value)
    ? parsed
    : failure("malformed-frame", "a frame must hold one entry for each number, in order");
}

/** Whether a frame has one number for each entry, ascending, with `after < seq ≤ through`. */
function isInOrder(frame: Extract<ServerFrame, { type: "messages" }>): boolean {
  const { after, through, data, seq } = frame;
  if (seq === undefined) return data.length === through - after;
  const isAscending = seq.every((number, index) => number > (seq[index - 1] ?? after));
  return isAscending && seq.length === data.length && through >= (seq.at(-1) ?? after);
}

export function parseClientFrame(text: string): Result<ClientFrame, "malformed-frame"> {
  return parse(clientFrameSchema, text);
}

export function encodeServerFrame(frame: ServerFrame): string {
  return JSON.stringify(frame);
}

export function encodeClientFrame(frame: ClientFrame): string {
  return JSON.stringify(frame);
}
