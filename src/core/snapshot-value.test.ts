import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeSnapshot, encodeSnapshot } from "./snapshot-value.ts";

function roundTrip(value: unknown): unknown {
  const encoded = encodeSnapshot("game", value);
  if (!encoded.ok) throw new Error(encoded.detail);
  const decoded = decodeSnapshot("game", encoded.value);
  if (!decoded.ok) throw new Error(decoded.detail);
  return decoded.value;
}

test("SN1 what structured clone carries comes back as it was", () => {
  const anything = fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withSet: true,
    withTypedArray: true,
    withSparseArray: true,
    withBoxedValues: true,
    withUnicodeString: true,
  });
  fc.assert(
    fc.property(anything, (value) => {
      expect(roundTrip(value)).toStrictEqual(structuredClone(value));
    }),
  );
}, 60_000);

test("SN1 cycles, shared values, buffers, views, patterns and errors come back", () => {
  const shared = { score: 1 };
  const buffer = new Uint8Array([1, 2, 3]).buffer;
  const state: Record<string, unknown> = {
    one: shared,
    two: shared,
    buffer,
    view: new DataView(buffer, 1, 1),
    pattern: /a+/giu,
    error: new RangeError("too far", { cause: { at: 3 } }),
    nothing: undefined,
    minusZero: -0,
    text: "\ud83d\ude00 \ud83d lone",
  };
  state["self"] = state;
  const back = roundTrip(state);
  expect(back).toStrictEqual(structuredClone(state));
});

test("SN1 what a pattern has found, and an error of the platform, come back", () => {
  const found = /b(?<rest>c)/du.exec("abcd");
  const state = { found, error: new DOMException("given up", "AbortError"), list: [found] };
  const back = roundTrip(state) as typeof state;
  expect(back).toStrictEqual(structuredClone(state));
  expect(back.list[0]).toBe(back.found);
  expect(back.error.name).toBe("AbortError");
});

test("SN1 errors, named arrays and names of all kinds may hold themselves", () => {
  const state: Record<string, unknown> = { first: 1 };
  const all = { enumerable: true, configurable: true, writable: true };
  Object.defineProperty(state, "__proto__", { value: { own: state }, ...all });
  state["error"] = new TypeError("in the middle", { cause: { state } });
  state["list"] = Object.assign([1, 2], { state, last: true });
  state["last"] = 2;
  expect(roundTrip(state)).toStrictEqual(structuredClone(state));
  expect(Object.keys(roundTrip(state) as object)).toEqual(Object.keys(state));
});

class Counter {
  value = 3;
}

test("SN1 an object of a class comes back as a plain one, as structured clone has it", () => {
  expect(roundTrip(new Counter())).toStrictEqual({ value: 3 });
});

test.each([
  ["a function", () => 0],
  ["a symbol", Symbol("no")],
  ["a promise", Promise.resolve()],
  ["a function deep inside", { players: [{ onLeave: () => 0 }] }],
  ["a weak map", new WeakMap()],
])("SN2 %s cannot be cloned, and is refused", (_what, value) => {
  expect(encodeSnapshot("game", value)).toMatchObject({ ok: false, code: "snapshot-impossible" });
});

test("SN2 a snapshot of another type, another form, or that is damaged, is refused", () => {
  const encoded = encodeSnapshot("game", { a: 1 });
  if (!encoded.ok) throw new Error(encoded.detail);
  const text = encoded.value;
  const codes = [
    decodeSnapshot("chat", text),
    decodeSnapshot("game", text.replace('"format":1', '"format":2')),
    decodeSnapshot("game", text.slice(0, -2)),
    decodeSnapshot("game", ""),
    decodeSnapshot("game", "{}\n[1]"),
    decodeSnapshot("game", "null\n[1]"),
  ].map((result) => (result.ok ? "ok" : result.code));
  expect(codes).toEqual([
    "snapshot-foreign",
    "snapshot-foreign",
    "snapshot-damaged",
    "snapshot-damaged",
    "snapshot-damaged",
    "snapshot-damaged",
  ]);
});
