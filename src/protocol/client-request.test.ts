import fc from "fast-check";
import { expect, test } from "vitest";
import { parseClientRequest, parsePosition } from "./client-request.ts";

const parse = (query: string) => parseClientRequest(new URLSearchParams(query));
const epoch64 = "e".repeat(64);
const many = (count: number): string => Array.from({ length: count }, (_, n) => `t${n}`).join(",");

test.each([
  ["", { speaksProtocol: false, resume: null, topics: [] }],
  ["topics=", { speaksProtocol: false, resume: null, topics: [] }],
  ["topics=a,b:*,*", { speaksProtocol: false, resume: null, topics: ["a", "b:*", "*"] }],
  ["epoch=e&since=4", { speaksProtocol: false, resume: null, topics: [] }],
  ["protocol=1", { speaksProtocol: true, resume: null, topics: [] }],
  ["protocol=1&other=2", { speaksProtocol: true, resume: null, topics: [] }],
  [
    "session=V1StGXR8_Z5",
    { speaksProtocol: false, resume: null, topics: [], session: "V1StGXR8_Z5" },
  ],
  [
    `protocol=1&session=${"~".repeat(64)}`,
    { speaksProtocol: true, resume: null, topics: [], session: "~".repeat(64) },
  ],
  [
    "protocol=1&epoch=e&since=0",
    { speaksProtocol: true, resume: { epoch: "e", seq: 0 }, topics: [] },
  ],
  [
    `protocol=1&epoch=${epoch64}&since=999999999999999&topics=a`,
    { speaksProtocol: true, resume: { epoch: epoch64, seq: 999_999_999_999_999 }, topics: ["a"] },
  ],
])("PR1, PR2 the query %j is understood", (query, request) => {
  expect(parse(query)).toEqual({ ok: true, value: request });
});

test.each([
  ["an unknown version", "protocol=2"],
  ["an empty version", "protocol="],
  ["a version in other words", "protocol=01"],
  ["an empty session", "protocol=1&session="],
  ["a session too long", `session=${"s".repeat(65)}`],
  ["a session with a space", "session=a%20b"],
  ["a session beyond ASCII", "session=%C3%BC"],
  ["since without epoch", "protocol=1&since=4"],
  ["epoch without since", "protocol=1&epoch=e"],
  ["an empty epoch", "protocol=1&epoch=&since=4"],
  ["an epoch too long", `protocol=1&epoch=${epoch64}e&since=4`],
  ["an empty since", "protocol=1&epoch=e&since="],
  ["a since below zero", "protocol=1&epoch=e&since=-1"],
  ["half a number", "protocol=1&epoch=e&since=1.5"],
  ["a number in other words", "protocol=1&epoch=e&since=1e3"],
  ["a number past the safe ones", "protocol=1&epoch=e&since=9999999999999999"],
  ["an impossible topic", "topics=a*"],
  ["an empty topic", "topics=a,,b"],
  ["a topic with a blank", "topics=a%20b"],
  ["too many topics", `protocol=1&topics=${many(101)}`],
])("HT4, PR1 %s is refused as malformed-query", (_what, query) => {
  expect(parse(query)).toMatchObject({ ok: false, code: "malformed-query" });
});

test("PR6 a client may ask for a hundred topics", () => {
  expect(parse(`topics=${many(100)}`)).toMatchObject({ ok: true });
});

test("PR2 every position that is possible is understood as it was", () => {
  const epochs = fc.string({ minLength: 1, maxLength: 64 });
  fc.assert(
    fc.property(epochs, fc.nat(999_999_999_999_999), (epoch, seq) => {
      expect(parsePosition(epoch, String(seq))).toEqual({ ok: true, value: { epoch, seq } });
    }),
  );
});

test("HT4 a socket that asks for one topic is told of topics", () => {
  const asked = parseClientRequest(new URLSearchParams("topic=a"));
  expect(asked).toMatchObject({ ok: false, detail: "a socket has topics: topic is for a message" });
});

test("HT4 whatever query comes, the answer is a result whose sentence is short", () => {
  const values = fc.oneof(fc.string({ maxLength: 300 }), fc.constantFrom("1", "e", "0", "a,b"));
  const names = fc.constantFrom("protocol", "epoch", "since", "topics");
  fc.assert(
    fc.property(fc.array(fc.tuple(names, values), { maxLength: 5 }), (pairs) => {
      const result = parseClientRequest(new URLSearchParams(pairs));
      expect(result.ok || (result.detail.length > 10 && result.detail.length < 400)).toBe(true);
    }),
    { numRuns: 2_000 },
  );
});
