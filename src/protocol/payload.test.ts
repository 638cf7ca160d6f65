import fc from "fast-check";
import * as v from "valibot";
import { expect, test } from "vitest";
import { decodePayload, encodePayload, payloadSchema, payloadUnits } from "./payload.ts";

/** Any UTF-16 unit, half of a surrogate pair or not. */
const anyUnit = fc.nat(0xffff).map((unit) => String.fromCharCode(unit));

test("RC1 text travels as itself and comes back as text", () => {
  fc.assert(
    fc.property(fc.string({ unit: anyUnit }), (text) => {
      expect(encodePayload(text)).toBe(text);
      expect(decodePayload(text)).toBe(text);
    }),
  );
});

test("RC1 bytes come back as the same bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const payload = encodePayload(bytes);
      expect(v.is(payloadSchema, payload)).toBe(true);
      expect(decodePayload(payload)).toEqual(bytes);
    }),
  );
});

test("RC1 a mebibyte of bytes comes back as the same bytes", () => {
  const bytes = Uint8Array.from({ length: 1024 * 1024 + 1 }, (_, index) => index * 31);
  const back = decodePayload(encodePayload(bytes));
  expect(back).toHaveLength(bytes.length);
  expect(bytes.every((byte, index) => byte === back[index])).toBe(true);
});

test("a view of a larger buffer is its own bytes alone", () => {
  const view = new Uint8Array([1, 2, 3, 4, 5]).subarray(1, 3);
  expect(decodePayload(encodePayload(view))).toEqual(new Uint8Array([2, 3]));
});

test("LK6 what the schema lets through can be decoded", () => {
  const characters = fc.constantFrom("A", "z", "9", "+", "/", "=", " ", "-", "\n", "ä");
  fc.assert(
    fc.property(fc.string({ unit: characters, maxLength: 12 }), (base64) => {
      const decode = (): unknown => v.is(payloadSchema, { base64 }) && decodePayload({ base64 });
      expect(decode).not.toThrow();
    }),
    { numRuns: 2_000 },
  );
});

test.each([{ base64: "A" }, { base64: "A===" }, { base64: "ä" }, { base64: 1 }, {}, 1, null, []])(
  "LK6 %j is no payload",
  (value) => {
    expect(v.is(payloadSchema, value)).toBe(false);
  },
);

test("a payload's units are those of its text", () => {
  expect(payloadUnits("abc")).toBe(3);
  expect(payloadUnits(encodePayload(new Uint8Array(3)))).toBe(4);
});
