import fc from "fast-check";
import { expect, test } from "vitest";
import { FakeStorage } from "../../test/support/fake-storage.ts";
import { DeliveryLog } from "../core/delivery-log.ts";
import { keyLifetimeMs, type KeyUse } from "../core/idempotency.ts";
import type { ShardId } from "../protocol/names.ts";
import { Journal, type JournalContents } from "./journal.ts";
import type { JournaledBatch } from "./journal-rows.ts";

const use = (key: string, seq: number, at: number): KeyUse => {
  return { key, fingerprint: `f-${key}`, first: seq, seq, at };
};

type Append = { size?: number; units?: number; keys?: readonly string[]; now?: number };

/** A journal under a log that keeps so many messages, as the sequencer uses the two. */
class Room {
  storage: FakeStorage;
  journal: Journal;
  log: DeliveryLog<JournaledBatch>;
  /** Every key use that was ever written. */
  readonly uses: KeyUse[] = [];
  readonly #messages: number;

  constructor(messages = 5, maxTextUnits = 1_000) {
    this.#messages = messages;
    this.storage = new FakeStorage(new Map(), maxTextUnits);
    this.journal = new Journal(this.storage);
    this.log = this.#newLog();
  }

  append({ size = 1, units = 10, keys = [], now = 0 }: Append): void {
    const { head } = this.log;
    const uses = keys.map((key) => use(key, head + 1, now));
    this.uses.push(...uses);
    const batch = {
      after: head,
      through: head + size,
      at: now,
      frame: `${head}`.padEnd(units, "x"),
    };
    this.log.append(this.journal.append(batch, uses));
    this.journal.release(this.log.trim(now, this.log.head), now);
  }

  /** The object's next life, on the rows that are durable. */
  async restart(): Promise<JournalContents> {
    await this.storage.sync();
    this.storage = this.storage.restart();
    this.journal = new Journal(this.storage);
    const contents = await this.journal.load();
    this.log = this.#newLog();
    this.log.restore(contents.batches, contents.head);
    return contents;
  }

  logRows(): string[] {
    return [...this.storage.rows.keys()].filter((key) => key.startsWith("log/"));
  }

  #newLog(): DeliveryLog<JournaledBatch> {
    const bounds = { messages: this.#messages, seconds: 1e9, units: 1e9, backlogUnits: 1e9 };
    return new DeliveryLog(bounds);
  }
}

const shown = (batches: readonly JournaledBatch[]) =>
  batches.map(({ after, through, at, frame }) => ({ after, through, at, frame }));

test("DL6 a room that never was has nothing", async () => {
  expect(await new Room().restart()).toEqual({
    epoch: null,
    isLogLost: false,
    head: 0,
    settled: 0,
    snapshotted: null,
    batches: [],
    keys: [],
    subscribers: new Map(),
    fences: new Map(),
    over: new Map(),
  });
});

test("DL6 epoch, subscribers and what was settled survive", async () => {
  const room = new Room();
  room.journal.writeEpoch("e1");
  room.journal.writeSettled(7);
  room.journal.writeSubscriber("a-1" as ShardId, { subscription: "s1", seq: 3 });
  room.journal.writeSubscriber("a-2" as ShardId, { subscription: "s2", seq: 4 });
  room.journal.writeSubscriber("a-2" as ShardId, { subscription: "s3", seq: 5 });
  room.journal.deleteSubscriber("a-1" as ShardId);
  const { epoch, settled, subscribers } = await room.restart();
  expect([epoch, settled]).toEqual(["e1", 7]);
  expect([...subscribers]).toEqual([["a-2", { subscription: "s3", seq: 5 }]]);
});

test("DL6 the log and its keys survive", async () => {
  const room = new Room();
  room.append({ size: 2, keys: ["k1", "k2"] });
  room.append({ size: 1 });
  const before = shown(room.log.since(0) ?? []);
  const { batches, head, keys } = await room.restart();
  expect(shown(batches)).toEqual(before);
  expect([head, keys]).toEqual([3, room.uses]);
});

test("DL9 a batch larger than a row is split over several, and read back whole", async () => {
  const room = new Room(5, 100);
  room.append({ units: 950, keys: ["k"] });
  room.append({ units: 100 });
  room.append({ units: 101 });
  expect(room.logRows().filter((row) => row.startsWith("log/0"))).toHaveLength(11);
  const before = shown(room.log.since(0) ?? []);
  const { batches, keys } = await room.restart();
  expect(shown(batches)).toEqual(before);
  expect(keys).toEqual(room.uses);
});

test("DL9 the rows of a split batch go when it goes, and its number is remembered all the same", async () => {
  const room = new Room(0, 100);
  room.append({ size: 3, units: 950 });
  expect(room.logRows()).toEqual(["log/0"]);
  expect(await room.restart()).toMatchObject({ head: 3, batches: [] });
  room.append({ size: 1, units: 10 });
  expect((await room.restart()).head).toBe(4);
});

test("DL6 rows are written over: a thousand batches leave no more rows than the log holds", async () => {
  const room = new Room(5);
  for (let n = 0; n < 1_000; n += 1) {
    room.append({});
    if (n % 100 === 0) await room.restart();
  }
  expect(room.logRows().length).toBeLessThanOrEqual(7);
});

test("DL4 keys outlive their batches, gathered in few rows, for as long as they are alive", async () => {
  const room = new Room(1, 60_000);
  for (let n = 0; n < 2_000; n += 1) {
    room.append({ keys: [`k${n}`], now: n });
    if (n % 700 === 0) await room.restart();
  }
  const keyRows = (): string[] =>
    [...room.storage.rows.keys()].filter((k) => k.startsWith("keys/"));
  expect(room.logRows().length).toBeLessThan(300);
  expect(keyRows().length).toBeLessThan(10);
  expect(new Set((await room.restart()).keys.map(({ key }) => key)).size).toBe(2_000);
  room.append({ now: keyLifetimeMs + 2_000 });
  room.append({ now: keyLifetimeMs + 2_000 });
  expect(keyRows()).toEqual([]);
});

test("DL6 a crash leaves the writes of a turn together or not at all", async () => {
  const room = new Room();
  room.append({});
  await room.storage.sync();
  room.append({ units: 5_000 });
  // The turn is not over: nothing of the second batch is durable.
  const crashed = await new Journal(room.storage.restart()).load();
  expect(shown(crashed.batches)).toEqual([
    { after: 0, through: 1, at: 0, frame: "0".padEnd(10, "x") },
  ]);
});

const steps = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        name: fc.constant("append" as const),
        size: fc.integer({ min: 1, max: 3 }),
        units: fc.constantFrom(5, 99, 100, 101, 450),
        keys: fc.nat(3),
        afterMs: fc.constantFrom(0, 1, 1_000, keyLifetimeMs / 3),
      }),
    },
    { weight: 1, arbitrary: fc.record({ name: fc.constant("restart" as const) }) },
  ),
  { maxLength: 80 },
);

test("DL4, DL6, DL9 whatever was written, a restart finds the log and every key that is alive", async () => {
  await fc.assert(
    fc.asyncProperty(steps, fc.nat(6), async (all, messages) => {
      const room = new Room(messages, 300);
      let now = 0;
      let number = 0;
      for (const step of all) {
        if (step.name === "append") {
          now += step.afterMs;
          const keys = Array.from({ length: step.keys }, () => `k${(number += 1)}`);
          room.append({ ...step, keys, now });
          continue;
        }
        const before = shown(room.log.since(room.log.history(0).first - 1) ?? []);
        const { head } = room.log;
        const contents = await room.restart();
        expect(contents.head).toBe(head);
        expect(shown(contents.batches).slice(contents.batches.length - before.length)).toEqual(
          before,
        );
        const alive = room.uses.filter(({ at }) => at + keyLifetimeMs > now);
        const found = new Map(contents.keys.map((each) => [each.key, each]));
        for (const each of alive) expect(found.get(each.key)).toEqual(each);
      }
    }),
    { numRuns: 150 },
  );
});

test("SE9 after a disposal no row tells of batches of the life before, however large they were", async () => {
  const room = new Room(1, 100);
  room.append({});
  room.append({ units: 950 });
  room.append({});
  const { batches } = await room.restart();
  room.journal.clear(batches);
  expect(room.logRows()).toEqual([]);
});

test("DL6 a log of a hundred and thirty thousand small batches is read back", async () => {
  const rows = new Map<string, unknown>();
  for (let slot = 0; slot < 130_000; slot += 1) {
    rows.set(`log/${slot}`, { after: slot, through: slot + 1, at: 0, parts: 0, text: "x" });
  }
  // Copying so many would take its time.
  const storage = new FakeStorage();
  storage.list = () => Promise.resolve(rows);
  const { head, batches } = await new Journal(storage).load();
  expect([head, batches.length]).toEqual([130_000, 130_000]);
});
