import fc from "fast-check";
import { expect, test } from "vitest";
import { fuzzSeed as seed, isResult, wounded } from "../../test/support/fuzz.ts";
import {
  encodeFrame,
  FrameAssembler,
  parseFrameToSequencer,
  parseFrameToShard,
  sliceFrame,
  type BatchFrame,
  type FrameToSequencer,
  type FrameToShard,
} from "./link.ts";
import { encodePayload, type Payload } from "./payload.ts";

/** Any UTF-16 unit, half of a surrogate pair or not. */
const anyUnit = fc.nat(0xffff).map((unit) => String.fromCharCode(unit));

const epochs = fc.string({ unit: anyUnit, minLength: 1, maxLength: 64 });
const seqs = fc.nat(1_000_000);
const payloads: fc.Arbitrary<Payload> = fc.oneof(
  fc.string({ unit: anyUnit }),
  fc.uint8Array({ maxLength: 20 }).map(encodePayload),
);
const batches: fc.Arbitrary<BatchFrame> = fc
  .record({
    epoch: epochs,
    after: seqs,
    at: fc.nat(),
    entries: fc.array(fc.tuple(payloads, fc.boolean(), fc.option(fc.string())), { maxLength: 8 }),
    hasTopics: fc.boolean(),
  })
  .map(({ epoch, after, at, entries, hasTopics }) => {
    const volatile = [...entries.keys()].filter((index) => entries[index]?.[1]);
    const through = after + entries.length - volatile.length;
    const frame = { type: "batch", epoch, after, through, at } as const;
    const topics = hasTopics ? { topics: entries.map(([, , topic]) => topic) } : {};
    return { ...frame, entries: entries.map(([payload]) => payload), volatile, ...topics };
  });
const framesToShard: fc.Arbitrary<FrameToShard> = fc.oneof(
  batches,
  fc.record({ type: fc.constant("reset"), epoch: epochs, seq: seqs }),
  fc.constant({ type: "bye" }),
  fc.record({
    type: fc.constant("results"),
    epoch: epochs,
    results: fc.array(
      fc.oneof(
        fc.record({ id: seqs, seq: seqs }),
        fc.record({ id: seqs, code: fc.string(), detail: fc.string() }),
      ),
      { maxLength: 4 },
    ),
  }),
);
const positions = fc.option(fc.record({ epoch: epochs, seq: seqs }));
const framesToSequencer: fc.Arbitrary<FrameToSequencer> = fc.oneof(
  fc.record({ type: fc.constant("hello"), position: positions }),
  fc.record({ type: fc.constant("ack"), epoch: epochs, seq: seqs }),
  fc.record({ type: fc.constant("load"), connections: seqs, reserved: seqs, at: seqs }),
  fc.record({
    type: fc.constant("publish"),
    writes: fc.array(
      fc.record(
        { id: seqs, message: payloads, key: fc.string(), topic: fc.string() },
        { requiredKeys: ["id", "message", "key"] },
      ),
      { maxLength: 4 },
    ),
  }),
);

test("a frame that was encoded is understood as it was", () => {
  fc.assert(
    fc.property(framesToShard, framesToSequencer, (toShard, toSequencer) => {
      expect(parseFrameToShard(encodeFrame(toShard))).toEqual({ ok: true, value: toShard });
      expect(parseFrameToSequencer(encodeFrame(toSequencer))).toEqual({
        ok: true,
        value: toSequencer,
      });
    }),
    { numRuns: 1_000 },
  );
});

const batch = { type: "batch", epoch: "e", after: 4, through: 6, at: 1, entries: ["a", "b"] };
const malformedToShard: readonly (readonly [what: string, frame: unknown])[] = [
  ["an unknown type", { type: "bath" }],
  ["another end's frame", { type: "ack", epoch: "e", seq: 1 }],
  ["a field too many", { ...batch, more: 1 }],
  ["a field missing", { ...batch, at: undefined }],
  ["an empty epoch", { ...batch, epoch: "" }],
  ["an epoch too long", { ...batch, epoch: "e".repeat(65) }],
  ["a number below zero", { ...batch, after: -1, through: 1 }],
  ["half a number", { ...batch, after: 4.5, through: 6.5 }],
  ["a number past the safe ones", { type: "reset", epoch: "e", seq: 2 ** 53 }],
  ["a number as text", { ...batch, after: "4" }],
  ["fewer entries than numbers", { ...batch, entries: ["a"] }],
  ["more entries than numbers", { ...batch, entries: ["a", "b", "c"] }],
  ["numbers that go backwards", { ...batch, after: 6, through: 4 }],
  ["a volatile index out of range", { ...batch, through: 5, volatile: [2] }],
  ["a volatile index twice", { ...batch, through: 4, volatile: [1, 1] }],
  ["volatile indices in disorder", { ...batch, through: 4, volatile: [1, 0] }],
  ["fewer topics than entries", { ...batch, topics: ["t"] }],
  ["a topic of the wrong kind", { ...batch, topics: ["t", 1] }],
  ["results that are none", { type: "results", epoch: "e", results: [{ id: 1 }] }],
  ["results of no epoch", { type: "results", results: [{ id: 1, seq: 2 }] }],
  [
    "a result of both kinds",
    { type: "results", epoch: "e", results: [{ id: 1, seq: 2, code: "c", detail: "d" }] },
  ],
  ["an entry of the wrong kind", { ...batch, entries: ["a", 1] }],
  ["bytes that are no base64", { ...batch, entries: ["a", { base64: "?" }] }],
  ["bytes with a field too many", { ...batch, entries: ["a", { base64: "", x: 1 }] }],
  ["null", null],
  ["a list", [batch]],
  ["a text", "bye"],
];

test.each(malformedToShard)("LK6 a frame to a shard with %s is malformed", (_what, frame) => {
  expect(parseFrameToShard(JSON.stringify(frame))).toMatchObject({ code: "malformed-frame" });
});

test.each([
  ["an unknown type", { type: "helo", position: null }],
  ["no position", { type: "hello" }],
  ["another end's frame", { type: "bye" }],
  ["a position too many", { type: "ack", epoch: "e", seq: 1, position: null }],
  ["a malformed position", { type: "hello", position: { epoch: "e" } }],
  ["a number below zero", { type: "ack", epoch: "e", seq: -1 }],
  ["a write without a key", { type: "publish", writes: [{ id: 1, message: "a" }] }],
  ["a write of the wrong kind", { type: "publish", writes: [{ id: 1, key: "k", message: 1 }] }],
])("LK6 a frame to a sequencer with %s is malformed", (_what, frame) => {
  expect(parseFrameToSequencer(JSON.stringify(frame))).toMatchObject({ code: "malformed-frame" });
});

const anyFrames = fc.oneof(framesToShard, framesToSequencer);
const nearValues = fc
  .record(
    {
      type: fc.constantFrom("batch", "reset", "bye", "results", "hello", "ack", "publish"),
      epoch: fc.anything({ maxDepth: 1 }),
      seq: fc.anything({ maxDepth: 1 }),
      after: fc.oneof(seqs, fc.anything({ maxDepth: 1 })),
      through: fc.oneof(seqs, fc.anything({ maxDepth: 1 })),
      at: fc.anything({ maxDepth: 1 }),
      entries: fc.oneof(fc.array(payloads, { maxLength: 3 }), fc.anything({ maxDepth: 1 })),
      volatile: fc.oneof(fc.array(fc.integer(), { maxLength: 3 }), fc.anything({ maxDepth: 1 })),
      position: fc.anything({ maxDepth: 1 }),
      writes: fc.anything({ maxDepth: 2 }),
      results: fc.anything({ maxDepth: 2 }),
    },
    { requiredKeys: ["type"] },
  )
  .map((value) =>
    JSON.stringify(value, (_, each: unknown) => (typeof each === "bigint" ? 1 : each)),
  );

test("DL7 a batch from which the start was cut holds the rest, with its numbers and topics", () => {
  const logged = batches.map((frame) => {
    return { ...frame, through: frame.after + frame.entries.length, volatile: [] };
  });
  fc.assert(
    fc.property(logged, fc.nat(8), (frame, most) => {
      const count = Math.min(most, frame.entries.length);
      const text = sliceFrame(encodeFrame(frame), frame.after + count);
      const rest = { after: frame.after + count, entries: frame.entries.slice(count) };
      const topics = frame.topics === undefined ? {} : { topics: frame.topics.slice(count) };
      expect(parseFrameToShard(text)).toEqual({
        ok: true,
        value: { ...frame, ...rest, ...topics },
      });
    }),
    { seed },
  );
});

test("LK6 whatever values come, the answer is a result and no exception", () => {
  const texts = fc.oneof(fc.string({ unit: anyUnit }), fc.json(), nearValues);
  fc.assert(
    fc.property(texts, (text) => {
      expect(isResult(new FrameAssembler().push(text))).toBe(true);
      expect(isResult(parseFrameToShard(text)) && isResult(parseFrameToSequencer(text))).toBe(true);
    }),
    { numRuns: 8_000 },
  );
});

/** Good frames, each with many small wounds. */
test("LK6 of 40,000 texts near to frames, some are frames, and none an exception", () => {
  const frames = fc.sample(anyFrames, { numRuns: 1_000, seed }).map(encodeFrame);
  const verdicts = { good: 0, malformed: 0 };
  for (const text of wounded(frames, 40, seed)) {
    new FrameAssembler().push(text);
    for (const parsed of [parseFrameToShard(text), parseFrameToSequencer(text)]) {
      if (!isResult(parsed)) throw new Error(text);
      if (parsed.ok) verdicts.good += 1;
      else verdicts.malformed += 1;
    }
  }
  expect(verdicts.good + verdicts.malformed).toBe(80_000);
  expect(Math.min(verdicts.good, verdicts.malformed)).toBeGreaterThan(1_000);
});
