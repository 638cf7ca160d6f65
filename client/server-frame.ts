/**
 * Reads what a shard sends. `src/protocol/client.ts` defines the frames; this is a small reader of
 * the same, whose shapes the compiler compares with the schema's type and a test with its verdicts.
 * It refuses also what no shard may say: numbers that do not ascend, or lie outside their frame.
 */
import type { ServerFrame } from "../src/protocol/client.ts";
import type { ProblemDocument } from "../src/protocol/problems.ts";
import { isBase64 } from "./protocol-bounds.ts";

type Check = (value: unknown) => boolean;
type Shapes = {
  readonly [Frame in ServerFrame as Frame["type"]]: {
    readonly [Field in Exclude<keyof Frame, "type">]-?: Check;
  };
};

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

const isText: Check = (value) => typeof value === "string";
const isShortText =
  (maxLength: number): Check =>
  (value) =>
    typeof value === "string" && value !== "" && value.length <= maxLength;
const isSequence: Check = (value) => Number.isSafeInteger(value) && Number(value) >= 0;
const isListOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);

const isPayload: Check = (value) => {
  if (!isObject(value)) return isText(value);
  const { base64 } = value;
  return typeof base64 === "string" && isBase64(base64) && Object.keys(value).length === 1;
};

export function isProblem(value: unknown): value is ProblemDocument {
  return (
    isObject(value) &&
    [value["type"], value["title"], value["detail"]].every(isText) &&
    typeof value["status"] === "number"
  );
}

const position = { epoch: isShortText(64), seq: isSequence };
const id = isShortText(255);
const data = isListOf(isPayload);

const shapes: Shapes = {
  welcome: {
    ...position,
    protocol: (value) => value === 1,
    connection: isText,
    shard: isText,
    recovered: (value) => typeof value === "boolean",
    session: (value) => value === undefined || isText(value),
  },
  messages: {
    data,
    after: isSequence,
    through: isSequence,
    seq: (value) => value === undefined || isListOf(isSequence)(value),
  },
  volatile: { data },
  reset: { ...position, reason: isText },
  local: { data: isPayload },
  published: { id, seq: isSequence },
  rejected: { id, problem: isProblem },
  redirect: { url: isText },
};
const shapeOfType = new Map<unknown, readonly [field: string, check: Check][]>(
  Object.entries(shapes).map(([type, shape]) => [type, Object.entries(shape)]),
);

function isServerFrame(value: unknown): value is ServerFrame {
  if (!isObject(value)) return false;
  const shape = shapeOfType.get(value["type"]);
  return shape?.every(([field, check]) => check(value[field])) ?? false;
}

/** Whether a frame has one number for each entry, ascending, with `after < seq ≤ through`. */
function isInOrder(frame: ServerFrame & { type: "messages" }): boolean {
  const { after, through, seq } = frame;
  const entries = frame.data.length;
  if (seq === undefined) return entries === through - after;
  const isAscending = seq.every((number, index) => number > (seq[index - 1] ?? after));
  return isAscending && seq.length === entries && through >= (seq.at(-1) ?? after);
}

/** `null` for what is not a frame of protocol 1. */
export function readServerFrame(text: unknown): ServerFrame | null {
  try {
    const frame: unknown = JSON.parse(String(text));
    if (!isServerFrame(frame)) return null;
    return frame.type !== "messages" || isInOrder(frame) ? frame : null;
  } catch {
    return null;
  }
}
