import { expect, test } from "vitest";
import { closeCodes, mayReconnect } from "./close-codes.ts";

const codes = Object.values(closeCodes);

test("every close code has one meaning", () => {
  expect(new Set(codes).size).toBe(codes.length);
});

test("every close code is one that an application may use", () => {
  for (const code of codes) expect(code === 1000 || (code >= 4000 && code <= 4999)).toBe(true);
});

test.each(["moved", "continuityLost", "full", "unavailable", "roomFailed"] as const)(
  "AD4, DL8 %s means: come back",
  (name) => {
    expect(mayReconnect(closeCodes[name])).toBe(true);
  },
);

test("a client that sent what is not of the protocol is to stop", () => {
  expect(mayReconnect(closeCodes.malformedFrame)).toBe(false);
});

test.each(["roomDisposed", "seatTaken", "seatRefused"] as const)(
  "SE3, SE4, SE8 %s means: stop",
  (name) => {
    expect(mayReconnect(closeCodes[name])).toBe(false);
  },
);

test.each([
  [1000, true],
  [1006, true],
  [1012, true],
  [4000, true],
  [4499, true],
  [4500, false],
  [4999, false],
])("code %i: come back? %s", (code, expected) => {
  expect(mayReconnect(code)).toBe(expected);
});

test("LK4 a shard without clients says so with 4010", () => {
  expect(closeCodes.noClients).toBe(4010);
});
