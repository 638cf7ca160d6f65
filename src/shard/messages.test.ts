/** Frames of messages: nothing is lost, moved or repeated on the way into them. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseServerFrame } from "../protocol/client.ts";
import { encodePayload, payloadUnits, type Payload } from "../protocol/payload.ts";
import { encodeMessages, encodeVolatile, splitBatch, type ShardMessage } from "./messages.ts";

const frameUnits = 16 * 1024;

const payloads: fc.Arbitrary<Payload> = fc.oneof(
  { weight: 6, arbitrary: fc.string({ maxLength: 5 }) },
  { weight: 2, arbitrary: fc.uint8Array({ maxLength: 9 }).map(encodePayload) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(5_000, 9_000, 16_384, 40_000).map((size) => "x".repeat(size)),
  },
);
/** Messages after 7: `null` where the room class let one through to nobody. */
const runs = fc.array(
  fc.record({
    payload: payloads,
    kind: fc.constantFrom("logged", "logged", "logged", "left out", "volatile"),
  }),
  { maxLength: 20 },
);

function messagesOf(run: readonly { payload: Payload; kind: string }[]) {
  let through = 7;
  const messages: ShardMessage[] = [];
  for (const { payload, kind } of run) {
    if (kind !== "volatile") through += 1;
    const seq = kind === "volatile" ? null : through;
    if (kind !== "left out") messages.push({ seq, topic: null, data: "", payload });
  }
  return { messages, through };
}

/** Every message of a frame with its number, as a client reads it. */
function read(text: string): (readonly [number, Payload])[] {
  const frame = parseServerFrame(text);
  if (!frame.ok || frame.value.type !== "messages") throw new Error(text);
  const { after, data, seq } = frame.value;
  return data.map((payload, index) => [seq?.[index] ?? after + 1 + index, payload]);
}

test("PR5 a frame names its range, and the numbers only when some are left out", () => {
  fc.assert(
    fc.property(runs, (run) => {
      const { messages, through } = messagesOf(run);
      const logged = messages.filter(({ seq }) => seq !== null);
      const text = encodeMessages(7, through, logged);
      expect(read(text)).toEqual(logged.map(({ seq, payload }) => [seq, payload]));
      const isWhole = logged.length === through - 7;
      expect(Object.keys(JSON.parse(text) as object)).toEqual([
        "type",
        "after",
        "through",
        "data",
        ...(isWhole ? [] : ["seq"]),
      ]);
    }),
    { numRuns: 500 },
  );
});

test("PR5 a batch is split into frames of bounded size that follow one another", () => {
  fc.assert(
    fc.property(runs, (run) => {
      const { messages, through } = messagesOf(run);
      const batches = splitBatch(7, through, 3, messages);
      let position = 7;
      for (const batch of batches) {
        expect(batch.after).toBe(position);
        expect(batch.through).toBeGreaterThan(batch.after);
        position = batch.through;
        const held = read(batch.frame);
        const units = held.reduce((sum, [, payload]) => sum + payloadUnits(payload), 0);
        expect(held.length <= 1 || units <= frameUnits).toBe(true);
        expect([batch.count, batch.topics, batch.units]).toEqual([
          held.length,
          null,
          batch.frame.length,
        ]);
      }
      expect(position).toBe(through);
      const logged = messages.filter(({ seq }) => seq !== null);
      const all = batches.flatMap((batch) => read(batch.frame));
      expect(all).toEqual(logged.map(({ seq, payload }) => [seq, payload]));
    }),
    { numRuns: 500 },
  );
});

test("PR5 what fits one frame is one frame", () => {
  const { messages, through } = messagesOf([
    { payload: "x".repeat(frameUnits - 1), kind: "logged" },
    { payload: "y", kind: "logged" },
  ]);
  expect(splitBatch(7, through, 3, messages)).toHaveLength(1);
  expect(splitBatch(7, 7, 3, [])).toEqual([]);
});

test("PR12 volatile messages are a frame without numbers", () => {
  const { messages } = messagesOf([
    { payload: "x", kind: "volatile" },
    { payload: { base64: "AAAA" }, kind: "volatile" },
  ]);
  expect(JSON.parse(encodeVolatile(messages))).toEqual({
    type: "volatile",
    data: ["x", { base64: "AAAA" }],
  });
});
