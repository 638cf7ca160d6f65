/// <reference types="node" />
/**
 * The simulator finds bugs of the registry and of seats that were put in on purpose. Prints how many
 * schedules each took.
 */
import type fc from "fast-check";
import { expect, test } from "vitest";
import { checkWorlds } from "../check.ts";
import type { PlantedBug } from "../environment.ts";
import {
  lockSchedules,
  seatSchedules,
  serverSchedules,
  type RegistrySchedule,
} from "./schedule.ts";
import { simulateRegistry } from "./simulate.ts";

const withinRuns = 1_000;

async function schedulesToFind(
  planted: PlantedBug,
  rules: RegExp,
  schedules: fc.Arbitrary<RegistrySchedule>,
): Promise<number> {
  let most = 0;
  const taken: number[] = [];
  for (const seed of [1, 2, 3, 4, 5]) {
    const check = { runs: withinRuns, seed, planted };
    const outcome = await checkWorlds(schedules, simulateRegistry, check);
    expect(outcome.isFine ? "" : outcome.report).toMatch(rules);
    if (outcome.isFine) continue;
    taken.push(outcome.runs);
    most = Math.max(most, outcome.runs);
  }
  process.stdout.write(`${planted}: found after ${taken.join(", ")} schedules\n`);
  return most;
}

test("SE4 a seat that is not kept for a player whose connection dropped is found", async () => {
  const most = await schedulesToFind("grace-forgotten", /^SE[1345] /, seatSchedules);
  expect(most).toBeLessThan(withinRuns);
});

test("LO3 tokens that follow from the clock alone are found", async () => {
  const most = await schedulesToFind("token-of-the-clock", /^LO3 /, lockSchedules);
  expect(most).toBeLessThan(withinRuns);
});

test("SV7 partitions that are not told of a dead server are found", async () => {
  const most = await schedulesToFind("gone-forgotten", /^SV[357] /, serverSchedules);
  expect(most).toBeLessThan(withinRuns);
});

test("SV11 a server that lets go of a room and serves it on is found", async () => {
  const most = await schedulesToFind("room-held", /^SV(?:5|11) /, serverSchedules);
  expect(most).toBeLessThan(withinRuns);
});

test("SV11 a move that the partition forgets with its memory is found", async () => {
  const most = await schedulesToFind("departure-forgotten", /^SV[57] /, serverSchedules);
  expect(most).toBeLessThan(withinRuns);
});
