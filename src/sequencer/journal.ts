/**
 * What of a room must outlive the sequencer's object, written as rows. One batch is one row, written over
 * the row of a batch that nobody needs any more, since a deletion is billed like a write. Decides nothing
 * about order, delivery or what may be forgotten; the rows' forms are in `journal-rows.ts`.
 */
import type { Batch } from "../core/delivery-log.ts";
import { keyLifetimeMs, type KeyUse } from "../core/idempotency.ts";
import type { Storage } from "../core/ports.ts";
import type { ShardId } from "../protocol/names.ts";
import {
  newestRun,
  readEpoch,
  readFences,
  readKeyRows,
  readLogRows,
  readOver,
  readSettled,
  readSnapshotted,
  readSubscribers,
  type JournaledBatch,
  type SnapshottedRow,
  type SubscriberRow,
} from "./journal-rows.ts";

export type JournalContents = {
  readonly epoch: string | null;
  /** The log could not be read, and is gone: the epoch is over. */
  readonly isLogLost: boolean;
  /** Number of the last message. */
  readonly head: number;
  readonly settled: number;
  readonly snapshotted: SnapshottedRow | null;
  /** The unbroken run of batches that ends with the newest, in order. */
  readonly batches: readonly JournaledBatch[];
  /** In the order of use. */
  readonly keys: readonly KeyUse[];
  readonly subscribers: ReadonlyMap<ShardId, SubscriberRow>;
  /** By slot. */
  readonly fences: ReadonlyMap<number, number>;
  /** Shards of former generations that have not been told, and how often that was tried. */
  readonly over: ReadonlyMap<ShardId, number>;
};

/** Rows that say nothing of messages. */
const outlivesLog = /^(?:sub|fence|over)\//;

/** Batches whose keys outlive them are gathered into one row when there are this many. */
const retiredLimit = 256;

export class Journal {
  readonly #storage: Storage;
  readonly #remembers: (use: KeyUse, now: number) => boolean;
  #freeSlots: number[] = [];
  #nextSlot = 0;
  /** Batches that the log dropped and whose keys are still alive, oldest first. */
  #retired: JournaledBatch[] = [];
  /** Rows of gathered keys, oldest first. */
  #keyRows: { readonly row: number; readonly expiresAt: number }[] = [];
  #nextKeyRow = 0;

  /** `remembers` tells whether a key's use still matters. */
  constructor(
    storage: Storage,
    remembers: (use: KeyUse, now: number) => boolean = (use, now) => use.at + keyLifetimeMs > now,
  ) {
    this.#storage = storage;
    this.#remembers = remembers;
  }

  async load(): Promise<JournalContents> {
    const rows = await this.#storage.list("");
    const meta = readEpoch(rows);
    const log = readLogRows(rows);
    const isLogLost = meta.isDamaged || log.isDamaged;
    if (isLogLost) this.#storage.delete([...rows.keys()].filter((name) => !outlivesLog.test(name)));
    const kept = isLogLost ? { stored: [], head: 0, slots: 0, isDamaged: false } : log;
    const batches = newestRun(kept);
    const gathered = isLogLost ? [] : this.#adoptKeyRows(readKeyRows(rows));
    this.#adoptSlots(kept.stored, batches, kept.slots);
    const keys = [...gathered, ...kept.stored.flatMap((batch) => batch.keys)];
    return {
      epoch: meta.epoch,
      isLogLost,
      head: kept.head,
      settled: isLogLost ? 0 : readSettled(rows),
      snapshotted: isLogLost ? null : readSnapshotted(rows),
      batches,
      keys: keys.toSorted((one, other) => one.seq - other.seq),
      subscribers: readSubscribers(rows),
      fences: readFences(rows),
      over: readOver(rows),
    };
  }

  writeEpoch(epoch: string): void {
    this.#storage.put({ meta: { version: 1, epoch } });
  }

  writeSettled(seq: number): void {
    this.#storage.put({ settled: seq });
  }

  writeSnapshotted(row: SnapshottedRow): void {
    this.#storage.put({ snapshotted: row });
  }

  writeSubscriber(shard: ShardId, row: SubscriberRow): void {
    this.#storage.put({ [`sub/${shard}`]: row });
  }

  deleteSubscriber(shard: ShardId): void {
    this.#storage.delete([`sub/${shard}`]);
  }

  writeFence(slot: number, generation: number): void {
    this.#storage.put({ [`fence/${slot}`]: generation });
  }

  writeOver(shard: ShardId, tries: number): void {
    this.#storage.put({ [`over/${shard}`]: tries });
  }

  deleteOver(shard: ShardId): void {
    this.#storage.delete([`over/${shard}`]);
  }

  /** Deletes every row but those of subscribers and generations; `live` are the batches that the log holds. */
  clear(live: readonly JournaledBatch[]): void {
    const slots = Array.from({ length: this.#nextSlot }, (_, slot) => `log/${slot}`);
    const parts = [...live, ...this.#retired].flatMap(partRows);
    const keys = this.#keyRows.map(({ row }) => `keys/${row}`);
    this.#storage.delete(["meta", "settled", "snapshotted", ...slots, ...parts, ...keys]);
    this.#freeSlots = [];
    this.#nextSlot = 0;
    this.#retired = [];
    this.#keyRows = [];
  }

  /** Writes a batch with the idempotency keys of its messages. */
  append(batch: Batch, keys: readonly KeyUse[]): JournaledBatch {
    const slot = this.#freeSlots.pop() ?? this.#nextSlot++;
    // A frame is JSON and holds no line feed, so the keys can follow it in one text.
    const text = keys.length === 0 ? batch.frame : `${batch.frame}\n${JSON.stringify(keys)}`;
    const [first = "", ...rest] = sliceText(text, this.#storage.maxTextUnits);
    const { after, through, at } = batch;
    const rows: Record<string, unknown> = {
      [`log/${slot}`]: { after, through, at, parts: rest.length, text: first },
    };
    for (const [index, part] of rest.entries()) rows[`log/${slot}/${index + 1}`] = part;
    this.#storage.put(rows);
    return { ...batch, slot, parts: rest.length, keys };
  }

  /** The log dropped these batches: their rows may be written over once their keys are safe. */
  release(batches: readonly JournaledBatch[], now: number): void {
    for (const batch of batches) {
      if (batch.keys.some((use) => this.#remembers(use, now))) this.#retired.push(batch);
      else this.#free(batch);
    }
    this.#freeExpired(now);
    if (this.#retired.length >= retiredLimit) this.#gatherKeys(now);
  }

  #freeExpired(now: number): void {
    let expired = 0;
    for (const batch of this.#retired) {
      if (batch.keys.some((use) => this.#remembers(use, now))) break;
      this.#free(batch);
      expired += 1;
    }
    this.#retired.splice(0, expired);
    const dead = this.#keyRows.filter((row) => row.expiresAt <= now);
    if (dead.length === 0) return;
    this.#storage.delete(dead.map(({ row }) => `keys/${row}`));
    this.#keyRows = this.#keyRows.filter((row) => row.expiresAt > now);
  }

  #gatherKeys(now: number): void {
    const keys = this.#retired.flatMap((batch) => batch.keys);
    const alive = keys.filter((use) => this.#remembers(use, now));
    for (const uses of groupByText(alive, this.#storage.maxTextUnits)) {
      const row = this.#nextKeyRow++;
      this.#storage.put({ [`keys/${row}`]: JSON.stringify(uses) });
      this.#keyRows.push({ row, expiresAt: lastExpiry(uses) });
    }
    for (const batch of this.#retired) this.#free(batch);
    this.#retired = [];
  }

  #free(batch: JournaledBatch): void {
    this.#freeSlots.push(batch.slot);
    if (batch.parts === 0) return;
    this.#storage.delete(partRows(batch));
  }

  #adoptKeyRows(rows: ReadonlyMap<number, readonly KeyUse[]>): KeyUse[] {
    for (const [row, uses] of rows) {
      this.#keyRows.push({ row, expiresAt: lastExpiry(uses) });
      this.#nextKeyRow = Math.max(this.#nextKeyRow, row + 1);
    }
    this.#keyRows.sort((one, other) => one.expiresAt - other.expiresAt);
    return [...rows.values()].flat();
  }

  /** Rows outside the newest run were dropped in the former life: free, or retired for their keys. */
  #adoptSlots(
    stored: readonly JournaledBatch[],
    run: readonly JournaledBatch[],
    slots: number,
  ): void {
    const used = new Set(stored.map((batch) => batch.slot));
    const kept = new Set(run.map((batch) => batch.slot));
    this.#nextSlot = slots;
    for (let slot = 0; slot < slots; slot += 1) if (!used.has(slot)) this.#freeSlots.push(slot);
    for (const batch of stored) {
      if (kept.has(batch.slot)) continue;
      if (batch.keys.length > 0) this.#retired.push(batch);
      else this.#free(batch);
    }
  }
}

function partRows({ slot, parts }: JournaledBatch): string[] {
  return Array.from({ length: parts }, (_, index) => `log/${slot}/${index + 1}`);
}

function sliceText(text: string, units: number): string[] {
  if (text.length <= units) return [text];
  const slices: string[] = [];
  for (let start = 0; start < text.length; start += units) {
    slices.push(text.slice(start, start + units));
  }
  return slices;
}

function groupByText(uses: readonly KeyUse[], units: number): KeyUse[][] {
  const groups: KeyUse[][] = [];
  let room = 0;
  for (const use of uses) {
    const size = JSON.stringify(use).length + 1;
    if (size > room) {
      groups.push([]);
      room = units - 2;
    }
    groups.at(-1)?.push(use);
    room -= size;
  }
  return groups;
}

function lastExpiry(uses: readonly KeyUse[]): number {
  return Math.max(0, ...uses.map((use) => use.at + keyLifetimeMs));
}
