import fc from "fast-check";
import { expect, test } from "vitest";
import { defaultSettings, pauseMs, settingsFrom } from "./settings.ts";

const below1 = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

test("CL6 a pause is at most 1 s, doubled with every further failure, up to 30 s", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10_000 }), below1, (failures, random) => {
      const pause = pauseMs(failures, random, defaultSettings);
      expect(Number.isInteger(pause)).toBe(true);
      expect(pause).toBeGreaterThanOrEqual(1);
      expect(pause).toBeLessThanOrEqual(Math.min(30_000, 1_000 * 2 ** Math.min(failures - 1, 60)));
    }),
  );
});

test("CL6 a thousand clients that lose their shard at once come back spread over a second", () => {
  const pauses = Array.from({ length: 1_000 }, (_, index) =>
    pauseMs(1, index / 1_000, defaultSettings),
  );
  const perTenth = Array.from(
    { length: 10 },
    (_, tenth) =>
      pauses.filter((pause) => pause > tenth * 100 && pause <= (tenth + 1) * 100).length,
  );
  expect(Math.max(...perTenth)).toBeLessThanOrEqual(101);
});

test("CL6 the bounds are options", () => {
  const settings = settingsFrom({
    minReconnectionDelay: 10,
    maxReconnectionDelay: 50,
    reconnectionDelayGrowFactor: 3,
  });
  const longest = [1, 2, 3].map((failures) => pauseMs(failures, 0.999_999, settings));
  expect(longest).toEqual([10, 30, 50]);
});

test("CL14 an option that is undefined, or another's, changes nothing", () => {
  const options = { maxRetries: undefined, room: "lobby", publish: "socket" } as const;
  expect(settingsFrom(options)).toEqual({ ...defaultSettings, publish: "socket" });
});
