/** What is wrong with a value from outside, in words of plain ASCII: close reasons carry nothing else everywhere. */
import * as v from "valibot";

/** An object of these keys and no others; `what` is a key of it, in words. */
export function strict<const Entries extends v.ObjectEntries>(entries: Entries, what = "key") {
  const allowed = `allowed: ${Object.keys(entries).join(", ")}`;
  return v.strictObject(entries, ({ expected, received }) => {
    if (expected === "never") return `unknown ${what} ${received}; ${allowed}`;
    if (received === "undefined") return `missing ${what} ${expected}; ${allowed}`;
    return `must be an object; ${allowed}`;
  });
}

/** Every issue with its place, in one line. */
export function describeIssues(issues: readonly v.BaseIssue<unknown>[]): string {
  return issues
    .map((issue) => {
      const path = (issue.path ?? []).map(({ key }) => String(key));
      // A key that should not be there, or is not, is in the words.
      const isOfKey = issue.type === "strict_object" && issue.expected !== "Object";
      const place = (isOfKey ? path.slice(0, -1) : path).join(".");
      return place === "" ? issue.message : `${issue.message} (at ${place})`;
    })
    .join("; ");
}
