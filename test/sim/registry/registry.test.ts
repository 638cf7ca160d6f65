/// <reference types="node" />
/**
 * Random schedules of faults against the registry's partitions, shards with seats and servers outside;
 * see `schedule.ts` for what can happen. A fifth of SIM_RUNS says how many there are of each kind;
 * SIM_SEED repeats a run.
 */
import type fc from "fast-check";
import { expect, test } from "vitest";
import { checkWorlds } from "../check.ts";
import {
  lockSchedules,
  seatSchedules,
  serverSchedules,
  type RegistrySchedule,
} from "./schedule.ts";
import { simulateRegistry } from "./simulate.ts";

const runs = Math.ceil(Number(process.env["SIM_RUNS"] ?? 2_000) / 5);

async function reportOf(schedules: fc.Arbitrary<RegistrySchedule>): Promise<string> {
  const outcome = await checkWorlds(schedules, simulateRegistry, { runs });
  return outcome.isFine ? "" : outcome.report;
}

test("SE1 SE3 SE4 SE5 SE6 DI1 no place is sold twice, promises are kept, and the directory becomes true", async () => {
  expect(await reportOf(seatSchedules)).toBe("");
});

test("LO1 LO2 LO3 a lock has one owner, and tokens rise", async () => {
  expect(await reportOf(lockSchedules)).toBe("");
});

test("SV3 SV5 SV7 SV11 a room is on one server, and a dead server is offline", async () => {
  expect(await reportOf(serverSchedules)).toBe("");
});
