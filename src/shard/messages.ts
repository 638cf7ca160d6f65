/**
 * Messages as a shard has them after the room class's hook, and the frames they become. Knows nothing
 * of who gets them.
 */
import type { Batch } from "../core/delivery-log.ts";
import { encodeServerFrame } from "../protocol/client.ts";
import type { MessageData, Payload } from "../protocol/payload.ts";

export type ShardMessage = {
  /** `null` for a volatile message. */
  readonly seq: number | null;
  readonly topic: string | null;
  readonly data: MessageData;
  readonly payload: Payload;
};

/** A run of the room's order: the frame of those of its messages that the room class let through. */
export type ShardBatch = Batch & {
  /** Messages in the frame. */
  readonly count: number;
  /** Their topics, in order; `null` when none has one. */
  readonly topics: readonly (string | null)[] | null;
  /** What it holds in memory: UTF-16 units of the frame, and topics. */
  readonly units: number;
};

/**
 * UTF-16 units of messages in one frame; a larger message is a frame of its own. Keeps what a slow
 * client's socket holds near the window.
 */
const frameUnits = 16 * 1024;

/** The frame of all messages after `after` and up to `through` that a client is to get. */
export function encodeMessages(
  after: number,
  through: number,
  messages: readonly Pick<ShardMessage, "seq" | "payload">[],
): string {
  const data = messages.map((message) => message.payload);
  if (data.length === through - after) {
    return encodeServerFrame({ type: "messages", after, through, data });
  }
  const seq = messages.map((message) => message.seq ?? through);
  return encodeServerFrame({ type: "messages", after, through, data, seq });
}

export function encodeVolatile(messages: readonly ShardMessage[]): string {
  return encodeServerFrame({ type: "volatile", data: messages.map((message) => message.payload) });
}

/** The logged messages after `after` and up to `through`, in batches of one frame each. */
export function splitBatch(
  after: number,
  through: number,
  at: number,
  messages: readonly ShardMessage[],
): ShardBatch[] {
  const batches: ShardBatch[] = [];
  let start = after;
  let run: ShardMessage[] = [];
  let units = 0;
  const close = (end: number): void => {
    batches.push(toBatch(start, end, at, run));
    start = end;
    run = [];
    units = 0;
  };
  for (const message of messages) {
    if (message.seq === null) continue;
    const size =
      typeof message.payload === "string" ? message.payload.length : message.payload.base64.length;
    if (run.length > 0 && units + size > frameUnits) close(message.seq - 1);
    run.push(message);
    units += size;
  }
  if (start < through) close(through);
  return batches;
}

/** Beside its text, what a topic holds in memory, about. */
const topicOverhead = 32;

function toBatch(
  after: number,
  through: number,
  at: number,
  messages: readonly ShardMessage[],
): ShardBatch {
  const frame = encodeMessages(after, through, messages);
  const all = messages.map(({ topic }) => topic);
  const topics = all.some((topic) => topic !== null) ? all : null;
  const topicUnits = (topics ?? []).map((topic) => (topic ?? "").length + topicOverhead);
  const units = topicUnits.reduce((sum, each) => sum + each, frame.length);
  return { after, through, at, frame, count: messages.length, topics, units };
}
