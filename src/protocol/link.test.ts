import fc from "fast-check";
import { expect, test } from "vitest";
import {
  encodeFrame,
  FrameAssembler,
  parseFrameToSequencer,
  parseFrameToShard,
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
    entries: fc.array(fc.tuple(payloads, fc.boolean()), { maxLength: 8 }),
  })
  .map(({ epoch, after, at, entries }) => {
    const volatile = [...entries.keys()].filter((index) => entries[index]?.[1]);
    const through = after + entries.length - volatile.length;
    const frame = { type: "batch", epoch, after, through, at } as const;
    return { ...frame, entries: entries.map(([payload]) => payload), volatile };
  });
const framesToShard: fc.Arbitrary<FrameToShard> = fc.oneof(
  batches,
  fc.record({ type: fc.constant("reset"), epoch: epochs, seq: seqs }),
  fc.constant({ type: "bye" }),
);
const positions = fc.option(fc.record({ epoch: epochs, seq: seqs }));
const framesToSequencer: fc.Arbitrary<FrameToSequencer> = fc.oneof(
  fc.record({ type: fc.constant("hello"), position: positions }),
  fc.record({ type: fc.constant("ack"), epoch: epochs, seq: seqs }),
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
])("LK6 a frame to a sequencer with %s is malformed", (_what, frame) => {
  expect(parseFrameToSequencer(JSON.stringify(frame))).toMatchObject({ code: "malformed-frame" });
});

/** Texts near to frames: cut off, with something inserted, with one character changed. */
const nearFrames = fc
  .tuple(framesToShard, fc.nat(), fc.string({ maxLength: 3 }), fc.nat(3))
  .map(([frame, place, inserted, removed]) => {
    const text = encodeFrame(frame);
    const start = place % (text.length + 1);
    return text.slice(0, start) + inserted + text.slice(start + removed);
  });
const nearValues = fc
  .record(
    {
      type: fc.constantFrom("batch", "reset", "bye", "hello", "ack"),
      epoch: fc.anything(),
      seq: fc.anything(),
      after: fc.oneof(seqs, fc.anything()),
      through: fc.oneof(seqs, fc.anything()),
      at: fc.anything(),
      entries: fc.oneof(fc.array(payloads), fc.anything()),
      volatile: fc.oneof(fc.array(fc.integer()), fc.anything()),
      position: fc.anything(),
    },
    { requiredKeys: ["type"] },
  )
  .map((value) =>
    JSON.stringify(value, (_, each: unknown) => (typeof each === "bigint" ? 1 : each)),
  );

test("LK6 whatever text comes, the answer is a result and no exception", () => {
  const texts = fc.oneof(fc.string({ unit: anyUnit }), fc.json(), nearFrames, nearValues);
  fc.assert(
    fc.property(texts, (text) => {
      const assembler = new FrameAssembler();
      expect(assembler.push(text)).toHaveProperty("ok");
      expect(parseFrameToShard(text)).toHaveProperty("ok");
      expect(parseFrameToSequencer(text)).toHaveProperty("ok");
    }),
    { numRuns: 12_000 },
  );
});

test("LK6 the fuzz reaches frames that are good and frames that are not", () => {
  const verdicts = fc.sample(nearFrames, { numRuns: 1_000, seed: 1 }).map((text) => {
    return parseFrameToShard(text).ok;
  });
  expect(new Set(verdicts)).toEqual(new Set([true, false]));
});
