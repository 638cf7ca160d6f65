import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import {
  callFailure,
  discardUpgrade,
  outsideHeaders,
  WakeTimer,
  within,
  withDeadline,
} from "./platform.ts";

const isTrusted = (name: string): boolean => /^x-party(kit|shard)-/.test(name);

test.each([
  "x-partykit-props",
  "X-PartyKit-Room",
  "x-partykit-namespace",
  "x-partyshard-refused",
  "X-PARTYSHARD-LINK",
])("IO3 the header %s is taken off a request from outside", (name) => {
  const headers = new Headers({ [name]: "forged", cookie: "mine" });
  expect([...outsideHeaders(headers)]).toEqual([["cookie", "mine"]]);
});

test("IO3 every other header stays as it is, and the request's own are not changed", () => {
  const names = fc.stringMatching(/^(x-party|x-partykit-|x-partyshard-|x-|a)[a-z]{0,5}$/);
  fc.assert(
    fc.property(fc.dictionary(names, fc.stringMatching(/^[a-z]*$/)), (given) => {
      const headers = new Headers(given);
      const wanted = [...headers].filter(([name]) => !isTrusted(name));
      const before = [...headers];
      expect([...outsideHeaders(headers)]).toEqual(wanted);
      expect([...headers]).toEqual(before);
    }),
  );
});

test.each([
  [Object.assign(new Error("too much"), { overloaded: true }), "overloaded", "too much"],
  [Object.assign(new Error("gone"), { overloaded: false }), "unreachable", "gone"],
  [Object.assign(new Error("gone"), { retryable: true }), "unreachable", "gone"],
  ["words", "unreachable", "words"],
  [null, "unreachable", "null"],
])("FO4 an object is overloaded only when the platform says so: %s", (error, code, detail) => {
  expect(callFailure(error)).toEqual({ ok: false, code, detail });
});

beforeEach(() => void vi.useFakeTimers({ now: 1_000_000 }));
afterEach(() => void vi.useRealTimers());

/** A timer, and the times at which it woke its role. */
function timerOf() {
  const wakes: number[] = [];
  return { wakes, timer: new WakeTimer(() => wakes.push(Date.now())) };
}

test("a role is woken once, at the time that it asked for last", () => {
  const { wakes, timer } = timerOf();
  timer.set(1_005_000);
  timer.set(1_002_000);
  timer.set(1_003_000);
  vi.advanceTimersByTime(60_000);
  expect(wakes).toEqual([1_003_000]);
});

test("a role that asks for no wake-up gets none", () => {
  const { wakes, timer } = timerOf();
  timer.set(1_003_000);
  timer.set(null);
  vi.advanceTimersByTime(60_000);
  expect(wakes).toEqual([]);
});

test("a wake-up can be asked for again, also for the same time or one that has passed", () => {
  const { wakes, timer } = timerOf();
  timer.set(1_001_000);
  timer.set(1_001_000);
  vi.advanceTimersByTime(1_000);
  timer.set(1_001_000);
  vi.advanceTimersByTime(10);
  expect(wakes).toEqual([1_001_000, 1_001_000]);
});

test("a time too far for a timer is waited for in part, and then asked for again by the role", () => {
  const { wakes, timer } = timerOf();
  timer.set(1_000_000 + 2 ** 40);
  vi.advanceTimersByTime(2 ** 31 - 2);
  expect(wakes).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(wakes).toHaveLength(1);
});

test.each([
  ["shard", 5_000],
  ["sequencer", 15_000],
  ["registry", 15_000],
] as const)(
  "HT8, HT9 a call to a %s that is never answered fails after %i ms",
  async (role, ms) => {
    const failed = vi.fn<(error: unknown) => void>();
    const silent = withDeadline(role, "load", new Promise(() => {})).catch(failed);
    await vi.advanceTimersByTimeAsync(ms - 1);
    expect(failed).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    await silent;
    expect(String(failed.mock.calls[0]?.[0])).toContain(`no answer within ${ms} ms`);
  },
);

test("HT8 a call that is answered, or fails, keeps no timer", async () => {
  await expect(withDeadline("shard", "load", Promise.resolve(null))).resolves.toBe(null);
  await expect(withDeadline("shard", "load", Promise.reject(new Error("gone")))).rejects.toThrow(
    "gone",
  );
  expect(vi.getTimerCount()).toBe(0);
});

test("AD5 what takes too long comes to nothing, and is told so first", async () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  let isTold = false;
  const late = within(300, async (signal) => {
    const value = await promise;
    isTold = signal.aborted;
    return value;
  });
  await vi.advanceTimersByTimeAsync(300);
  await expect(late).resolves.toBe(null);
  resolve("late");
  await vi.advanceTimersByTimeAsync(0);
  expect(isTold).toBe(true);
});

test("AD5 an upgrade that nobody waits for any more has its socket closed", () => {
  const did: unknown[] = [];
  const webSocket = {
    accept: () => void did.push("accept"),
    close: (code: number) => void did.push(code),
  };
  discardUpgrade({ webSocket });
  expect(did).toEqual(["accept", 4003]);
  expect(() => discardUpgrade({ webSocket: null })).not.toThrow();
});
