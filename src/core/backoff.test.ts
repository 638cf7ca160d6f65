import fc from "fast-check";
import { expect, test } from "vitest";
import { backoffMs } from "./backoff.ts";

const bounds = { baseMs: 100, maxMs: 30_000 };
const below1 = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

test("LK2 a pause is at least 1 ms, and at most the base doubled with every failure, up to the maximum", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10_000 }), below1, (failures, random) => {
      const pause = backoffMs(failures, random, bounds);
      expect(Number.isInteger(pause)).toBe(true);
      expect(pause).toBeGreaterThanOrEqual(1);
      expect(pause).toBeLessThanOrEqual(Math.min(30_000, 100 * 2 ** Math.min(failures - 1, 60)));
    }),
  );
});

test("LK2 pauses grow with every failure", () => {
  const longest = Array.from({ length: 10 }, (_, index) => backoffMs(index + 1, 0.9999, bounds));
  expect(longest).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 12_799, 25_598, 29_997]);
});

test("LK2 a pause is drawn at random from the whole of its bound", () => {
  const draws = [0, 0.25, 0.5, 0.75].map((random) => backoffMs(4, random, bounds));
  expect(draws).toEqual([1, 200, 400, 600]);
});
