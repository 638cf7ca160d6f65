import { expect, test } from "vitest";
import { Counters } from "./counters.ts";

test("what was counted is taken once", () => {
  const counters = new Counters();
  counters.increment("b");
  counters.increment("a", 2);
  counters.increment("b");
  expect(counters.entries()).toEqual([
    ["a", 2],
    ["b", 2],
  ]);
  expect(counters.take()).toEqual({ a: 2, b: 2 });
  expect(counters.take()).toEqual({});
});

test("HT7 counts whose delivery failed are given back and lose nothing", () => {
  const counters = new Counters();
  counters.increment("a", 3);
  const taken = counters.take();
  counters.increment("a");
  counters.add(taken);
  expect(counters.take()).toEqual({ a: 4 });
});
