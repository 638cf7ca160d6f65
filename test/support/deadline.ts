/** Every wait of a test ends: with what it waited for, or with a sentence that says what was missing. */
export const patienceMs = 10_000;

/** Rejects when `promise` has not settled in time; `describe` says what was there instead. */
export async function within<Value>(
  promise: Promise<Value>,
  describe: () => string,
  ms = patienceMs,
): Promise<Value> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`after ${ms} ms: ${describe()}`)), ms);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
