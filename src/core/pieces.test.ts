import fc from "fast-check";
import { expect, test } from "vitest";
import { piecesOf } from "./pieces.ts";

test("SN3 pieces of a text are all of it, each as long as it may be but the last", () => {
  fc.assert(
    fc.property(fc.string(), fc.integer({ min: 1, max: 5 }), (text, units) => {
      const pieces = piecesOf(text, units);
      expect(pieces.join("")).toBe(text);
      expect(pieces).toHaveLength(Math.max(1, Math.ceil(text.length / units)));
      expect(pieces.every((piece) => piece.length <= units)).toBe(true);
    }),
  );
});
