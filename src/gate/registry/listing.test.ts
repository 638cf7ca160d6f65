import fc from "fast-check";
import { expect, test } from "vitest";
import { mergePages, type Page } from "./listing.ts";

/** A partition's page: at most `limit` ids after the cursor, and at most `looks` looked at. */
function partOf(ids: readonly string[], after: string | null, limit: number, looks: number) {
  const left = ids.filter((id) => after === null || id > after).toSorted();
  const looked = left.slice(0, looks);
  // Every other id does not fit the query.
  const items = looked.filter((id) => id.length % 2 === 1).slice(0, limit);
  const last = items.length === limit ? items.at(-1) : looked.at(-1);
  const isDone = looked.length === left.length && last === looked.at(-1);
  return { items, through: isDone ? null : (last ?? null) };
}

test("RA5 page after page gives every item once, in order, however ids are spread", () => {
  const ids = fc.uniqueArray(fc.stringMatching(/^[a-c]{1,5}$/), { maxLength: 40 });
  const sizes = fc.record({
    limit: fc.integer({ min: 1, max: 5 }),
    looks: fc.integer({ min: 1, max: 8 }),
  });
  fc.assert(
    fc.property(ids, fc.integer({ min: 1, max: 4 }), sizes, (all, count, { limit, looks }) => {
      const spread = Array.from({ length: count }, (_, partition) =>
        all.filter((id) => (id.charCodeAt(0) + id.length) % count === partition),
      );
      const got: string[] = [];
      let after: string | null = null;
      do {
        const parts = spread.map((each) => partOf(each, after, limit, looks));
        const page: Page<string> = mergePages(parts, (id) => id, limit);
        expect(page.items.length).toBeLessThanOrEqual(limit);
        expect(page.cursor === null || page.cursor > (after ?? "")).toBe(true);
        got.push(...page.items);
        after = page.cursor;
      } while (after !== null);
      expect(got).toEqual(all.filter((id) => id.length % 2 === 1).toSorted());
    }),
  );
});

test("RA5 nothing beyond what the slowest partition has looked at is given", () => {
  const parts = [
    { items: ["a", "z"], through: null },
    { items: ["b"], through: "c" },
  ];
  expect(mergePages(parts, (id) => id, 10)).toEqual({ items: ["a", "b"], cursor: "c" });
});

test("RA5 a room that two partitions have while it moves comes once", () => {
  const parts = [
    { items: ["a", "b"], through: null },
    { items: ["b", "c"], through: null },
  ];
  expect(mergePages(parts, (id) => id, 10)).toEqual({ items: ["a", "b", "c"], cursor: null });
});
