/**
 * The Storage port with its output gate. Writes are pending for a while; what the object sends
 * after a write waits until the write is durable. A crash loses what is pending, or not, and in any
 * case what waited. Knows nothing of what rows mean.
 */
import type { Storage } from "../../src/core/ports.ts";
import type { Position } from "../../src/protocol/link.ts";
import type { Random } from "./random.ts";
import type { Timeline } from "./timeline.ts";

/** What is durable of one object; outlives every crash. */
export class DurableRows {
  readonly values = new Map<string, unknown>();
  alarm: number | null = null;
}

/** Rows as one `put` wrote them. */
export type Rows = Readonly<Record<string, unknown>>;

/** Which of the pending writes a crash lets land, though nobody has learned that they did. */
export type Keep = "none" | "some" | "all";

/** Writes made without an `await` between them. */
type Batch = {
  /** `undefined` deletes the row. */
  readonly changes: Map<string, unknown>;
  readonly puts: Rows[];
  alarm: number | null;
  isOpen: boolean;
};

export type StorageOptions = {
  readonly rows: DurableRows;
  readonly timeline: Timeline;
  readonly random: Random;
  readonly maxTextUnits: number;
  /** Lets outputs pass while only messages are not durable yet: a planted bug. */
  readonly isGateBroken: boolean;
  /** A batch of writes has begun. */
  readonly onWrite: () => void;
  /** These have just become durable, whatever was deleted in the same moment. */
  readonly onDurable: (puts: readonly Rows[]) => void;
  readonly onAlarm: (at: number) => void;
};

export class SimulatedStorage implements Storage {
  readonly maxTextUnits: number;
  readonly #options: StorageOptions;
  #pending: Batch[] = [];
  #begun = 0;
  #confirmed = 0;
  #held: { readonly after: number; readonly run: () => void }[] = [];
  #isEnded = false;

  constructor(options: StorageOptions) {
    this.#options = options;
    this.maxTextUnits = options.maxTextUnits;
  }

  /** Nothing is pending and nothing waits. */
  get isQuiet(): boolean {
    return this.#pending.length === 0 && this.#held.length === 0;
  }

  list(prefix: string): Promise<Map<string, unknown>> {
    const merged = new Map(this.#options.rows.values);
    for (const batch of this.#pending) apply(batch.changes, merged);
    const names = [...merged.keys()].filter((name) => name.startsWith(prefix)).toSorted();
    const rows = new Map(names.map((name) => [name, structuredClone(merged.get(name))]));
    return new Promise((resolve) => {
      this.#options.timeline.after(this.#options.random.between(0.1, 3), () => {
        if (!this.#isEnded) resolve(rows);
      });
    });
  }

  put(rows: Rows): void {
    if (this.#isEnded) return;
    const { changes, puts } = this.#openBatch();
    puts.push(structuredClone(rows));
    for (const [name, value] of Object.entries(rows)) {
      for (const text of textsOf(value)) {
        if (text.length > this.maxTextUnits) throw new Error(`the text of row ${name} is too long`);
      }
      changes.set(name, structuredClone(value));
    }
  }

  delete(keys: readonly string[]): void {
    if (this.#isEnded) return;
    const { changes } = this.#openBatch();
    for (const key of keys) changes.set(key, undefined);
  }

  setAlarm(at: number): void {
    if (!this.#isEnded) this.#openBatch().alarm = at;
  }

  sync(): Promise<void> {
    return new Promise((resolve) => {
      this.#gate(() => resolve(), false);
    });
  }

  /** Something leaves the object: now, or when every write so far is durable. */
  output(run: () => void): void {
    if (!this.#isEnded) this.#gate(run, this.#options.isGateBroken && this.#hasOnlyLogRows());
  }

  /** The object's life is over. */
  end(keep: Keep): void {
    this.#isEnded = true;
    this.#held = [];
    const { random } = this.#options;
    const count = { none: 0, some: random.below(this.#pending.length + 1), all: Infinity }[keep];
    for (const batch of this.#pending.slice(0, count)) this.#land(batch);
    this.#pending = [];
  }

  #gate(run: () => void, isOpen: boolean): void {
    if (isOpen || (this.#confirmed === this.#begun && this.#held.length === 0)) run();
    else this.#held.push({ after: this.#begun, run });
  }

  #hasOnlyLogRows(): boolean {
    return this.#pending.every((batch) => batch.puts.some(isLog));
  }

  #openBatch(): Batch {
    const newest = this.#pending.at(-1);
    if (newest?.isOpen === true) return newest;
    const batch: Batch = { changes: new Map(), puts: [], alarm: null, isOpen: true };
    this.#pending.push(batch);
    this.#begun += 1;
    queueMicrotask(() => (batch.isOpen = false));
    const { random, timeline, onWrite } = this.#options;
    const delay = random.chance(0.05) ? random.between(20, 500) : random.between(0.2, 6);
    timeline.after(delay, () => this.#confirm(batch));
    onWrite();
    return batch;
  }

  /** Writes become durable in their order: with this batch all before it. */
  #confirm(batch: Batch): void {
    const index = this.#pending.indexOf(batch);
    if (this.#isEnded || index === -1) return;
    for (const each of this.#pending.splice(0, index + 1)) {
      this.#confirmed += 1;
      this.#land(each);
    }
    const ready = this.#held.filter((held) => held.after <= this.#confirmed);
    this.#held = this.#held.slice(ready.length);
    for (const { run } of ready) run();
  }

  #land(batch: Batch): void {
    apply(batch.changes, this.#options.rows.values);
    if (batch.alarm !== null) {
      this.#options.rows.alarm = batch.alarm;
      this.#options.onAlarm(batch.alarm);
    }
    this.#options.onDurable(batch.puts);
  }
}

function apply(changes: ReadonlyMap<string, unknown>, rows: Map<string, unknown>): void {
  for (const [name, value] of changes) {
    if (value === undefined) rows.delete(name);
    else rows.set(name, value);
  }
}

function textsOf(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).filter((each) => typeof each === "string");
}

function isLog(rows: Rows): boolean {
  return Object.keys(rows).some((name) => name.startsWith("log/"));
}

/** A shard keeps its position where it outlives its memory, which tells how far it is. */
export function watchedStorage(
  storage: Storage,
  onPosition: (position: Position) => void,
): Storage {
  return {
    maxTextUnits: storage.maxTextUnits,
    list: (prefix) => storage.list(prefix),
    delete: (keys) => storage.delete(keys),
    sync: () => storage.sync(),
    put: (rows) => {
      const row = rows["shard"] as { readonly position: Position } | undefined;
      if (row !== undefined) onPosition(row.position);
      storage.put(rows);
    },
  };
}
