import fc from "fast-check";
import { expect, test } from "vitest";
import { parseServerFrame, type ServerFrame } from "../src/protocol/client.ts";
import { readServerFrame } from "./server-frame.ts";

const problem = { type: "urn:x", title: "t", status: 400, detail: "d" };
const welcome = {
  type: "welcome",
  protocol: 1,
  connection: "c",
  shard: "room-1",
  epoch: "e",
  seq: 0,
  recovered: false,
} as const;

const good: readonly ServerFrame[] = [
  welcome,
  { ...welcome, recovered: true, seq: 7 },
  { ...welcome, session: "s" },
  { type: "messages", after: 0, through: 2, data: ["a", { base64: "AAEC" }] },
  { type: "messages", after: 0, through: 9, data: ["a", "b"], seq: [1, 9] },
  { type: "messages", after: 3, through: 9, data: [], seq: [] },
  { type: "messages", after: 3, through: 3, data: [] },
  { type: "volatile", data: ["x", { base64: "" }] },
  { type: "reset", epoch: "e", seq: 3, reason: "trimmed" },
  { type: "local", data: "hello" },
  { type: "published", id: "i", seq: 3 },
  { type: "published", id: "i", seq: 3, epoch: "e" },
  { type: "rejected", id: "i", problem },
  { type: "redirect", url: "wss://host/parties/router/room" },
];

test.each(good)("CL4 $type is read as it is", (frame) => {
  expect(readServerFrame(JSON.stringify(frame))).toEqual(frame);
});

const bad: readonly unknown[] = [
  null,
  [],
  "welcome",
  {},
  { type: "unknown" },
  { type: "__proto__" },
  { type: ["welcome"] },
  { ...welcome, protocol: 2 },
  { ...welcome, epoch: "" },
  { ...welcome, epoch: "e".repeat(65) },
  { ...welcome, seq: -1 },
  { ...welcome, seq: 1.5 },
  { ...welcome, recovered: "true" },
  { ...welcome, connection: undefined },
  { type: "messages", after: 0, through: 2, data: ["a"] },
  { type: "messages", after: 2, through: 0, data: [] },
  { type: "messages", after: 0, through: 2, data: ["a"], seq: [] },
  { type: "messages", after: 0, through: 2, data: ["a"], seq: [3] },
  { type: "messages", after: 0, through: 2, data: ["a"], seq: [0] },
  { type: "messages", after: 0, through: 2, data: ["a", "b"], seq: [2, 1] },
  { type: "messages", after: 0, through: 2, data: ["a", "b"], seq: [1, 1] },
  { type: "messages", after: 5, through: 2, data: [], seq: [] },
  { type: "messages", after: 0, through: 1, data: [1] },
  { type: "messages", after: 0, through: 1, data: [{ base64: "A" }] },
  { type: "messages", after: 0, through: 1, data: [{ base64: "AAAA", more: 1 }] },
  { type: "published", id: "", seq: 1 },
  { type: "published", id: "i".repeat(256), seq: 1 },
  { type: "published", id: "~i", seq: 1 },
  { type: "published", id: "é", seq: 1 },
  { type: "published", id: "i", seq: 1, epoch: "" },
  { ...welcome, session: 1 },
  { type: "rejected", id: "i", problem: { ...problem, status: "400" } },
  { type: "redirect" },
];

test.each(bad)("CL4 %j is no frame, to the reader and the schema", (frame) => {
  const text = JSON.stringify(frame);
  expect([readServerFrame(text), parseServerFrame(text).ok]).toEqual([null, false]);
});

test("CL4 what is not text is no frame", () => {
  for (const data of [undefined, null, 1, new ArrayBuffer(8), new Blob(["{}"]), {}]) {
    expect(readServerFrame(data)).toBeNull();
  }
});

const sequence = fc.oneof(fc.nat(20), fc.constantFrom(-1, 0.5, 2 ** 53, "1", null));
const payload = fc.oneof(
  fc.string(),
  fc.base64String().map((base64) => ({ base64 })),
  fc.record({ base64: fc.string() }),
  fc.anything(),
);
const word = fc.oneof(
  fc.string(),
  fc.constantFrom("", "é", "~i", "~i:1", "e".repeat(65), "i".repeat(256), 7, null),
);
const field = {
  type: fc.constantFrom(...good.map((frame) => frame.type), "unknown", "toString"),
  protocol: fc.constantFrom(1, 1, 1, 2, "1"),
  connection: word,
  shard: word,
  epoch: word,
  seq: fc.oneof(sequence, fc.array(sequence, { maxLength: 4 })),
  recovered: fc.constantFrom(true, false, "true"),
  after: sequence,
  through: sequence,
  data: fc.oneof(fc.array(payload, { maxLength: 4 }), payload),
  reason: word,
  session: word,
  id: word,
  problem: fc.oneof(fc.constant(problem), fc.record({ type: word, title: word }), fc.anything()),
  url: word,
};
/** Frames of one field each that is another's, lacks, or is wrong: near the border on both sides. */
const nearby = fc
  .tuple(fc.constantFrom(...good), fc.record(field, { requiredKeys: [] }), fc.nat(3))
  .map(([frame, others, count]) => {
    const entries = Object.entries(others).slice(0, count);
    return JSON.stringify({ ...frame, ...Object.fromEntries(entries) });
  });
const built = fc.record(field, { requiredKeys: ["type"] }).map((frame) => JSON.stringify(frame));
const input = fc.oneof(
  { weight: 4, arbitrary: nearby },
  { weight: 4, arbitrary: built },
  { weight: 1, arbitrary: fc.json() },
  { weight: 1, arbitrary: fc.string() },
);

/** What the shape of a frame does not tell. */
function isInOrder(frame: ServerFrame): boolean {
  if (frame.type !== "messages") return true;
  const { after, through, seq = [] } = frame;
  const numbers = [after, ...seq];
  return (
    after <= through &&
    numbers.every((number, index) => index === 0 || number > (numbers[index - 1] ?? -1)) &&
    Math.max(...numbers) <= through
  );
}

test("CL4 the reader and the schema agree on 60,000 inputs, and neither throws", () => {
  let taken = 0;
  fc.assert(
    fc.property(input, (text) => {
      const read = readServerFrame(text);
      const parsed = parseServerFrame(text);
      expect(read !== null).toBe(parsed.ok);
      if (read === null || !parsed.ok) return;
      taken += 1;
      expect(isInOrder(read)).toBe(true);
      expect(read).toMatchObject(parsed.value);
    }),
    { numRuns: 60_000 },
  );
  expect(taken).toBeGreaterThan(5_000);
}, 60_000);
