/// <reference types="node" />
/**
 * Random schedules of faults against the real roles; see `schedule.ts` for what can happen and
 * `invariants.ts` for what must hold. SIM_RUNS sets how many, SIM_SEED repeats a run.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { checkSchedules } from "./check.ts";
import { scheduleArbitrary } from "./schedule.ts";
import { simulate } from "./simulate.ts";

const runs = Number(process.env["SIM_RUNS"] ?? 1_000);

test("DL1 DL2 DL3 DL4 DL5 LK1 SU1 AD1 PL1 FA1 GD2 GD3 GD4 GD8 hold under every schedule of faults", async () => {
  const outcome = await checkSchedules(scheduleArbitrary(), runs);
  expect(outcome.isFine ? "" : outcome.report).toBe("");
});

test("DL1 a schedule is carried out the same way every time", async () => {
  const schedules = fc.sample(scheduleArbitrary(), { numRuns: 20, seed: 1 });
  for (const schedule of schedules) {
    const traced = { ...schedule, options: { ...schedule.options, isTraced: true } };
    const [first, second] = [await simulate(traced), await simulate(traced)];
    expect(first.story.length).toBeGreaterThan(0);
    expect(second.story).toEqual(first.story);
  }
});
