import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { problemDocument } from "../../protocol/problems.ts";
import type { HeartbeatAnswer } from "../../protocol/registry.ts";
import { Lease, type LeaseOptions, type LeaseRegistry } from "./lease.ts";

type Said = Awaited<ReturnType<LeaseRegistry["heartbeat"]>>;

beforeEach(() => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
});

const registration = { serverId: "s", address: "a", roomTypes: ["game"] };
const unavailable = { ok: false, problem: problemDocument("unavailable", "") } as const;

function answer(more: Partial<HeartbeatAnswer> = {}): Said {
  const all = {
    now: 1_000,
    status: "online",
    leaseMs: 15_000,
    heartbeatIntervalMs: 5_000,
  } as const;
  return { ok: true, value: { ...all, dispose: [], ...more } };
}

/** A lease whose heartbeats `say` answers, and when each was sent. */
function leaseOf(
  say: (asOf: number) => Said | Promise<Said>,
  options: Partial<LeaseOptions> = {},
  register: () => Said = answer,
) {
  const sent: number[] = [];
  const registered: string[] = [];
  let starts = 0;
  const lease = new Lease({
    registry: {
      registerServer: async ({ instance }) => {
        registered.push(instance);
        return register();
      },
      heartbeat: async (_, { asOf }) => {
        sent.push(Date.now());
        return say(asOf);
      },
    },
    registration,
    rooms: () => [],
    onAnswer: () => {},
    newInstance: () => `i${(starts += 1)}`,
    onLost: () => {},
    onProblem: () => {},
    ...options,
  });
  onTestFinished(() => lease.stop());
  return { lease, sent, registered };
}

async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}

test("GS6 changes go out together within 200 ms, at most ten heartbeats a second", async () => {
  const { lease, sent } = leaseOf(() => answer());
  const started = lease.start();
  await pass(1_000);
  expect(await started).toEqual({ ok: true, value: null });
  sent.length = 0;
  lease.changed();
  await pass(199);
  expect(sent.length).toBe(1);
  await pass(801);
  sent.length = 0;
  for (let ms = 0; ms < 1_000; ms += 1) {
    lease.changed();
    await pass(1);
  }
  expect(sent.length).toBeLessThanOrEqual(10);
  expect(sent.length).toBeGreaterThanOrEqual(5);
});

test("GS6 a change while a heartbeat is on its way goes out with the next", async () => {
  const held = Promise.withResolvers<Said>();
  const answers: (Said | Promise<Said>)[] = [answer(), held.promise];
  const { lease, sent } = leaseOf(() => answers.shift() ?? answer());
  void lease.start();
  await pass(500);
  lease.changed();
  await pass(500);
  expect(sent.length).toBe(2);
  lease.changed();
  lease.changed();
  await pass(10_000);
  expect(sent.length).toBe(2);
  held.resolve(answer());
  await pass(200);
  expect(sent.length).toBe(3);
});

test("GS6 heartbeats go on at the registry's interval, or the server's own", async () => {
  const theirs = leaseOf(() => answer({ heartbeatIntervalMs: 2_000 }));
  void theirs.lease.start();
  await pass(10_500);
  expect(theirs.sent.length).toBe(6);
  const own = leaseOf(() => answer({ heartbeatIntervalMs: 2_000 }), { heartbeatIntervalMs: 5_000 });
  void own.lease.start();
  await pass(10_500);
  expect(own.sent.length).toBe(3);
});

test("GS6 one heartbeat in each interval tells of all rooms, others of what has changed, and after a failure of all again", async () => {
  const kinds: string[] = [];
  const answers: Said[] = [];
  const { lease } = leaseOf(() => answers.shift() ?? answer(), {
    rooms: (which) => {
      kinds.push(which);
      return [];
    },
  });
  void lease.start();
  await pass(1_000);
  expect(kinds).toEqual(["all"]);
  for (const _ of [1, 2, 3]) {
    lease.changed();
    await pass(1_000);
  }
  expect(kinds.splice(0)).toEqual(["all", "changed", "changed", "changed"]);
  await pass(1_500);
  expect(kinds.splice(0)).toEqual(["all"]);
  for (let ms = 0; ms < 20_000; ms += 100) {
    lease.changed();
    await pass(100);
  }
  const counts = kinds.splice(0).filter((kind) => kind === "all").length;
  expect([3, 4, 5]).toContain(counts);
  answers.push(unavailable);
  lease.changed();
  await pass(1_000);
  expect(kinds.slice(-2)).toEqual(["changed", "all"]);
});

test("GS7 a heartbeat that fails is tried again, and the lease is held until it runs out", async () => {
  const problems: number[] = [];
  let isUp = true;
  const { lease, sent } = leaseOf(() => (isUp ? answer() : unavailable), {
    onProblem: ({ status }) => problems.push(status),
  });
  void lease.start();
  await pass(1_000);
  isUp = false;
  await pass(10_000);
  expect(problems.length).toBeGreaterThanOrEqual(2);
  expect(lease.isHeld).toBe(true);
  await pass(10_000);
  expect(lease.isHeld).toBe(false);
  isUp = true;
  const before = sent.length;
  await pass(5_000);
  expect(sent.length).toBeGreaterThan(before);
  expect(lease.isHeld).toBe(true);
});

test("GS7 the registry's time never goes back, and what it was is said with every report", async () => {
  const times = [5_000, 3_000, 6_000];
  const asOfs: number[] = [];
  const { lease } = leaseOf((asOf) => {
    asOfs.push(asOf);
    return answer({ now: times.shift() ?? 6_000 });
  });
  void lease.start();
  await pass(16_000);
  expect(asOfs).toEqual([1_000, 5_000, 5_000, 6_000]);
  expect(lease.registryTime).toBe(6_000);
});

test("GS7 a server that was forgotten registers anew, as another start each time", async () => {
  const unknown = { ok: false, problem: problemDocument("unknown-server", "") } as const;
  const answers: Said[] = [answer(), unknown, unknown];
  const { lease, registered } = leaseOf(() => answers.shift() ?? answer());
  void lease.start();
  await pass(20_000);
  expect(registered).toEqual(["i1", "i2", "i3"]);
  expect([lease.isHeld, lease.instance]).toEqual([true, "i3"]);
});

test("GS7 a registration whose answer was lost is repeated as the same start", async () => {
  const answers = [unavailable, unavailable, answer()];
  const { lease, registered } = leaseOf(
    () => answer(),
    {},
    () => answers.shift() ?? answer(),
  );
  void lease.start();
  await pass(20_000);
  expect(registered).toEqual(["i1", "i1", "i1"]);
});

test("GS16 a lease that was out for as long as it ran is lost, and had anew by another start", async () => {
  let isUp = true;
  const lost: [at: number, reason: string, instance: string][] = [];
  const { lease, registered, sent } = leaseOf(() => (isUp ? answer() : unavailable), {
    onLost: (reason) => lost.push([Date.now(), reason, lease.instance]),
  });
  void lease.start();
  await pass(20_000);
  isUp = false;
  const heardAt = sent.at(-1) ?? NaN;
  await pass(heardAt + 29_999 - Date.now());
  expect([lost, lease.isHeld]).toEqual([[], false]);
  await pass(1);
  const reason = "this server has not reached the registry for too long";
  expect(lost).toEqual([[heardAt + 30_000, reason, "i2"]]);
  isUp = true;
  await pass(60_000);
  expect(lost).toHaveLength(1);
  expect([registered, lease.isHeld]).toEqual([["i1", "i2"], true]);
});

test("GS16 what the registry says of a start that was given up meanwhile is nothing to the next", async () => {
  const late = Promise.withResolvers<Said>();
  const answers: (Said | Promise<Said>)[] = [answer(), late.promise];
  const answered: number[] = [];
  const { lease, registered } = leaseOf(() => answers.shift() ?? answer(), {
    onAnswer: ({ now }) => answered.push(now),
  });
  void lease.start();
  await pass(60_000);
  expect([lease.isHeld, registered]).toEqual([false, ["i1"]]);
  late.resolve(answer({ now: 7_000 }));
  await pass(0);
  expect(registered).toEqual(["i1", "i2"]);
  expect(answered).not.toContain(7_000);
  expect(lease.isHeld).toBe(true);
});

test("GS11 a lease that was stopped sends nothing more", async () => {
  const { lease, sent } = leaseOf(() => answer());
  const started = lease.start();
  lease.stop();
  expect(await started).toMatchObject({ ok: false, problem: { status: 503 } });
  lease.changed();
  await pass(60_000);
  expect(sent).toEqual([]);
});
