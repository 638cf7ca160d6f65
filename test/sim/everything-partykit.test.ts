/// <reference types="node" />
/** The same as `everything.test.ts`, where nothing wakes an object but a timer in memory and a sweep. */
import { expect, test } from "vitest";
import { checkSchedules } from "./check.ts";
import { everythingArbitrary } from "./everything-schedule.ts";

const runs = Number(process.env["SIM_RUNS"] ?? 2_500);

test("DL1, DL3, PR2, SN9, FO1, FO5, AS3, AS5, GD3, GD4 hold on PartyKit whatever dies in the middle of what", async () => {
  const outcome = await checkSchedules(everythingArbitrary("partykit"), runs);
  expect(outcome.isFine ? "" : outcome.report).toBe("");
});
