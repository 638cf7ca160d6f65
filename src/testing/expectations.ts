/** What the checks of `partyshard/testing` expect with, so that they need no test framework. */

/** Throws unless both are the same JSON values; the order of an object's fields does not count. */
export function expectSame(actual: unknown, expected: unknown, what: string): void {
  expectTrue(
    isSame(actual, expected),
    `${what}: expected ${shown(expected)}, but there is ${shown(actual)}`,
  );
}

export function expectTrue(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(otherwise);
}

function isSame(one: unknown, other: unknown): boolean {
  if (!isObject(one) || !isObject(other)) return Object.is(one, other);
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const keys = Object.keys(one);
  if (keys.length !== Object.keys(other).length) return false;
  return keys.every((key) => Object.hasOwn(other, key) && isSame(one[key], other[key]));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function shown(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 500) ?? String(value);
}
