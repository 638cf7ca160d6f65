/** How large a value is as JSON. Knows nothing of what it means. */

/** Of arrays and objects in each other. What is deeper not every host can write. */
const maxNesting = 64;

/** Length of a JSON value as text, in bytes; `null` when it is nested too deeply. */
export function jsonBytes(value: unknown): number | null {
  if (isNested(value, maxNesting)) return null;
  return new TextEncoder().encode(JSON.stringify(value) ?? "").length;
}

/** Whether arrays and objects are in each other more often than that. */
function isNested(value: unknown, times: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return times === 0 || Object.values(value).some((each) => isNested(each, times - 1));
}
