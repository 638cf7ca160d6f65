import { expect, test } from "vitest";
import { parseFrameToShard } from "../protocol/link.ts";
import type { Payload } from "../protocol/payload.ts";
import { BatchBuilder } from "./batch-builder.ts";

const write = (
  messages: readonly Payload[],
  more: { isVolatile?: boolean; key?: string; topic?: string } = {},
) => {
  const key = more.key === undefined ? null : { key: more.key, fingerprint: `of ${more.key}` };
  return { messages, topic: more.topic ?? null, isVolatile: more.isVolatile ?? false, key };
};

test("DL1, DL10 writes get numbers in order, and the messages of one lie next to each other", () => {
  const batch = new BatchBuilder("e", 4, 1_000);
  const places = [write(["a"]), write(["b", "c", "d"]), write(["e"])].map((w) => batch.add(w));
  expect(places).toEqual([
    { first: 5, seq: 5 },
    { first: 6, seq: 8 },
    { first: 9, seq: 9 },
  ]);
  const frame = { type: "batch", epoch: "e", after: 4, through: 9, at: 1_000 };
  const { logged, sent } = batch.encode();
  expect(parseFrameToShard(sent)).toEqual({
    ok: true,
    value: { ...frame, entries: ["a", "b", "c", "d", "e"] },
  });
  expect(logged).toBe(sent);
});

test("DL11 a volatile message has no number, is sent in its place, and is not logged", () => {
  const batch = new BatchBuilder("e", 4, 1_000);
  batch.add(write(["a"]));
  expect(batch.add(write(["x", "y"], { isVolatile: true }))).toEqual({ first: 6, seq: 5 });
  batch.add(write(["b"]));
  expect([batch.after, batch.through]).toEqual([4, 6]);
  expect(batch.volatile).toEqual([
    { message: "x", topic: null },
    { message: "y", topic: null },
  ]);
  const { logged, sent } = batch.encode();
  expect(parseFrameToShard(sent)).toMatchObject({
    value: { after: 4, through: 6, entries: ["a", "x", "y", "b"], volatile: [1, 2] },
  });
  expect(parseFrameToShard(logged)).toMatchObject({ value: { entries: ["a", "b"] } });
  expect(logged).not.toContain("volatile");
});

test("DL11 a batch of volatile messages alone holds no number", () => {
  const batch = new BatchBuilder("e", 4, 1_000);
  batch.add(write(["x"], { isVolatile: true }));
  expect(batch.through).toBe(batch.after);
  expect(parseFrameToShard(batch.encode().sent).ok).toBe(true);
});

test("DL4 a write's key is kept with its place in the order", () => {
  const batch = new BatchBuilder("e", 4, 1_000);
  batch.add(write(["a"]));
  batch.add(write(["b", "c"], { key: "k" }));
  expect(batch.keys).toEqual([{ key: "k", fingerprint: "of k", first: 6, seq: 7, at: 1_000 }]);
});
