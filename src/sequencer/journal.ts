/**
 * The sequencer's durable rows: what must outlive the object, and in which form. One batch is one
 * row, written over the row of a batch that nobody needs any more, since a deletion is billed like a
 * write. Decides nothing about order, delivery or what may be forgotten.
 *
 *   meta            the epoch
 *   log/SLOT        a batch; `log/SLOT/PART` the rest of one that is larger than a row may be
 *   keys/NUMBER     idempotency keys that outlived the batches they came with
 *   sub/SHARD       a subscriber
 *   snapshotted     messages after this are not in the newest snapshot
 *   fence/SLOT      the lowest generation that is taken of a slot
 *   over/SHARD      a shard of a former generation that is to be told so: how often that failed
 *   settled         messages up to here were acknowledged by every shard when the links were closed
 */
import * as v from "valibot";
import type { Batch } from "../core/delivery-log.ts";
import { keyLifetimeMs, type KeyUse } from "../core/idempotency.ts";
import type { Storage } from "../core/ports.ts";
import { isShardId, type ShardId } from "../protocol/names.ts";

export type JournaledBatch = Batch & {
  readonly slot: number;
  readonly parts: number;
  readonly keys: readonly KeyUse[];
};

export type SubscriberRow = { readonly subscription: string; readonly seq: number };

export type JournalContents = {
  readonly epoch: string | null;
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

/** Batches whose keys outlive them are gathered into one row when there are this many. */
const retiredLimit = 256;

const keyUseSchema = v.object({
  key: v.string(),
  fingerprint: v.string(),
  first: v.number(),
  seq: v.number(),
  at: v.number(),
  series: v.exactOptional(v.string()),
});
const keysSchema = v.array(keyUseSchema);
const batchRowSchema = v.object({
  after: v.number(),
  through: v.number(),
  at: v.number(),
  parts: v.number(),
  text: v.string(),
});
const metaSchema = v.object({ version: v.literal(1), epoch: v.string() });
const snapshottedSchema = v.object({
  seq: v.number(),
  takenAt: v.nullable(v.number()),
  expiresAt: v.number(),
});
export type SnapshottedRow = v.InferOutput<typeof snapshottedSchema>;
const subscriberSchema = v.object({ subscription: v.string(), seq: v.number() });

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
    const meta = v.safeParse(metaSchema, rows.get("meta"));
    const { stored, head } = readBatches(rows);
    const batches = newestRun(stored, head);
    const gathered = this.#readKeyRows(rows);
    this.#adoptSlots(stored, batches);
    const keys = [...gathered, ...stored.flatMap((batch) => batch.keys)];
    return {
      epoch: meta.success ? meta.output.epoch : null,
      head,
      settled: v.parse(v.optional(v.number(), 0), rows.get("settled")),
      snapshotted: v.parse(
        v.optional(v.nullable(snapshottedSchema), null),
        rows.get("snapshotted"),
      ),
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

  #readKeyRows(rows: ReadonlyMap<string, unknown>): KeyUse[] {
    const all: KeyUse[] = [];
    for (const [name, value] of rows) {
      if (!name.startsWith("keys/")) continue;
      const row = Number(name.slice("keys/".length));
      const uses = v.parse(keysSchema, JSON.parse(v.parse(v.string(), value)));
      this.#keyRows.push({ row, expiresAt: lastExpiry(uses) });
      this.#nextKeyRow = Math.max(this.#nextKeyRow, row + 1);
      all.push(...uses);
    }
    this.#keyRows.sort((one, other) => one.expiresAt - other.expiresAt);
    return all;
  }

  /** Rows outside the newest run were dropped in the former life: free, or retired for their keys. */
  #adoptSlots(stored: readonly JournaledBatch[], run: readonly JournaledBatch[]): void {
    const used = new Set(stored.map((batch) => batch.slot));
    const kept = new Set(run.map((batch) => batch.slot));
    this.#nextSlot = Math.max(-1, ...used) + 1;
    for (let slot = 0; slot < this.#nextSlot; slot += 1) {
      if (!used.has(slot)) this.#freeSlots.push(slot);
    }
    for (const batch of stored) {
      if (kept.has(batch.slot)) continue;
      if (batch.keys.length > 0) this.#retired.push(batch);
      else this.#freeSlots.push(batch.slot);
    }
  }
}

/** Every whole batch, in order. A batch whose parts were freed counts for the head alone. */
function readBatches(rows: ReadonlyMap<string, unknown>): {
  stored: JournaledBatch[];
  head: number;
} {
  const stored: JournaledBatch[] = [];
  let head = 0;
  for (const [name, value] of rows) {
    const match = /^log\/(\d+)$/.exec(name);
    if (match === null) continue;
    const { after, through, at, parts, text } = v.parse(batchRowSchema, value);
    head = Math.max(head, through);
    const texts: unknown[] = [text];
    for (let part = 1; part <= parts; part += 1) texts.push(rows.get(`${name}/${part}`));
    const whole = v.safeParse(v.array(v.string()), texts);
    if (!whole.success) continue;
    const [frame = "", keyText] = whole.output.join("").split("\n");
    const keys = keyText === undefined ? [] : v.parse(keysSchema, JSON.parse(keyText));
    stored.push({ after, through, at, frame, slot: Number(match[1]), parts, keys });
  }
  return { stored: stored.toSorted((one, other) => one.through - other.through), head };
}

function partRows({ slot, parts }: JournaledBatch): string[] {
  return Array.from({ length: parts }, (_, index) => `log/${slot}/${index + 1}`);
}

function newestRun(batches: readonly JournaledBatch[], head: number): readonly JournaledBatch[] {
  if (batches.at(-1)?.through !== head) return [];
  let first = batches.length - 1;
  while (first > 0 && batches[first]?.after === batches[first - 1]?.through) first -= 1;
  return batches.slice(first);
}

function readSubscribers(rows: ReadonlyMap<string, unknown>): Map<ShardId, SubscriberRow> {
  const subscribers = new Map<ShardId, SubscriberRow>();
  for (const [name, value] of rows) {
    const shard = name.startsWith("sub/") ? name.slice("sub/".length) : "";
    if (isShardId(shard)) subscribers.set(shard, v.parse(subscriberSchema, value));
  }
  return subscribers;
}

function readFences(rows: ReadonlyMap<string, unknown>): Map<number, number> {
  const fences = new Map<number, number>();
  for (const [name, value] of rows) {
    if (!name.startsWith("fence/")) continue;
    fences.set(Number(name.slice("fence/".length)), v.parse(v.number(), value));
  }
  return fences;
}

function readOver(rows: ReadonlyMap<string, unknown>): Map<ShardId, number> {
  const over = new Map<ShardId, number>();
  for (const [name, tries] of rows) {
    const shard = name.startsWith("over/") ? name.slice("over/".length) : "";
    // Rows of an older version say only that there is something to tell.
    if (isShardId(shard)) over.set(shard, typeof tries === "number" ? tries : 0);
  }
  return over;
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
