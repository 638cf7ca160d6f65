import fc from "fast-check";
import { expect, test } from "vitest";
import type { Payload } from "../protocol/payload.ts";
import {
  fingerprint,
  IdempotencyWindow,
  keyLifetimeMs,
  maxKeys,
  seriesOf,
  type KeyUse,
} from "./idempotency.ts";

const use = (key: string, at = 0): KeyUse => ({ key, fingerprint: "f", first: 1, seq: 1, at });

test("DL4 a key is known for five minutes after its write, and then no more", () => {
  const window = new IdempotencyWindow();
  window.add(use("a", 1_000));
  window.expire(1_000 + 300_000 - 1);
  expect(window.find("a")).toEqual(use("a", 1_000));
  window.expire(1_000 + 300_000);
  expect(window.find("a")).toBeUndefined();
});

test("DL4 keys expire each at its own time", () => {
  const gaps = fc.array(fc.nat(60_000), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(gaps, fc.nat(900_000), (times, now) => {
      const window = new IdempotencyWindow();
      let at = 0;
      const uses = times.map((gap, index) => use(`key-${index}`, (at += gap)));
      for (const each of uses) window.add(each);
      window.expire(now);
      for (const each of uses) {
        const isAlive = each.at + keyLifetimeMs > now;
        expect(window.find(each.key) !== undefined).toBe(isAlive);
        expect(window.remembers(each, now)).toBe(isAlive);
      }
    }),
  );
});

test("DL4 a key that is used again after it expired is known by its new use", () => {
  const window = new IdempotencyWindow();
  window.add(use("a", 0));
  window.add(use("b", 1));
  window.add({ ...use("a", keyLifetimeMs + 5), seq: 9 });
  window.expire(keyLifetimeMs + 5);
  expect(window.find("a")?.seq).toBe(9);
  expect(window.find("b")).toBeUndefined();
});

test("PR8, DL4 of a client that publishes over its socket the last 64 keys are known, and no others", () => {
  const window = new IdempotencyWindow();
  window.add(use("other"));
  for (let n = 0; n < 200; n += 1) {
    window.add({ ...use(`~c:${n + 1}`), seq: n + 2, series: "c" });
    window.add({ ...use(`~d:${n + 1}`), seq: n + 2, series: "d" });
  }
  const known = Array.from({ length: 200 }, (_, n) => n).filter((n) => window.find(`~c:${n + 1}`));
  expect(known).toEqual(Array.from({ length: 64 }, (_, n) => n + 136));
  expect(window.find("other")).toBeDefined();
  expect(window.remembers({ ...use("~c:1"), seq: 2, series: "c" }, 0)).toBe(false);
});

test("DL12 a client whose keys do not count up has as few of them known, and the last ones", () => {
  const window = new IdempotencyWindow();
  const keys = Array.from({ length: 1_000 }, (_, n) => `key-${n}`);
  for (const key of keys) window.add({ ...use(key), series: seriesOf(key, "me") });
  window.add({ ...use("theirs"), series: seriesOf("theirs", "other") });
  expect(keys.filter((key) => window.find(key))).toEqual(keys.slice(-64));
  expect(window.find("theirs")).toBeDefined();
  // What was forgotten of them may be used again: nothing tells it from a new key.
  expect(window.isForgotten("key-0", seriesOf("key-0", "me"))).toBe(false);
});

test("DL12 keys of one client that count up and keys that do not are of series of their own", () => {
  expect(seriesOf("~name:17", "me")).toBe("name");
  for (const key of ["name", "~name:", ":17", "name:17", "a:b:17", `~name:${"1".repeat(16)}`]) {
    expect(seriesOf(key, "me")).toBe("~me");
  }
});

test("PR8, DL12 an application's own ids may end in numbers, of whatever size and order", () => {
  const window = new IdempotencyWindow();
  const keys = ["order:9000", "order:1", "~other:9000", "~third:1", "order:2"];
  for (const key of keys) {
    const series = seriesOf("own", "me");
    expect(window.isForgotten(key, series)).toBe(false);
    window.add({ ...use(key), series });
  }
  expect(keys.filter((key) => window.find(key))).toEqual(keys);
});

test("DL12 the window is full at its bound, and has place again when keys expire", () => {
  const window = new IdempotencyWindow();
  for (let index = 0; index < maxKeys - 1; index += 1) window.add(use(`${index}`));
  expect(window.isFull).toBe(false);
  window.add(use("last", 1));
  expect(window.isFull).toBe(true);
  window.expire(keyLifetimeMs);
  expect(window.isFull).toBe(false);
});

const payloads: fc.Arbitrary<Payload> = fc.oneof(
  fc.string({ maxLength: 4 }),
  fc.base64String({ maxLength: 8 }).map((base64) => ({ base64 })),
);
const bodies = fc.array(payloads, { minLength: 1, maxLength: 4 });

test("DL4 a fingerprint is the same for the same messages and differs for others", () => {
  fc.assert(
    fc.property(bodies, bodies, (one, other) => {
      const isSame = JSON.stringify(one) === JSON.stringify(other);
      expect(fingerprint(one) === fingerprint(other)).toBe(isSame);
      expect(fingerprint(structuredClone(one))).toBe(fingerprint(one));
    }),
    { numRuns: 2_000 },
  );
});

test("DL4 messages that look alike have fingerprints of their own", () => {
  const alike: Payload[][] = [
    ["ab"],
    ["a", "b"],
    ["b", "a"],
    ["a\u0001\u0000b"],
    ["a\u0001\u0001b"],
    ["", "ab"],
    ["ab", ""],
    ["AAAA"],
    [{ base64: "AAAA" }],
    ["ab "],
    ["Ab"],
    ["a".repeat(1_000)],
    ["a".repeat(1_001)],
  ];
  expect(new Set(alike.map(fingerprint)).size).toBe(alike.length);
});

test("DL4 a hundred thousand bodies have as many fingerprints", () => {
  const prints = Array.from({ length: 100_000 }, (_, n) => fingerprint([`{"n":${n}}`]));
  expect(new Set(prints).size).toBe(prints.length);
});
