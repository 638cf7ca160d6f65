import fc from "fast-check";
import { assert, expect, test } from "vitest";
import { CommitQueue } from "./commit-queue.ts";

type Write = { readonly units: number; readonly id: number };

const write = (id: number, units = 1): Write => ({ id, units });
const ids = (writes: readonly Write[]): number[] => writes.map(({ id }) => id);

/** A queue with so many writes that wait. */
function queueOf(count: number, units = 1): CommitQueue<Write> {
  const queue = new CommitQueue<Write>();
  for (let id = 0; id < count; id += 1) queue.add(write(id, units));
  return queue;
}

/** A batch begins, goes out to so many shards, and is durable at once. */
function startBatch(queue: CommitQueue<Write>, through: number, now: number, shards: number): void {
  queue.add(write(through));
  expect(queue.canStart(now)).toBe(true);
  queue.take();
  queue.sent(through, now, shards);
  queue.stored();
}

test("DL5 writes that arrive while a batch is under way become the next batch", () => {
  const queue = queueOf(1);
  expect(queue.canStart(0)).toBe(true);
  expect(ids(queue.take())).toEqual([0]);
  for (let id = 1; id <= 100; id += 1) queue.add(write(id));
  expect([queue.canStart(9_999), queue.nextDeadline()]).toEqual([false, null]);
  queue.sent(1, 0, 0);
  queue.stored();
  expect(queue.canStart(0)).toBe(true);
  expect(queue.take()).toHaveLength(100);
});

test("DL5 a batch ends before it grows past its bound; a single write may be larger", () => {
  const bound = 512 * 1024;
  const queue = queueOf(3, bound / 2);
  queue.add(write(3, bound + 1));
  queue.add(write(4));
  const taken = [queue.take(), queue.take(), queue.take(), queue.take()];
  expect(taken.map(ids)).toEqual([[0, 1], [2], [3], [4]]);
});

test("DL12 a queue is full with 20,000 writes", () => {
  const queue = queueOf(19_999);
  expect(queue.isFull).toBe(false);
  queue.add(write(20_000));
  expect(queue.isFull).toBe(true);
  queue.take();
  expect(queue.isFull).toBe(false);
});

test("DL12 a queue is full with 16 Mi units, and has place again for what was taken", () => {
  const queue = queueOf(31, 512 * 1024);
  expect(queue.isFull).toBe(false);
  queue.add(write(31, 512 * 1024));
  expect(queue.isFull).toBe(true);
  queue.take();
  expect(queue.isFull).toBe(false);
});

test("LK8 a batch waits for half of the shards, so that one that is stuck holds up nobody", () => {
  const queue = new CommitQueue<Write>();
  startBatch(queue, 1, 0, 3);
  queue.add(write(2));
  expect(queue.canStart(1)).toBe(false);
  queue.acknowledged(0, 1);
  expect(queue.canStart(1)).toBe(false);
  queue.acknowledged(0, 1);
  expect(queue.canStart(1)).toBe(true);
});

test("LK8 an acknowledgement counts for the batches that it is new for, and no others", () => {
  const queue = new CommitQueue<Write>();
  startBatch(queue, 5, 0, 2);
  queue.add(write(1));
  queue.acknowledged(5, 9);
  queue.acknowledged(0, 4);
  expect(queue.canStart(1)).toBe(false);
  queue.acknowledged(4, 5);
  expect(queue.canStart(1)).toBe(true);
});

test("LK8 all shards being far costs no round trip a batch: four may be on their way", () => {
  const queue = new CommitQueue<Write>();
  for (const n of [0, 1, 2, 3]) startBatch(queue, n + 1, n * 25, 4);
  queue.add(write(5));
  expect([queue.canStart(100), queue.canStart(999)]).toEqual([false, false]);
  expect(queue.nextDeadline()).toBe(1_000);
  expect(queue.canStart(1_000)).toBe(true);
});

test("LK8 all shards being slow holds up the writers, one batch in 25 ms", () => {
  const queue = new CommitQueue<Write>();
  startBatch(queue, 1, 100, 2);
  queue.add(write(2));
  expect([queue.canStart(124), queue.nextDeadline()]).toEqual([false, 125]);
  expect(queue.canStart(125)).toBe(true);
});

test("DL11 batches of volatile messages alone are paced by time", () => {
  const queue = queueOf(1);
  queue.take();
  queue.sentVolatile(100);
  queue.stored();
  queue.add(write(2));
  expect([queue.canStart(104), queue.nextDeadline(), queue.canStart(105)]).toEqual([
    false,
    105,
    true,
  ]);
});

type Step =
  | { readonly name: "add"; readonly units: number }
  | { readonly name: "stored" }
  | { readonly name: "ack"; readonly shard: number }
  | { readonly name: "time"; readonly ms: number };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({ name: fc.constant("add"), units: fc.constantFrom(1, 100, 300_000, 600_000) }),
    fc.constant({ name: "stored" }),
    fc.record({ name: fc.constant("ack"), shard: fc.nat(2) }),
    fc.record({ name: fc.constant("time"), ms: fc.oneof(fc.nat(6), fc.nat(1_200)) }),
  ),
  { maxLength: 120 },
);

/** What a sequencer does with its queue, and what must hold after every step. */
class Driver {
  readonly queue = new CommitQueue<Write>();
  readonly taken: number[] = [];
  now = 0;
  added = 0;
  through = 0;
  isStoring = false;
  readonly acked = [0, 0, 0];

  do(step: Step): void {
    switch (step.name) {
      case "add":
        this.queue.add(write(this.added, step.units));
        this.added += 1;
        break;
      case "stored":
        if (this.isStoring) this.queue.stored();
        this.isStoring = false;
        break;
      case "ack":
        this.queue.acknowledged(this.acked[step.shard] ?? 0, this.through);
        this.acked[step.shard] = this.through;
        break;
      case "time":
        this.now += step.ms;
        break;
    }
    this.startIfPossible();
  }

  startIfPossible(): void {
    if (!this.queue.canStart(this.now)) {
      const deadline = this.queue.nextDeadline();
      // A deadline that has passed would have the sequencer wake itself without end.
      assert(deadline === null || deadline > this.now, "a deadline has passed");
      return;
    }
    assert(!this.isStoring, "two batches are being stored");
    const batch = this.queue.take();
    const units = batch.reduce((sum, each) => sum + each.units, 0);
    assert(batch.length === 1 || units <= 512 * 1024, "a batch is too large");
    this.taken.push(...ids(batch));
    this.isStoring = true;
    if (units % 3 === 0) {
      this.queue.sentVolatile(this.now);
      return;
    }
    this.through += batch.length;
    this.queue.sent(this.through, this.now, this.acked.length);
  }
}

test("DL5, LK8 whatever happens, writes leave in their order, and all of them in bounded time", () => {
  fc.assert(
    fc.property(steps, (all) => {
      const driver = new Driver();
      for (const step of all) driver.do(step);
      driver.do({ name: "stored" });
      // From here on no shard answers: time alone must let everything out.
      for (let turn = 0; driver.taken.length < driver.added && turn < 1_000; turn += 1) {
        driver.now = Math.max(driver.now, driver.queue.nextDeadline() ?? driver.now);
        driver.startIfPossible();
        driver.do({ name: "stored" });
      }
      expect(driver.taken).toEqual(Array.from({ length: driver.added }, (_, id) => id));
    }),
    { numRuns: 500 },
  );
});
