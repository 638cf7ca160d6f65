import fc from "fast-check";
import { expect, test } from "vitest";
import * as protocol from "../src/protocol/client.ts";
import { ackEvery, areTopicFilters, isBase64, isTopic } from "./protocol-bounds.ts";

test("CL9 acknowledgements are as frequent as the protocol asks", () => {
  expect(ackEvery).toEqual(protocol.ackEvery);
});

const unit = fc.oneof(
  fc.constantFrom("a", ":", "*", ",", "!", ")", "+", "-", "~", " ", "\x7f", "é"),
  fc.string({ minLength: 1, maxLength: 1 }),
);
const text = fc.oneof(
  fc.string({ unit, maxLength: 6 }),
  fc.string({ unit, minLength: 120, maxLength: 132 }),
  fc.nat(140).map((length) => "a".repeat(length)),
  fc.nat(140).map((length) => `${"a".repeat(length)}:*`),
);

test("CL13 topics and their filters are those of the protocol", () => {
  fc.assert(
    fc.property(text, (topic) => {
      expect(isTopic(topic)).toBe(protocol.isTopic(topic));
      expect(areTopicFilters([topic])).toBe(protocol.isTopicFilter(topic));
    }),
    { numRuns: 20_000 },
  );
}, 60_000);

test("CL13 a topic is as long as the protocol allows", () => {
  expect(isTopic("a".repeat(protocol.maxTopicLength))).toBe(true);
  expect(isTopic("a".repeat(protocol.maxTopicLength + 1))).toBe(false);
});

test("CL13 a client has as many topics as the protocol allows", () => {
  const topics = Array.from({ length: protocol.maxTopics }, (_, index) => `t${index}`);
  expect(areTopicFilters(topics)).toBe(true);
  expect(areTopicFilters([...topics, "more"])).toBe(false);
});

const base64 = fc.oneof(
  fc.base64String(),
  fc.string({ unit: fc.constantFrom("A", "=", "/", "_") }),
);

test("CL4 what counts as base64 can be decoded", () => {
  fc.assert(
    fc.property(base64.filter(isBase64), (given) => {
      expect(typeof atob(given)).toBe("string");
    }),
    { numRuns: 5_000 },
  );
});
