import * as v from "valibot";
import { expect, test } from "vitest";
import { describeIssues, strict } from "./issues.ts";

const schema = strict({
  name: v.string(),
  query: v.optional(strict({ hasSpace: v.optional(v.boolean()) })),
});

test.each([
  [{ name: "a", shard: 1 }, 'unknown key "shard"; allowed: name, query'],
  [{}, 'missing key "name"; allowed: name, query'],
  [null, "must be an object; allowed: name, query"],
  [{ name: "a", query: { x: 1 } }, 'unknown key "x"; allowed: hasSpace (at query)'],
  [{ name: "a", query: 5 }, "must be an object; allowed: hasSpace (at query)"],
  [{ name: 5 }, "Invalid type: Expected string but received 5 (at name)"],
])("HT4 what is wrong with %j is told in plain words", (value, words) => {
  const parsed = v.safeParse(schema, value);
  expect(describeIssues(parsed.issues ?? [])).toBe(words);
});
