import fc from "fast-check";
import { expect, test } from "vitest";
import { parseClientFrame, parseServerFrame } from "./client.ts";
import { isPublishId, parseNumberedId } from "./publish-id.ts";

const longName = "n".repeat(64);
const problem = { type: "urn:x", title: "t", status: 503, detail: "d" };

test.each([
  ["a", true],
  [" ", true],
  ["order:17", true],
  ["a~b:1", true],
  ["}".repeat(255), true],
  ["~a:1", true],
  ["~A-z_9:120", true],
  [`~${longName}:${"9".repeat(15)}`, true],
  ["", false],
  ["a".repeat(256), false],
  ["é", false],
  ["a\n", false],
  ["~", false],
  ["~a", false],
  ["~:1", false],
  ["~a:", false],
  ["~a:0", false],
  ["~a:01", false],
  ["~a:1x", false],
  ["~a:b:1", false],
  ["~~a:1", false],
  ["~a b:1", false],
  [`~${longName}n:1`, false],
  [`~a:${"1".repeat(16)}`, false],
])("PR8 %j is the id of a publish: %s, to every reader of frames", (id, expected) => {
  expect(isPublishId(id)).toBe(expected);
  const frames = [
    parseClientFrame(JSON.stringify({ type: "publish", id, data: "x" })),
    parseServerFrame(JSON.stringify({ type: "published", id, seq: 1 })),
    parseServerFrame(JSON.stringify({ type: "rejected", id, problem })),
  ];
  expect(frames.map(({ ok }) => ok)).toEqual([expected, expected, expected]);
});

test("PR8 a numbered id has a name and a number; what an application would write has neither", () => {
  expect(parseNumberedId("~a-b:17")).toEqual({ name: "a-b", number: 17 });
  for (const id of ["order:17", "17", ":17", "a~b:17", "~a:b:1", "~a:x"]) {
    expect(parseNumberedId(id)).toBeNull();
  }
});

test("PR8 a numbered id is written in one way alone, or two ids would have one number", () => {
  const unit = fc.constantFrom("~", "a", ":", "0", "1", "9", "-", " ");
  let numbered = 0;
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 6 }), (rest) => {
      const parts = parseNumberedId(`~${rest}`);
      if (parts === null) return;
      numbered += 1;
      expect(`~${parts.name}:${parts.number}`).toBe(`~${rest}`);
    }),
    { numRuns: 20_000 },
  );
  expect(numbered).toBeGreaterThan(100);
});
