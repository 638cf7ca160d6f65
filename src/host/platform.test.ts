import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import {
  broadcastRequest,
  outsideHeaders,
  regionOfRequest,
  seatHeader,
  upgradeHeaders,
  variable,
  WakeTimer,
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

test("IO3, RA10 the seat that a shard is told is the gate's word and never the client's", () => {
  const forged = new Headers({ "X-PartyShard-Seat": '{"id":"forged"}', cookie: "mine" });
  expect([...upgradeHeaders(forged, null)]).toEqual([["cookie", "mine"]]);
  const claim = { id: "s", player: '"\\{', expiresAt: 5 };
  const headers = upgradeHeaders(forged, claim);
  expect(JSON.parse(headers.get(seatHeader) ?? "")).toEqual(claim);
  expect(forged.get(seatHeader)).toBe('{"id":"forged"}');
  const none = new Headers();
  upgradeHeaders(none, claim);
  expect([...none]).toEqual([]);
});

test.each([
  [{ latitude: "48.9", longitude: "2.3" }, "weur"],
  [{ latitude: "-33.9", longitude: "151.2" }, "oc"],
  [{ latitude: "37", longitude: "-122" }, "wnam"],
  [{ latitude: "", longitude: "" }, null],
  [{ latitude: "north", longitude: "13.4" }, null],
  [{ latitude: 52.5, longitude: 13.4 }, null],
  [{}, null],
  [undefined, null],
  [null, null],
])("RA8 a request from %j is of the region %s", (cf, region) => {
  expect(regionOfRequest({ cf })).toBe(region);
});

test("RA9 a variable of the deployment is text, or is not set", () => {
  expect(["a", "b", "c"].map((name) => variable({ a: "x", b: 5 }, name))).toEqual([
    "x",
    undefined,
    undefined,
  ]);
});

test.each([
  ["text", "text/plain;charset=UTF-8", [116, 101, 120, 116]],
  [new Uint8Array([0, 255]), "application/octet-stream", [0, 255]],
] as const)(
  "RC3 a write of %s reaches onRequest as a POST of type %s",
  async (data, type, bytes) => {
    const request = broadcastRequest("https://example.com/x", data);
    expect([request.method, request.headers.get("content-type")]).toEqual(["POST", type]);
    expect([...new Uint8Array(await request.arrayBuffer())]).toEqual(bytes);
  },
);

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

test("HT8 a call that is never answered fails, and one that is answered keeps no timer", async () => {
  vi.useFakeTimers();
  try {
    const silent = withDeadline(new Promise(() => {}));
    await Promise.all([expect(silent).rejects.toThrow("no answer within"), vi.runAllTimersAsync()]);
    await expect(withDeadline(Promise.resolve("answer"))).resolves.toBe("answer");
    expect(vi.getTimerCount()).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});
