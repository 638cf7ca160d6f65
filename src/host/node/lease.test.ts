import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { problemDocument } from "../../protocol/problems.ts";
import type { HeartbeatAnswer } from "../../protocol/registry.ts";
import { Lease, type LeaseOptions, type LeaseRegistry } from "./lease.ts";

type Said = Awaited<ReturnType<LeaseRegistry["heartbeat"]>>;

beforeEach(() => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
});

const registration = { serverId: "s", address: "a", roomTypes: ["game"], instance: "i" };
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
  let registrations = 0;
  const lease = new Lease({
    registry: {
      registerServer: async () => {
        registrations += 1;
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
    onForgotten: () => {},
    onProblem: () => {},
    ...options,
  });
  onTestFinished(() => lease.stop());
  return { lease, sent, registrations: () => registrations };
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

test("GS7 after a lease that ran out the server registers anew, as often as it must", async () => {
  const unknown = { ok: false, problem: problemDocument("unknown-server", "") } as const;
  const answers: Said[] = [answer(), unknown, unknown];
  const { lease, registrations } = leaseOf(() => answers.shift() ?? answer());
  void lease.start();
  await pass(20_000);
  expect(registrations()).toBe(3);
  expect(lease.isHeld).toBe(true);
});

test("GS9 the time of the registration is the registry's, and another's when it has forgotten the first", async () => {
  const unknown = { ok: false, problem: problemDocument("unknown-server", "") } as const;
  const answers: Said[] = [answer({ now: 9_000 }), unknown];
  const registered = [unavailable, answer({ now: 2_000 }), answer({ now: 7_000 })];
  const seen: number[] = [];
  const onForgotten = (): void => void seen.push(lease.registeredAt);
  const { lease } = leaseOf(
    () => answers.shift() ?? answer({ now: 9_500 }),
    { onAnswer: () => seen.push(lease.registeredAt), onForgotten },
    () => registered.shift() ?? answer(),
  );
  expect(lease.registeredAt).toBe(Infinity);
  void lease.start();
  await pass(7_000);
  expect(seen).toEqual([2_000, 2_000, 2_000, 7_000, 7_000]);
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
