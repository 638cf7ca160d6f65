/// <reference types="node" />
/**
 * Random schedules in which everything happens at once; see `everything-schedule.ts` for what can, and
 * `layout-judge.ts` and `state-judge.ts` for what must hold beside what holds in every world. SIM_RUNS
 * sets how many, SIM_SEED repeats a run. Those on PartyKit are in a file of their own, to run beside these.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { checkSchedules } from "./check.ts";
import { everythingArbitrary } from "./everything-schedule.ts";
import { simulate } from "./simulate.ts";

const runs = Number(process.env["SIM_RUNS"] ?? 2_500);

test("DL1, DL3, PR2, SN9, FO1, FO5, AS3, AS5, GD3, GD4 hold on Workers whatever dies in the middle of what", async () => {
  const outcome = await checkSchedules(everythingArbitrary("workers"), runs);
  expect(outcome.isFine ? "" : outcome.report).toBe("");
});

test("FO1, AS1, AS5 in such schedules shards are added, drained and replaced, in the middle of each other", async () => {
  const counted = new Map<string, number>();
  for (const schedule of fc.sample(everythingArbitrary(), { numRuns: 200, seed: 3 })) {
    const { layouts, states } = await simulate(schedule);
    const figures = { ...layouts.figures, snapshots: states.stored };
    for (const [what, count] of Object.entries(figures)) {
      counted.set(what, (counted.get(what) ?? 0) + count);
    }
  }
  const figures = [...counted];
  process.stdout.write(`${figures.map((each) => each.join(" ")).join(", ")}\n`);
  expect(figures.filter(([, count]) => count === 0)).toEqual([]);
});

test("SN9 such a schedule is carried out the same way every time", async () => {
  for (const schedule of fc.sample(everythingArbitrary(), { numRuns: 10, seed: 1 })) {
    const traced = { ...schedule, options: { ...schedule.options, isTraced: true } };
    const [first, second] = [await simulate(traced), await simulate(traced)];
    expect(first.story.length).toBeGreaterThan(0);
    expect(second.story).toEqual(first.story);
  }
});
