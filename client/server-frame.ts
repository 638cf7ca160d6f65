/**
 * Reads what a shard sends. `src/protocol/client.ts` defines the frames; this is a small reader of
 * the same, whose shapes the compiler compares with the schema's type and a test with its verdicts.
 * It refuses also what no shard may say: numbers that do not ascend, or lie outside their frame.
 */
import type { ServerFrame } from "../src/protocol/client.ts";
import { isBase64, isPublishId } from "./protocol-bounds.ts";

type Check = (value: unknown) => boolean;
type Shapes = {
  readonly [Frame in ServerFrame as Frame["type"]]: {
    readonly [Field in Exclude<keyof Frame, "type">]-?: Check;
  };
};

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

const isText: Check = (value) => typeof value === "string";
const isNumber: Check = (value) => typeof value === "number";
const isSequence = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;
const isEpoch: Check = (value) => typeof value === "string" && value !== "" && value.length <= 64;
const isId: Check = (value) => typeof value === "string" && isPublishId(value);
const isList = (value: unknown, check: Check): boolean => Array.isArray(value) && value.every(check);

const isPayload: Check = (value) => {
  if (!isObject(value)) return isText(value);
  const { base64, ...more } = value;
  return typeof base64 === "string" && isBase64(base64) && Object.keys(more).length === 0;
};
const arePayloads: Check = (value) => isList(value, isPayload);

const shapes: Shapes = {
  welcome: {
    protocol: (value) => value === 1,
    connection: isText,
    shard: isText,
    epoch: isEpoch,
    seq: isSequence,
    recovered: (value) => typeof value === "boolean",
  },
  messages: {
    after: isSequence,
    through: isSequence,
    data: arePayloads,
    seq: (value) => value === undefined || isList(value, isSequence),
  },
  volatile: { data: arePayloads },
  reset: { epoch: isEpoch, seq: isSequence, reason: isText },
  local: { data: isPayload },
  published: { id: isId, seq: isSequence },
  rejected: {
    id: isId,
    problem: (value) =>
      isObject(value) &&
      isText(value["type"]) &&
      isText(value["title"]) &&
      isNumber(value["status"]) &&
      isText(value["detail"]),
  },
  redirect: { url: isText },
};

function isServerFrame(value: unknown): value is ServerFrame {
  if (!isObject(value) || !Object.hasOwn(shapes, String(value["type"]))) return false;
  const shape: Record<string, Check> = shapes[value["type"] as ServerFrame["type"]];
  return Object.entries(shape).every(([field, check]) => check(value[field]));
}

/** Whether a frame's numbers ascend within `after < seq ≤ through`, one for each entry. */
function isInOrder({ after, through, data, seq }: ServerFrame & { type: "messages" }): boolean {
  if (seq === undefined) return data.length === through - after;
  let last = after;
  return (
    after <= through &&
    seq.length === data.length &&
    seq.every((number) => {
      const isNext = number > last && number <= through;
      last = number;
      return isNext;
    })
  );
}

/** `null` when it is not a frame of protocol 1. */
export function readServerFrame(text: unknown): ServerFrame | null {
  try {
    const frame: unknown = JSON.parse(String(text));
    if (!isServerFrame(frame)) return null;
    return frame.type !== "messages" || isInOrder(frame) ? frame : null;
  } catch {
    return null;
  }
}
