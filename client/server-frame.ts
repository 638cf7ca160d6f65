/**
 * Reads what a shard sends. `src/protocol/client.ts` defines the frames; this is a small reader of
 * the same, whose shapes the compiler compares with the schema's type and a test with its verdicts.
 * It refuses also what no shard may say: numbers that do not ascend, or lie outside their frame.
 */
import type { ServerFrame } from "../src/protocol/client.ts";
import type { Position } from "../src/protocol/link.ts";
import type { ProblemDocument } from "../src/protocol/problems.ts";
import { isPublishId } from "../src/protocol/publish-id.ts";
import { isBase64 } from "./protocol-bounds.ts";

type Check = (value: unknown) => boolean;
type Shape = Readonly<Record<string, Check>>;
type Shapes = {
  readonly [Frame in ServerFrame as Frame["type"]]: {
    readonly [Field in Exclude<keyof Frame, "type">]-?: Check;
  };
};

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function hasShape(value: unknown, shape: Shape): boolean {
  return isObject(value) && Object.entries(shape).every(([field, check]) => check(value[field]));
}

const isText: Check = (value) => typeof value === "string";
/** A text that is as `test` says. */
const isTextOf =
  (test: (text: string) => boolean): Check =>
  (value) =>
    typeof value === "string" && test(value);
const isNumber: Check = (value) => typeof value === "number";
const isSequence: Check = (value) => Number.isSafeInteger(value) && Number(value) >= 0;
const isListOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);
const isOptional =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);

const isPayload: Check = (value) => {
  if (!isObject(value)) return isText(value);
  return isTextOf(isBase64)(value["base64"]) && Object.keys(value).length === 1;
};

const problem = { type: isText, title: isText, detail: isText, status: isNumber };

export function isProblem(value: unknown): value is ProblemDocument {
  return hasShape(value, problem);
}

const epoch = isTextOf((text) => /^.{1,64}$/s.test(text));
const position = { epoch, seq: isSequence };

export function isPosition(value: unknown): value is Position {
  return hasShape(value, position);
}

const id = isTextOf(isPublishId);
const data = isListOf(isPayload);

const shapes: Shapes = {
  welcome: {
    ...position,
    protocol: (value) => value === 1,
    connection: isText,
    shard: isText,
    recovered: (value) => typeof value === "boolean",
    session: isOptional(isText),
  },
  messages: {
    data,
    after: isSequence,
    through: isSequence,
    seq: isOptional(isListOf(isSequence)),
  },
  volatile: { data },
  reset: { ...position, reason: isText },
  local: { data: isPayload },
  published: { id, seq: isSequence, epoch: isOptional(epoch) },
  rejected: { id, problem: isProblem },
  redirect: { url: isText },
};
const shapeOfType = new Map<unknown, Shape>(Object.entries(shapes));

function isServerFrame(value: unknown): value is ServerFrame {
  const shape = isObject(value) && shapeOfType.get(value["type"]);
  return Boolean(shape && hasShape(value, shape));
}

/** Whether a frame has one number for each entry, ascending, with `after < seq ≤ through`. */
function isInOrder(frame: ServerFrame & { type: "messages" }): boolean {
  const { after, through, seq } = frame;
  const entries = frame.data.length;
  if (seq === undefined) return entries === through - after;
  const ascending = [...seq, through + 1];
  return seq.length === entries && ascending.every((each, at) => each > (seq[at - 1] ?? after));
}

/** `null` for what is not a frame of protocol 1. */
export function readServerFrame(text: unknown): ServerFrame | null {
  try {
    const frame: unknown = JSON.parse(String(text));
    const isRight = isServerFrame(frame) && (frame.type !== "messages" || isInOrder(frame));
    return isRight ? frame : null;
  } catch {
    return null;
  }
}
