import fc from "fast-check";
import { expect, test } from "vitest";
import { Brake } from "./brake.ts";

test("PR16 what can be acknowledged is held while clients are overrun, a second at most", () => {
  const brake = new Brake();
  expect([brake.holds(false, 0), brake.until]).toEqual([false, null]);
  expect([brake.holds(true, 100), brake.until]).toEqual([true, 1_100]);
  expect([brake.holds(true, 1_099), brake.until]).toEqual([true, 1_100]);
  expect([brake.holds(true, 1_100), brake.until]).toEqual([false, null]);
  expect([brake.holds(true, 1_200), brake.until]).toEqual([true, 2_200]);
  expect([brake.holds(false, 1_201), brake.until]).toEqual([false, null]);
});

test("PR16 no hold outlives what it holds back", () => {
  const brake = new Brake();
  brake.holds(true, 0);
  brake.letGo();
  expect(brake.until).toBeNull();
  expect([brake.holds(true, 900), brake.until]).toEqual([true, 1_900]);
});

test("PR16 whatever clients do, nothing is held for longer than a second", () => {
  const moments = fc.array(fc.tuple(fc.boolean(), fc.nat(600)), { maxLength: 50 });
  fc.assert(
    fc.property(moments, (all) => {
      const brake = new Brake();
      let [now, since] = [0, 0];
      for (const [isOverrun, ms] of all) {
        const wasHeld = brake.until !== null;
        now += ms;
        const isHeld = brake.holds(isOverrun, now);
        if (isHeld && !wasHeld) since = now;
        expect(isHeld && (!isOverrun || now - since >= 1_000)).toBe(false);
      }
    }),
  );
});
