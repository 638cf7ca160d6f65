/// <reference types="node" />
/**
 * Random schedules with clients of protocol 1 that come, go, resume, lag, publish and change their
 * topics; see `protocol-schedule.ts` for what can happen, and `wire-judge.ts`, `reference-client.ts`
 * and `publishes.ts` for what must hold. SIM_RUNS sets how many, SIM_SEED repeats a run.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { checkSchedules } from "./check.ts";
import { protocolScheduleArbitrary } from "./protocol-schedule.ts";
import { simulate } from "./simulate.ts";

const runs = Number(process.env["SIM_RUNS"] ?? 1_000);

test("PR1, PR2, PR3, PR5, PR6, PR7, PR8, PR11, PR15, GD3, GD4, GD9 hold under every schedule of faults", async () => {
  const outcome = await checkSchedules(protocolScheduleArbitrary(), runs);
  expect(outcome.isFine ? "" : outcome.report).toBe("");
});

test("PR7, PR16 in such schedules clients lag, shards hold, and slow clients are closed", async () => {
  const counted = new Map<string, number>();
  for (const schedule of fc.sample(protocolScheduleArbitrary(), { numRuns: 400, seed: 3 })) {
    const world = await simulate(schedule);
    for (const [what, count] of world.counted) counted.set(what, (counted.get(what) ?? 0) + count);
  }
  const kinds = ["clients_lagged", "acknowledgements_held", "stalled_clients_closed"];
  const figures = [...kinds, "outrun_clients_closed"].map((what) => [what, counted.get(what) ?? 0]);
  process.stdout.write(`${figures.map((each) => each.join(" ")).join(", ")}\n`);
  expect(figures.filter(([, count]) => count === 0)).toEqual([]);
});

test("PR2 a schedule is carried out the same way every time", async () => {
  const schedules = fc.sample(protocolScheduleArbitrary(), { numRuns: 10, seed: 1 });
  for (const schedule of schedules) {
    const traced = { ...schedule, options: { ...schedule.options, isTraced: true } };
    const [first, second] = [await simulate(traced), await simulate(traced)];
    expect(first.story.length).toBeGreaterThan(0);
    expect(second.story).toEqual(first.story);
  }
});
