/// <reference types="node" />
/** Random schedules against the real roles. A failure prints its seed and the smallest schedule. */
import fc from "fast-check";
import { test } from "vitest";
import { scheduleArbitrary } from "./schedule.ts";
import { simulate } from "./simulate.ts";

const runs = Number(process.env["SIM_RUNS"] ?? 2_000);
const seed = process.env["SIM_SEED"];

test("DL1 DL2 DL3 DL4 DL5 LK1 SU1 AD1 PL1 FA1 hold under every schedule of faults", async () => {
  const property = fc.asyncProperty(scheduleArbitrary(), async (schedule) => {
    await simulate(schedule);
  });
  await fc.assert(property, {
    numRuns: runs,
    ...(seed === undefined ? {} : { seed: Number(seed) }),
  });
});
