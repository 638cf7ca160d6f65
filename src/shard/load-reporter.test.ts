import { expect, test } from "vitest";
import { FakeCalls, lost } from "../../test/support/fake-calls.ts";
import { FakeClock } from "../../test/support/fake-clock.ts";
import { FakeEntropy } from "../../test/support/fake-entropy.ts";
import { turns } from "../../test/support/turns.ts";
import { Counters } from "../core/counters.ts";
import type { LinkLoad } from "../protocol/link.ts";
import type { ShardId } from "../protocol/names.ts";
import { LoadReporter } from "./load-reporter.ts";
import { StateFailures } from "./state-failures.ts";

function reporterOf(leaseIntervalMs = 5_000, sayOnLink?: (load: LinkLoad) => boolean) {
  const clock = new FakeClock();
  const calls = new FakeCalls(() => ({ ok: true, value: null }));
  const counters = new Counters();
  const state: { connections: number; players: string[] | null } = {
    connections: 0,
    players: null,
  };
  const failures = new StateFailures({ count: () => {}, onFailed: () => {} });
  const reporter = new LoadReporter({
    shard: "lobby-1" as ShardId,
    registry: "default",
    leaseIntervalMs,
    clock,
    entropy: new FakeEntropy(),
    calls,
    load: () => ({ ...state, reserved: 0 }),
    counters,
    sayOnLink,
    failures,
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
  return { clock, calls, counters, failures, state, reporter, pass, loads };
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

/** One whose link carries what it says, or is not there. */
function linkedReporter() {
  const link = { isOpen: true };
  const said: number[] = [];
  const rig = reporterOf(5_000, ({ connections }) => {
    if (link.isOpen) said.push(connections);
    return link.isOpen;
  });
  const change = async (connections: number): Promise<void> => {
    rig.state.connections = connections;
    rig.reporter.changed();
    await rig.pass(1_000);
  };
  return { ...rig, link, said, change };
}

test("RG4 with an open link the load goes by it, and without one by a call", async () => {
  const { link, said, change, loads } = linkedReporter();
  await change(1);
  link.isOpen = false;
  await change(2);
  link.isOpen = true;
  await change(3);
  expect([said, loads()]).toEqual([[1, 3], [2]]);
});

test("RG4 what was counted is told by a call, also with an open link", async () => {
  const { calls, counters, said, change } = linkedReporter();
  counters.increment("room_hook_errors");
  await change(1);
  expect([said, calls.of("report").map((each) => each.counters)]).toEqual([
    [],
    [{ room_hook_errors: 1 }],
  ]);
});

test("RG4 what went wrong with a state, and who has a seat, is told by a call, also with an open link", async () => {
  const { calls, failures, state, said, change } = linkedReporter();
  const failed = { reason: "encode", detail: "no JSON" } as const;
  failures.failed("snapshot_errors", failed);
  await change(1);
  state.players = ["ann"];
  await change(2);
  state.players = null;
  await change(3);
  expect([said, calls.of("report").map((each) => [each.players, each.failures])]).toEqual([
    [3],
    [
      [null, [failed]],
      [["ann"], undefined],
    ],
  ]);
});

test("RG4 after a link that broke the load is said again, and after one that was hung up when it was just said", async () => {
  const { link, reporter, pass, change, loads } = linkedReporter();
  await change(1);
  link.isOpen = false;
  reporter.linkEnded(false);
  await pass(3_000);
  expect(loads()).toEqual([1]);
  await pass(5_000);
  reporter.linkEnded(false);
  await pass(3_000);
  expect(loads()).toEqual([1]);
  reporter.linkEnded(true);
  await pass(3_000);
  expect(loads()).toEqual([1, 1]);
});

test("RG4 a room of one shard has nothing to say again when its link is over", async () => {
  const { reporter, pass, loads } = reporterOf();
  reporter.linkEnded(true);
  await pass(3_000);
  expect(loads()).toEqual([]);
});

test("RG4 shards whose links broke at one moment do not all call the registry at one moment", () => {
  const { link, reporter, clock } = linkedReporter();
  link.isOpen = false;
  const pauses = new Set<number>();
  for (let n = 0; n < 20; n += 1) {
    reporter.linkEnded(true);
    const pause = (reporter.nextDeadline() ?? 0) - clock.now();
    expect(pause).toBeGreaterThanOrEqual(1_000);
    expect(pause).toBeLessThanOrEqual(3_000);
    pauses.add(pause);
    clock.advance(pause);
    reporter.wake(clock.now());
  }
  expect(pauses.size).toBeGreaterThan(10);
});
