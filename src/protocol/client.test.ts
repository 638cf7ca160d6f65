import fc from "fast-check";
import { expect, test } from "vitest";
import { fuzzSeed as seed, isResult, wounded } from "../../test/support/fuzz.ts";
import {
  encodeClientFrame,
  encodeServerFrame,
  isTopic,
  isTopicFilter,
  maxTopics,
  parseClientFrame,
  parseServerFrame,
  type ClientFrame,
  type ServerFrame,
} from "./client.ts";
import { encodePayload } from "./payload.ts";
import { isPublishId } from "./publish-id.ts";

const problem = { type: "urn:x", title: "t", status: 503, detail: "d", more: 1 };
const place = { epoch: "e", seq: 3 };
const welcome = { type: "welcome", protocol: 1, connection: "c", shard: "lobby-1" } as const;
const serverFrames: readonly ServerFrame[] = [
  { ...welcome, ...place, recovered: true },
  { type: "messages", after: 3, through: 5, data: ["a", { base64: "AAAA" }] },
  { type: "messages", after: 3, through: 9, data: ["a"], seq: [7] },
  { type: "messages", after: 3, through: 9, data: [], seq: [] },
  { type: "volatile", data: ["a"] },
  { type: "reset", epoch: "e", seq: 9, reason: "lost" },
  { type: "local", data: "a" },
  { ...welcome, ...place, recovered: true, session: "s" },
  { type: "published", id: "p", seq: 4 },
  { type: "published", id: "p", seq: 4, epoch: "e" },
  { type: "rejected", id: "p", problem },
  { type: "redirect", url: "wss://example.com" },
];

test.each(serverFrames.map((frame) => [frame.type, frame] as const))(
  "the server's frame %s is understood as it was: %j",
  (_type, frame) => {
    expect(parseServerFrame(encodeServerFrame(frame))).toEqual({ ok: true, value: frame });
  },
);

const clientFrames: readonly ClientFrame[] = [
  { type: "publish", id: "p", data: "a" },
  { type: "publish", id: "p", data: { base64: "AAAA" }, topic: "scores:a" },
  { type: "ack", seq: 7 },
  { type: "subscribe", topics: [] },
  { type: "subscribe", topics: ["scores:*", "chat", "*"] },
  { type: "send", data: "a" },
];

test.each(clientFrames.map((frame) => [frame.type, frame] as const))(
  "the client's frame %s is understood as it was: %j",
  (_type, frame) => {
    expect(parseClientFrame(encodeClientFrame(frame))).toEqual({ ok: true, value: frame });
  },
);

const publish = { type: "publish", id: "p", data: "a" };

test.each([
  ["no JSON", undefined],
  ["an unknown type", { type: "shout" }],
  ["a server's frame", { type: "local", data: "a" }],
  ["no id", { ...publish, id: undefined }],
  ["an empty id", { ...publish, id: "" }],
  ["an id too long", { ...publish, id: "p".repeat(256) }],
  ["a field too many", { ...publish, more: 1 }],
  ["bytes that are no base64", { ...publish, data: { base64: "?" } }],
  ["a filter for a topic", { ...publish, topic: "scores:*" }],
  ["a number below zero", { type: "ack", seq: -1 }],
  ["half a number", { type: "ack", seq: 1.5 }],
  ["a malformed filter", { type: "subscribe", topics: ["a*"] }],
  ["too many filters", { type: "subscribe", topics: Array.from({ length: 101 }, () => "a") }],
])("a client's frame with %s is malformed", (_what, frame) => {
  const text = frame === undefined ? "{" : JSON.stringify(frame);
  expect(parseClientFrame(text)).toMatchObject({ ok: false, code: "malformed-frame" });
});

test.each([
  ["fewer messages than numbers", { type: "messages", after: 3, through: 5, data: ["a"] }],
  [
    "messages without their number",
    { type: "messages", after: 3, through: 9, data: ["a"], seq: [] },
  ],
  ["an end before its start", { type: "messages", after: 3, through: 2, data: [], seq: [] }],
  ["a number before it", { type: "messages", after: 3, through: 9, data: ["a"], seq: [3] }],
  ["a number beyond it", { type: "messages", after: 3, through: 9, data: ["a"], seq: [10] }],
  ["a number twice", { type: "messages", after: 3, through: 9, data: ["a", "b"], seq: [4, 4] }],
  ["numbers that fall", { type: "messages", after: 3, through: 9, data: ["a", "b"], seq: [5, 4] }],
])("a server's frame with %s is malformed", (_what, frame) => {
  expect(parseServerFrame(JSON.stringify(frame))).toMatchObject({ code: "malformed-frame" });
});

test("a client may ask for as many filters as there may be", () => {
  const topics = Array.from({ length: maxTopics }, (_, n) => `t${n}`);
  expect(parseClientFrame(JSON.stringify({ type: "subscribe", topics })).ok).toBe(true);
});

test("a topic is 1 to 128 printable ASCII characters other than , and *", () => {
  for (let unit = 0; unit < 300; unit += 1) {
    const character = String.fromCharCode(unit);
    const isAllowed = unit > 0x20 && unit < 0x7f && character !== "," && character !== "*";
    expect(isTopic(`a${character}`), `unit ${unit}`).toBe(isAllowed);
  }
  expect([isTopic(""), isTopic("a".repeat(128)), isTopic("a".repeat(129))]).toEqual([
    false,
    true,
    false,
  ]);
});

test.each([
  ["*", true],
  ["scores", true],
  ["scores:*", true],
  ["scores:a:*", true],
  [`${"a".repeat(126)}:*`, true],
  [`${"a".repeat(127)}:*`, false],
  ["scores*", false],
  [":*", false],
  ["a:*:b", false],
  ["**", false],
  ["a,b", false],
  ["", false],
])("%s is a topic filter: %s", (text, expected) => {
  expect(isTopicFilter(text)).toBe(expected);
});

test("PR11 whatever text comes, the answer is a result and no exception", () => {
  const near = fc.record(
    {
      type: fc.constantFrom(...[...serverFrames, ...clientFrames].map(({ type }) => type)),
      id: fc.anything({ maxDepth: 1 }),
      data: fc.anything({ maxDepth: 2 }),
      seq: fc.anything({ maxDepth: 1 }),
      after: fc.anything({ maxDepth: 1 }),
      through: fc.anything({ maxDepth: 1 }),
      topic: fc.anything({ maxDepth: 1 }),
      topics: fc.oneof(fc.array(fc.string()), fc.anything({ maxDepth: 2 })),
    },
    { requiredKeys: ["type"] },
  );
  const texts = near.map((value) =>
    JSON.stringify(value, (_, each: unknown) => (typeof each === "bigint" ? 1 : each)),
  );
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json(), texts), (text) => {
      expect(isResult(parseServerFrame(text)) && isResult(parseClientFrame(text))).toBe(true);
    }),
    { numRuns: 6_000 },
  );
});

const words = fc.string({ minLength: 1, maxLength: 12 }).filter(isPublishId);
const payloads = fc.oneof(
  fc.string({ unit: "binary", maxLength: 20 }),
  fc.uint8Array({ maxLength: 9 }).map(encodePayload),
);
const topicTexts = fc.stringMatching(/^[a-z:]{1,12}$/);
const anyClientFrames: fc.Arbitrary<ClientFrame> = fc.oneof(
  fc.record(
    { type: fc.constant("publish"), id: words, data: payloads, topic: topicTexts },
    { requiredKeys: ["type", "id", "data"] },
  ),
  fc.record({ type: fc.constant("ack"), seq: fc.maxSafeNat() }),
  fc.record({
    type: fc.constant("subscribe"),
    topics: fc.array(fc.oneof(topicTexts, fc.constant("*"), fc.constant("a:*")), { maxLength: 5 }),
  }),
  fc.record({ type: fc.constant("send"), data: payloads }),
);

test("PR11 a client's frame that was encoded is understood as it was", () => {
  fc.assert(
    fc.property(anyClientFrames, (frame) => {
      expect(parseClientFrame(encodeClientFrame(frame))).toEqual({ ok: true, value: frame });
    }),
    { numRuns: 1_000 },
  );
});

test("PR11 of 60,000 texts near to a client's frames, some are frames, and none an exception", () => {
  const frames = fc.sample(anyClientFrames, { numRuns: 1_500, seed }).map(encodeClientFrame);
  const verdicts = { good: 0, malformed: 0 };
  for (const text of wounded(frames, 40, seed)) {
    const parsed = parseClientFrame(text);
    if (!isResult(parsed)) throw new Error(text);
    if (parsed.ok) verdicts.good += 1;
    else verdicts.malformed += 1;
  }
  expect(verdicts.good + verdicts.malformed).toBe(60_000);
  expect(Math.min(verdicts.good, verdicts.malformed)).toBeGreaterThan(1_000);
});
