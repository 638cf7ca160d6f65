import fc from "fast-check";
import { assert, expect, test } from "vitest";
import { DeliveryLog, type Batch, type LogBounds } from "./delivery-log.ts";

const bounds: LogBounds = { messages: 10, seconds: 10, units: 100, backlogUnits: 300 };

/** A log whose batches hold so many messages each, at one time. */
function logOf(sizes: readonly number[], more: Partial<LogBounds> = {}): DeliveryLog {
  const log = new DeliveryLog({ ...bounds, ...more });
  for (const size of sizes) append(log, size);
  return log;
}

function append(log: DeliveryLog, size: number, at = 0, units = 10): void {
  const { head } = log;
  log.append({ after: head, through: head + size, at, frame: "x".repeat(units) });
}

const stray = (after: number): Batch => ({ after, through: after + 1, at: 0, frame: "" });
const throughs = (batches: readonly Batch[] | null) => batches?.map(({ through }) => through);

test("DL1 numbers begin at 1 and have no gaps: a batch follows on the head or is refused", () => {
  const log = logOf([1]);
  expect([log.head, throughs(log.since(0))]).toEqual([1, [1]]);
  expect(() => log.append(stray(0))).toThrow("cannot follow");
  expect(() => log.append(stray(2))).toThrow("cannot follow");
  log.append(stray(1));
  expect(log.head).toBe(2);
});

test("DL7 history is bounded by the number of messages", () => {
  const log = logOf([4, 4, 4, 4]);
  expect(throughs(log.trim(0, log.head))).toEqual([4]);
  expect(log.history(0)).toEqual({ first: 7, last: 16 });
});

test("DL7 history is bounded by age", () => {
  const log = logOf([]);
  append(log, 1, 1_000);
  append(log, 1, 2_000);
  expect(throughs(log.trim(10_999, log.head))).toEqual([]);
  expect(throughs(log.trim(11_000, log.head))).toEqual([1]);
  expect(log.history(11_000)).toEqual({ first: 2, last: 2 });
  expect(log.history(12_000)).toEqual({ first: 3, last: 2 });
});

test("DL7 history is bounded by its size", () => {
  const log = logOf([1, 1]);
  append(log, 1, 0, 85);
  expect(throughs(log.trim(0, log.head))).toEqual([1]);
});

test("DL7 history shrinks with time and with size also while nothing is trimmed", () => {
  const log = logOf([]);
  append(log, 2, 1_000);
  append(log, 2, 2_000, 30);
  append(log, 2, 3_000, 60);
  expect(log.history(10_999)).toEqual({ first: 1, last: 6 });
  expect(log.history(11_000)).toEqual({ first: 3, last: 6 });
  expect(log.history(13_000)).toEqual({ first: 7, last: 6 });
  append(log, 1, 3_000, 1);
  expect([log.history(3_000), log.start]).toEqual([{ first: 3, last: 7 }, 0]);
  append(log, 1, 3_000, 30);
  expect([log.history(3_000), log.start]).toEqual([{ first: 5, last: 8 }, 0]);
});

test("DL7 what a shard has not acknowledged is kept beyond history, within its own bound", () => {
  const log = logOf([5, 5, 5, 5, 5]);
  expect(throughs(log.trim(99_000, 10))).toEqual([5, 10]);
  for (let n = 0; n < 27; n += 1) append(log, 1, 99_000);
  expect(log.trim(99_000, 10)).toEqual([]);
  append(log, 1, 99_000);
  expect(throughs(log.trim(99_000, 10))).toEqual([15]);
});

test("DL7 a room without history keeps nothing that all have", () => {
  const log = logOf([3], { messages: 0, seconds: 0 });
  expect(throughs(log.trim(0, 3))).toEqual([3]);
  expect([log.head, log.history(0)]).toEqual([3, { first: 4, last: 3 }]);
  expect([log.since(3), log.since(2)]).toEqual([[], null]);
});

test("DL8 of messages that are no longer kept, or never were, the log has nothing to say", () => {
  const log = logOf([2, 2, 2, 2, 2, 2, 2]);
  log.trim(0, log.head);
  expect(throughs(log.since(4))).toEqual([6, 8, 10, 12, 14]);
  expect([log.since(3), log.since(15)]).toEqual([null, null]);
});

test("DL6 a run that is taken over goes on where it ended", () => {
  const former = logOf([2, 2, 2]);
  const batches = former.since(2) ?? [];
  const log = new DeliveryLog(bounds);
  log.restore(batches, 6);
  append(log, 1);
  expect([log.head, throughs(log.since(2)), log.since(1)]).toEqual([7, [4, 6, 7], null]);
  const empty = new DeliveryLog(bounds);
  empty.restore([], 6);
  expect([empty.head, empty.since(6)]).toEqual([6, []]);
});

/** A log that keeps everything and looks at all of it: what is kept is what some bound keeps. */
class NaiveLog {
  #all: Batch[] = [];
  #kept: Batch[] = [];

  get head(): number {
    return this.#all.at(-1)?.through ?? 0;
  }

  append(batch: Batch): void {
    this.#all.push(batch);
    this.#kept.push(batch);
  }

  trim(now: number, settled: number): void {
    const units = (): number => this.#kept.reduce((sum, batch) => sum + batch.frame.length, 0);
    const isKept = (batch: Batch): boolean => {
      const isRecent = batch.through > this.head - bounds.messages && batch.at > now - 10_000;
      const isOwed = batch.through > settled && units() <= bounds.backlogUnits;
      return isOwed || (isRecent && units() <= bounds.units);
    };
    while (this.#kept[0] !== undefined && !isKept(this.#kept[0])) this.#kept.shift();
  }

  /** The least number from which on all messages are within every bound. */
  firstOfHistory(now: number): number {
    const isWithin = (from: number): boolean => {
      const batches = this.#kept.filter(({ through }) => through >= from);
      const units = batches.reduce((sum, batch) => sum + batch.frame.length, 0);
      const isYoung = batches.every(({ at }) => at > now - bounds.seconds * 1_000);
      return isYoung && units <= bounds.units && this.head - from < bounds.messages;
    };
    let first = this.head + 1;
    const oldest = (this.#kept[0]?.after ?? this.head) + 1;
    while (first > oldest && isWithin(first - 1)) first -= 1;
    return first;
  }

  since(seq: number): number[] | null {
    const isThere = (number: number): boolean =>
      this.#kept.some(({ after, through }) => after < number && number <= through);
    const lacked = Array.from({ length: Math.max(0, this.head - seq) }, (_, n) => seq + 1 + n);
    if (seq > this.head || !lacked.every(isThere)) return null;
    return this.#kept.map(({ through }) => through).filter((through) => through > seq);
  }

  get units(): number {
    return this.#kept.reduce((sum, batch) => sum + batch.frame.length, 0);
  }
}

const steps = fc.array(
  fc.record({
    size: fc.integer({ min: 1, max: 4 }),
    units: fc.integer({ min: 1, max: 60 }),
    afterMs: fc.oneof(fc.constant(0), fc.nat(6_000)),
    isTrimmed: fc.boolean(),
    lag: fc.nat(30),
  }),
  { maxLength: 40 },
);

test("DL7, DL8 the log holds what a naive log holds, and never more than its bounds", () => {
  fc.assert(
    fc.property(steps, (all) => {
      const log = new DeliveryLog(bounds);
      const naive = new NaiveLog();
      let now = 0;
      for (const { size, units, afterMs, isTrimmed, lag } of all) {
        now += afterMs;
        const batch = { after: log.head, through: log.head + size, at: now };
        log.append({ ...batch, frame: "x".repeat(units) });
        naive.append({ ...batch, frame: "x".repeat(units) });
        if (isTrimmed) {
          const settled = Math.max(0, log.head - lag);
          log.trim(now, settled);
          naive.trim(now, settled);
          assert(naive.units <= bounds.backlogUnits, "more is kept than the bound");
        }
        for (let seq = 0; seq <= log.head + 1; seq += 1) {
          expect(throughs(log.since(seq)) ?? null).toEqual(naive.since(seq));
        }
        const { first, last } = log.history(now);
        expect(last).toBe(log.head);
        assert(first > last || log.since(first - 1) !== null, "history is promised and gone");
        expect(first).toBe(naive.firstOfHistory(now));
      }
    }),
    { numRuns: 150 },
  );
});
