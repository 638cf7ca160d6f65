/**
 * Frames of a link, the WebSocket that a sequencer opens to a shard, and the only parsing of them.
 *
 * Sequencer to shard:
 *   batch     every message with `after < seq ≤ through`, and volatile ones, which have no number
 *   reset     the log no longer holds what the shard lacks
 *   results   what became of the writes of `publish` frames
 *   bye       the sequencer hangs up; a link that ends without it has broken
 * Shard to sequencer:
 *   hello     first: the position that the shard has
 *   ack       cumulative: the shard has everything up to here
 *   publish   what its clients publish
 *   load      how many clients it has, for the registry
 */
import * as v from "valibot";
import { describeIssues } from "./issues.ts";
import { payloadSchema } from "./payload.ts";
import { failure, success, type Result } from "./result.ts";

const sequenceSchema = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const epochSchema = v.pipe(v.string(), v.minLength(1), v.maxLength(64));

/** A place in a room's order: the life of the log, and the last message seen in it. */
export const positionSchema = v.strictObject({ epoch: epochSchema, seq: sequenceSchema });
export type Position = v.InferOutput<typeof positionSchema>;

const batchSchema = v.strictObject({
  type: v.literal("batch"),
  epoch: epochSchema,
  after: sequenceSchema,
  through: sequenceSchema,
  /** When the sequencer took the batch, epoch milliseconds. */
  at: v.number(),
  entries: v.array(payloadSchema),
  /** Indices into `entries`, ascending, of those that are volatile. */
  volatile: v.optional(v.array(sequenceSchema)),
  /** The topic of each entry, `null` for none; left out when none has one. */
  topics: v.optional(v.array(v.nullable(v.string()))),
});
export type BatchFrame = v.InferOutput<typeof batchSchema>;

const resetSchema = v.strictObject({
  type: v.literal("reset"),
  epoch: epochSchema,
  seq: sequenceSchema,
});

/** Nothing more is to be said for now: the sequencer hangs up. */
const byeSchema = v.strictObject({ type: v.literal("bye") });

/** What a client of the shard publishes; `id` is the shard's, `key` the idempotency key. */
const upstreamWriteSchema = v.strictObject({
  id: sequenceSchema,
  message: payloadSchema,
  key: v.string(),
  series: v.optional(v.string()),
  topic: v.optional(v.string()),
});
export type UpstreamWrite = v.InferOutput<typeof upstreamWriteSchema>;

/** What became of a write: its number, or the code and sentence of a refusal. */
const upstreamResultSchema = v.union([
  v.strictObject({ id: sequenceSchema, seq: sequenceSchema }),
  v.strictObject({ id: sequenceSchema, code: v.string(), detail: v.string() }),
]);
export type UpstreamResult = v.InferOutput<typeof upstreamResultSchema>;

const resultsSchema = v.strictObject({
  type: v.literal("results"),
  epoch: epochSchema,
  results: v.array(upstreamResultSchema),
});

const toShardSchema = v.variant("type", [batchSchema, resetSchema, byeSchema, resultsSchema]);
export type FrameToShard = v.InferOutput<typeof toShardSchema>;

const toSequencerSchema = v.variant("type", [
  v.strictObject({ type: v.literal("publish"), writes: v.array(upstreamWriteSchema) }),
  v.strictObject({ type: v.literal("hello"), position: v.nullable(positionSchema) }),
  v.strictObject({
    type: v.literal("ack"),
    epoch: epochSchema,
    seq: sequenceSchema,
  }),
  v.strictObject({
    type: v.literal("load"),
    connections: sequenceSchema,
    reserved: sequenceSchema,
    /** When this was so, by the shard's clock. */
    at: sequenceSchema,
  }),
]);
export type FrameToSequencer = v.InferOutput<typeof toSequencerSchema>;

/** What a shard says of itself on its link. */
export type LinkLoad = Extract<FrameToSequencer, { type: "load" }>;

export function encodeFrame(frame: FrameToShard | FrameToSequencer): string {
  return JSON.stringify(frame);
}

type Parsed<Frame> = Result<Frame, "malformed-frame">;

function parseFrame<Schema extends v.GenericSchema>(
  schema: Schema,
  text: string,
): Parsed<v.InferOutput<Schema>> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return failure("malformed-frame", "a link frame must be JSON");
  }
  const parsed = v.safeParse(schema, json);
  if (!parsed.success) return failure("malformed-frame", describeIssues(parsed.issues));
  return success(parsed.output);
}

export function parseFrameToShard(text: string): Parsed<FrameToShard> {
  const parsed = parseFrame(toShardSchema, text);
  if (!parsed.ok || parsed.value.type !== "batch") return parsed;
  return isConsistent(parsed.value)
    ? parsed
    : failure("malformed-frame", "a batch must hold one entry for every sequence number");
}

/** The frame of a batch as the log keeps it, without the messages up to `after`. */
export function sliceFrame(text: string, after: number): string {
  const frame = parseFrameToShard(text);
  if (!frame.ok || frame.value.type !== "batch") return text;
  const { topics, ...batch } = frame.value;
  const count = Math.max(0, after - batch.after);
  return encodeFrame({
    ...batch,
    after: batch.after + count,
    entries: batch.entries.slice(count),
    ...(topics === undefined ? {} : { topics: topics.slice(count) }),
  });
}

/** Each number in `after < seq ≤ through` has one entry, and every volatile index is in range. */
function isConsistent(batch: BatchFrame): boolean {
  const volatileCount = batch.volatile?.length ?? 0;
  if (batch.through - batch.after !== batch.entries.length - volatileCount) return false;
  if (batch.topics !== undefined && batch.topics.length !== batch.entries.length) return false;
  let previous = -1;
  for (const index of batch.volatile ?? []) {
    if (index <= previous || index >= batch.entries.length) return false;
    previous = index;
  }
  return true;
}

export function parseFrameToSequencer(text: string): Parsed<FrameToSequencer> {
  return parseFrame(toSequencerSchema, text);
}

/**
 * UTF-16 units in one WebSocket message of a link: at most 768 KiB of UTF-8, below the 1 MiB that
 * the runtime of PartyKit (July 2024) receives at most.
 */
const maxPartUnits = 256 * 1024;
/** A frame never grows past this: one message of 1 MiB whose every byte JSON escapes sixfold. */
const maxFrameUnits = 16 * 1024 * 1024;

/** The WebSocket messages that carry a frame: itself, or parts marked `+` (more) and `.` (last). */
export function splitFrame(text: string): string[] {
  if (text.length <= maxPartUnits) return [text];
  const parts: string[] = [];
  let start = 0;
  while (start < text.length) {
    const end = partEnd(text, start);
    parts.push((end === text.length ? "." : "+") + text.slice(start, end));
    start = end;
  }
  return parts;
}

/** A part never ends inside a surrogate pair, which UTF-8 could not carry. */
function partEnd(text: string, start: number): number {
  const end = Math.min(start + maxPartUnits, text.length);
  const last = text.charCodeAt(end - 1);
  const isHighSurrogate = last >= 0xd800 && last <= 0xdbff;
  return end < text.length && isHighSurrogate ? end - 1 : end;
}

/** Puts the parts of one link's frames together again. */
export class FrameAssembler {
  #parts: string[] = [];
  #units = 0;

  /** The whole frame when this message completes one, `null` while parts are missing. */
  push(message: string): Parsed<string | null> {
    const mark = message[0];
    if (mark !== "+" && mark !== ".") {
      if (this.#parts.length > 0) return this.#refuse("a frame began inside another one's parts");
      return success(message);
    }
    this.#parts.push(message.slice(1));
    this.#units += message.length;
    if (this.#units > maxFrameUnits) return this.#refuse("a frame is too large");
    if (mark === "+") return success(null);
    const frame = this.#parts.join("");
    this.#clear();
    return success(frame);
  }

  #refuse(detail: string): Parsed<never> {
    this.#clear();
    return failure("malformed-frame", detail);
  }

  #clear(): void {
    this.#parts = [];
    this.#units = 0;
  }
}
