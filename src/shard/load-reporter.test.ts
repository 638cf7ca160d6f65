import { expect, test } from "vitest";
import { FakeCalls, lost } from "../../test/support/fake-calls.ts";
import { FakeClock } from "../../test/support/fake-clock.ts";
import { FakeEntropy } from "../../test/support/fake-entropy.ts";
import { turns } from "../../test/support/turns.ts";
import { Counters } from "../core/counters.ts";
import type { ShardId } from "../protocol/names.ts";
import { LoadReporter } from "./load-reporter.ts";
import { StateFailures } from "./state-failures.ts";

function reporterOf(leaseIntervalMs = 5_000) {
  const clock = new FakeClock();
  const calls = new FakeCalls(() => ({ ok: true, value: null }));
  const counters = new Counters();
  const state = { connections: 0 };
  const reporter = new LoadReporter({
    shard: "lobby-1" as ShardId,
    registry: "default",
    leaseIntervalMs,
    clock,
    entropy: new FakeEntropy(),
    calls,
    load: () => ({ ...state, players: null, reserved: 0 }),
    counters,
    failures: new StateFailures({ count: () => {}, onFailed: () => {} }),
    onFenced: () => {
      reporter.end();
      state.connections = -1;
    },
    wakeAt: () => {},
  });
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms);
    reporter.wake(clock.now());
    await turns();
  };
  const loads = (): number[] => calls.of("report").map(({ connections }) => connections);
  return { clock, calls, counters, state, reporter, pass, loads };
}

test("GD5 a shard that is told that it is fenced reports nothing more", async () => {
  const { calls, state, reporter, pass, loads } = reporterOf();
  calls.answer = () => ({ ok: false, code: "fenced", detail: "" });
  reporter.changed();
  await pass(1_000);
  reporter.changed();
  reporter.used();
  await pass(100_000);
  expect([loads(), reporter.nextDeadline(), state.connections]).toEqual([[0], null, -1]);
});

test("RG1 a load is reported a second after it changed, as it is by then", async () => {
  const { state, reporter, pass, loads } = reporterOf();
  state.connections = 1;
  reporter.changed();
  await pass(999);
  expect(loads()).toEqual([]);
  state.connections = 4;
  reporter.changed();
  await pass(1);
  expect(loads()).toEqual([4]);
  expect(reporter.nextDeadline()).toBeNull();
});

test("RG1 a load that changes all the time is reported once a second", async () => {
  const { state, reporter, pass, loads } = reporterOf();
  for (let tenth = 0; tenth < 100; tenth += 1) {
    state.connections += 1;
    reporter.changed();
    await pass(100);
  }
  expect(loads().length).toBeGreaterThanOrEqual(9);
  expect(loads().length).toBeLessThanOrEqual(10);
});

test("RG1 a shard in use renews its lease, and one that is not keeps quiet", async () => {
  const { reporter, pass, loads } = reporterOf(5_000);
  reporter.changed();
  await pass(1_000);
  await pass(4_999);
  reporter.used();
  expect(reporter.nextDeadline()).toBeNull();
  await pass(1);
  reporter.used();
  reporter.used();
  await pass(1_000);
  expect(loads()).toHaveLength(2);
  await pass(60_000);
  expect(loads()).toHaveLength(2);
});

test("RG1 a report that did not arrive is made again, after a pause that grows", async () => {
  const { calls, clock, reporter, pass, loads } = reporterOf();
  calls.answer = () => lost;
  reporter.changed();
  const pauses: number[] = [];
  for (let failure = 0; failure < 10; failure += 1) {
    const pause = (reporter.nextDeadline() ?? 0) - clock.now();
    pauses.push(pause);
    await pass(pause);
  }
  expect(Math.max(...pauses)).toBeGreaterThan(10_000);
  expect(Math.max(...pauses)).toBeLessThanOrEqual(61_000);
  calls.answer = () => ({ ok: true, value: null });
  await pass((reporter.nextDeadline() ?? 0) - clock.now());
  expect([loads().length, reporter.nextDeadline()]).toEqual([11, null]);
});

test("LK6, RC6 what was counted goes with the report, and is kept when that did not arrive", async () => {
  const { calls, counters, reporter, pass } = reporterOf();
  counters.increment("room_hook_errors");
  calls.answer = () => lost;
  reporter.changed();
  await pass(1_000);
  counters.increment("room_hook_errors");
  calls.answer = () => ({ ok: true, value: null });
  await pass(60_000);
  reporter.changed();
  await pass(1_000);
  expect(calls.of("report").map((report) => report.counters)).toEqual([
    { room_hook_errors: 1 },
    { room_hook_errors: 2 },
    {},
  ]);
});
