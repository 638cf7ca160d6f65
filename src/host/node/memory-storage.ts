/**
 * The Storage port in memory, for tests and for deployments of one process. Rows outlive the object,
 * not the process. Knows nothing of what rows mean.
 */
import type { Storage } from "../../core/ports.ts";

type Rows = Map<string, unknown>;

/** As much as a row holds on Durable Objects, so that what runs here runs there. */
const maxTextUnits = 900_000;

export class MemoryStorage implements Storage {
  readonly maxTextUnits = maxTextUnits;
  /** `null` when another life has taken over. */
  #rows: Rows | null = new Map();
  /** Ascending, or `null` when keys have come since. */
  #keys: readonly string[] | null = null;

  /** The same rows for the object's next life; this one changes them no more. */
  reopen(): MemoryStorage {
    const next = new MemoryStorage();
    next.#rows = this.#rows ?? new Map();
    this.#rows = null;
    return next;
  }

  list(prefix: string): Promise<Map<string, unknown>> {
    const rows = this.#rows ?? new Map<string, unknown>();
    this.#keys ??= [...rows.keys()].toSorted();
    const found: Rows = new Map();
    for (let at = firstFrom(this.#keys, prefix); at < this.#keys.length; at += 1) {
      const key = this.#keys[at] ?? "";
      if (!key.startsWith(prefix)) break;
      found.set(key, structuredClone(rows.get(key)));
    }
    return Promise.resolve(found);
  }

  /** All rows or, when one cannot be cloned, none. */
  put(rows: Readonly<Record<string, unknown>>): void {
    const copies = structuredClone(Object.entries(rows));
    for (const [key, value] of copies) {
      if (this.#rows?.has(key) === false) this.#keys = null;
      this.#rows?.set(key, value);
    }
  }

  delete(keys: readonly string[]): void {
    for (const key of keys) {
      if (this.#rows?.delete(key) === true) this.#keys = null;
    }
  }

  /** A write is as durable as the process at once. */
  sync(): Promise<void> {
    return Promise.resolve();
  }
}

/** Index of the first key that is not before `prefix`. */
function firstFrom(keys: readonly string[], prefix: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] ?? "") < prefix) low = middle + 1;
    else high = middle;
  }
  return low;
}
