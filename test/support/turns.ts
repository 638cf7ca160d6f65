/** Resolves when everything that could run without an event from outside has run. */
export function turns(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
