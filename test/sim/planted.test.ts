/// <reference types="node" />
/**
 * The simulator finds bugs that were put in on purpose: a judge that never objects proves nothing.
 * Prints how many schedules each took.
 */
import { expect, test } from "vitest";
import { checkSchedules } from "./check.ts";
import type { PlantedBug } from "./environment.ts";
import { everythingArbitrary } from "./everything-schedule.ts";
import { protocolScheduleArbitrary } from "./protocol-schedule.ts";
import { scheduleArbitrary } from "./schedule.ts";

/** Schedules in which each bug must show; with these seeds all show far earlier. */
const withinRuns = 1_000;
const seeds = [1, 2, 3, 4, 5];

async function schedulesToFind(
  planted: PlantedBug,
  rules: RegExp,
  schedules = scheduleArbitrary(),
): Promise<number[]> {
  const taken: number[] = [];
  for (const seed of seeds) {
    const outcome = await checkSchedules(schedules, withinRuns, seed, planted);
    expect(outcome.isFine).toBe(false);
    if (outcome.isFine) continue;
    expect(outcome.report).toMatch(rules);
    taken.push(outcome.runs);
  }
  process.stdout.write(`${planted}: found after ${taken.join(", ")} schedules\n`);
  return taken;
}

test("DL2 messages that are acknowledged before they are durable are found", async () => {
  const taken = await schedulesToFind("ack-before-durable", /^DL2 /);
  expect(Math.max(...taken)).toBeLessThan(withinRuns);
});

test("SU1 clients that are welcomed before their shard has subscribed are found", async () => {
  const taken = await schedulesToFind("welcome-before-subscribe", /^(SU1|DL3) /);
  expect(Math.max(...taken)).toBeLessThan(withinRuns);
});

test("DL3 shards that forget what they have, and take what is sent again, are found", async () => {
  // The subscription is in the row that is forgotten, so a shard may be found without it first.
  const taken = await schedulesToFind("positions-forgotten", /^(DL1|DL3|SU1) /);
  expect(Math.max(...taken)).toBeLessThan(withinRuns);
});

test("GD4 shards that are not told that another has their slot are found", async () => {
  const taken = await schedulesToFind("fence-unheard", /^(GD4|DL5|PR2) /);
  expect(Math.max(...taken)).toBeLessThan(withinRuns);
});

test("PR2 clients that are told that they missed nothing, and did, are found", async () => {
  const schedules = protocolScheduleArbitrary();
  const taken = await schedulesToFind("resumed-unread", /^PR[2357] /, schedules);
  expect(Math.max(...taken)).toBeLessThan(withinRuns);
});

test("PR15 topics that do not outlive the shard's memory are found", async () => {
  const schedules = protocolScheduleArbitrary();
  const taken = await schedulesToFind("topics-forgotten", /^PR[2567] /, schedules);
  expect(Math.max(...taken)).toBeLessThan(withinRuns);
});

test("FO1 a registry that forgets which objects have left is found", async () => {
  const taken = await schedulesToFind(
    "layout-forgotten",
    /^(FO1|GD4|SU1|PR2|AD1|FA1|AS5) /,
    everythingArbitrary(),
  );
  expect(Math.max(...taken)).toBeLessThan(withinRuns);
});

test("SN9 fresh shards that do not take up the state of the snapshot are found", async () => {
  const taken = await schedulesToFind("state-untaken", /^SN9 /, everythingArbitrary());
  expect(Math.max(...taken)).toBeLessThan(withinRuns);
});
