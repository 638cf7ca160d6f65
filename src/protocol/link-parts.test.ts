/** Frames that travel in parts. */
import fc from "fast-check";
import { assert, expect, test } from "vitest";
import { FrameAssembler, splitFrame } from "./link.ts";

/** What one WebSocket message may hold on the older of the two runtimes. */
const maxMessageBytes = 1024 * 1024;
const partUnits = 256 * 1024;

/** Frames begin with a brace; the rest repeats a piece up to the wanted length. */
function frameOf(piece: string, units: number): string {
  return `{${piece.repeat(Math.ceil(units / piece.length))}`.slice(0, units);
}

function assemble(messages: readonly string[]): string | null {
  const assembler = new FrameAssembler();
  let frame: string | null = null;
  for (const [index, message] of messages.entries()) {
    const pushed = assembler.push(message);
    if (!pushed.ok) throw new Error(pushed.detail);
    assert((pushed.value === null) === index < messages.length - 1, "a frame ends with its parts");
    frame = pushed.value;
  }
  return frame;
}

test("LK7 a frame of usual size travels as it is", () => {
  expect(splitFrame("{}")).toEqual(["{}"]);
  expect(splitFrame(frameOf("a", partUnits))).toHaveLength(1);
  expect(splitFrame(frameOf("a", partUnits + 1))).toHaveLength(2);
});

const sizes = fc.oneof(
  fc.integer({ min: 1, max: 100 }),
  fc.integer({ min: -3, max: 3 }).map((more) => partUnits + more),
  fc.integer({ min: -3, max: 3 }).map((more) => 3 * partUnits + more),
);
const pieces = fc.constantFrom("a", "+.", "é", "語", "\u{1f600}", "a\u{1f600}", "\u{1f600}b語");

test("LK7 parts, none of them too large to receive, make up the frame again", () => {
  const encoder = new TextEncoder();
  fc.assert(
    fc.property(pieces, sizes, (piece, units) => {
      const frame = frameOf(piece, units);
      const parts = splitFrame(frame);
      for (const part of parts) {
        expect(encoder.encode(part).length).toBeLessThan(maxMessageBytes);
      }
      expect(assemble(parts) === frame).toBe(true);
    }),
    { numRuns: 60 },
  );
});

test("LK7 no part ends inside a surrogate pair, which UTF-8 could not carry", () => {
  for (const shift of ["", "a"]) {
    const parts = splitFrame(frameOf(`${shift}\u{1f600}`, 3 * partUnits).replace("{", `{${shift}`));
    expect(parts.length).toBeGreaterThan(2);
    for (const part of parts.slice(0, -1)) expect(part.isWellFormed()).toBe(true);
  }
});

test("LK7 the largest frame there is, a mebibyte that JSON escapes sixfold, comes through", () => {
  const frame = JSON.stringify({ entries: ["\0".repeat(1024 * 1024)] });
  expect(assemble(splitFrame(frame)) === frame).toBe(true);
});

test("LK7 frames follow one another on one link", () => {
  const assembler = new FrameAssembler();
  const large = frameOf("x", 2 * partUnits);
  const messages = ["{1}", ...splitFrame(large), "{2}", ...splitFrame(large)];
  const frames = messages.map((message) => assembler.push(message)).filter(isWhole);
  expect(frames.map(({ value }) => value.length)).toEqual([3, large.length, 3, large.length]);
});

function isWhole<Pushed extends { ok: boolean }>(
  pushed: Pushed,
): pushed is Pushed & { ok: true; value: string } {
  return "value" in pushed && pushed.value !== null;
}

test("LK6 a frame inside another one's parts is malformed, and the next is read anew", () => {
  const assembler = new FrameAssembler();
  expect(assembler.push("+{")).toEqual({ ok: true, value: null });
  expect(assembler.push("{}")).toMatchObject({ ok: false, code: "malformed-frame" });
  expect(assembler.push("{}")).toEqual({ ok: true, value: "{}" });
});

test("LK6 parts without an end are refused before they fill the memory", () => {
  const assembler = new FrameAssembler();
  const part = `+${"x".repeat(1024 * 1024)}`;
  const results = Array.from({ length: 16 }, () => assembler.push(part));
  expect(results.findIndex((result) => !result.ok)).toBe(15);
});
