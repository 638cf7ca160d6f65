import fc from "fast-check";
import { expect, test } from "vitest";
import { Allowance } from "./allowance.ts";

test("RA20 no more pass than may at once and by the time that went by, and none is refused for good", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -100, max: 500 })), (waits) => {
      const allowance = new Allowance({ atOnce: 5, perSecond: 10 });
      let now = 1_000;
      let forward = 0;
      let passed = 0;
      for (const wait of waits) {
        now += wait;
        forward += Math.max(0, wait);
        if (allowance.take(now)) passed += 1;
        expect(passed).toBeLessThanOrEqual(5 + forward / 100 + 1e-6);
      }
      expect(allowance.take(now + 101)).toBe(true);
    }),
  );
});
