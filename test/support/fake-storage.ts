/**
 * The Storage port in memory. Writes of one turn become durable together when the turn is over;
 * `restart` gives what a new life of the object finds.
 */
import type { Storage } from "../../src/core/ports.ts";

type Change = readonly [key: string, value: unknown];

export class FakeStorage implements Storage {
  readonly maxTextUnits: number;
  readonly #durable: Map<string, unknown>;
  #pending: Change[] = [];
  /** Writes so far, a batch of rows counted as one. */
  writes = 0;

  constructor(rows: ReadonlyMap<string, unknown> = new Map(), maxTextUnits = 60_000) {
    this.#durable = structuredClone(new Map(rows));
    this.maxTextUnits = maxTextUnits;
  }

  /** Every row, whether durable yet or not. */
  get rows(): Map<string, unknown> {
    const rows = new Map(this.#durable);
    apply(this.#pending, rows);
    return rows;
  }

  /** What the next life of the object finds when this one ends now. */
  restart(): FakeStorage {
    return new FakeStorage(this.#durable, this.maxTextUnits);
  }

  list(prefix: string): Promise<Map<string, unknown>> {
    const found = [...this.rows].filter(([key]) => key.startsWith(prefix));
    const sorted = found.toSorted(([one], [other]) => (one < other ? -1 : 1));
    return Promise.resolve(structuredClone(new Map(sorted)));
  }

  put(rows: Readonly<Record<string, unknown>>): void {
    this.writes += 1;
    this.#change(Object.entries(structuredClone(rows)));
  }

  delete(keys: readonly string[]): void {
    this.#change(keys.map((key) => [key, undefined]));
  }

  /** Nothing is pending once the turn in which the last write was made is over. */
  sync(): Promise<void> {
    return Promise.resolve().then(() => this.#land());
  }

  #change(changes: readonly Change[]): void {
    if (this.#pending.length === 0) queueMicrotask(() => this.#land());
    this.#pending.push(...changes);
  }

  #land(): void {
    apply(this.#pending, this.#durable);
    this.#pending = [];
  }
}

/** A row whose value is `undefined` is gone. */
function apply(changes: readonly Change[], rows: Map<string, unknown>): void {
  for (const [key, value] of changes) {
    if (value === undefined) rows.delete(key);
    else rows.set(key, value);
  }
}
