/**
 * The forms of the sequencer's durable rows, and what of a former life's can be read. Writes nothing, and
 * decides nothing of what they say.
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
import type { KeyUse } from "../core/idempotency.ts";
import { isShardId, type ShardId } from "../protocol/names.ts";

export type JournaledBatch = Batch & {
  readonly slot: number;
  readonly parts: number;
  readonly keys: readonly KeyUse[];
};

export type SubscriberRow = { readonly subscription: string; readonly seq: number };

/** The log's rows of a former life. */
type StoredLog = {
  /** Every whole batch, in order. */
  readonly stored: readonly JournaledBatch[];
  /** Number of the last message, also of a batch whose parts were freed. */
  readonly head: number;
  /** Slots below this one are used, or were. */
  readonly slots: number;
  /** A row cannot be read: nobody knows which messages it held. */
  readonly isDamaged: boolean;
};

type Rows = ReadonlyMap<string, unknown>;

const keyUseSchema = v.object({
  key: v.string(),
  fingerprint: v.string(),
  first: v.number(),
  seq: v.number(),
  at: v.number(),
  series: v.exactOptional(v.string()),
});
const keysSchema = v.pipe(v.string(), v.parseJson(), v.array(keyUseSchema));
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

/** `null` in a room that never was; `isDamaged` when there is one that cannot be read. */
export function readEpoch(rows: Rows): { epoch: string | null; isDamaged: boolean } {
  const meta = v.safeParse(metaSchema, rows.get("meta"));
  return {
    epoch: meta.success ? meta.output.epoch : null,
    isDamaged: rows.has("meta") && !meta.success,
  };
}

export function readLogRows(rows: Rows): StoredLog {
  const stored: JournaledBatch[] = [];
  let [head, slots, isDamaged] = [0, 0, false];
  for (const [name, value] of rows) {
    const match = /^log\/(\d+)$/.exec(name);
    if (match === null) continue;
    const slot = Number(match[1]);
    slots = Math.max(slots, slot + 1);
    const row = v.safeParse(batchRowSchema, value);
    if (!row.success) {
      isDamaged = true;
      continue;
    }
    const { after, through, at, parts, text } = row.output;
    head = Math.max(head, through);
    const texts: unknown[] = [text];
    for (let part = 1; part <= parts; part += 1) texts.push(rows.get(`${name}/${part}`));
    const whole = v.safeParse(v.array(v.string()), texts);
    if (!whole.success) continue;
    const [frame = "", keyText] = whole.output.join("").split("\n");
    stored.push({ after, through, at, frame, slot, parts, keys: readKeys(keyText ?? "[]") });
  }
  stored.sort((one, other) => one.through - other.through);
  return { stored, head, slots, isDamaged };
}

/** The unbroken run of batches that ends with the newest. */
export function newestRun({ stored, head }: StoredLog): readonly JournaledBatch[] {
  if (stored.at(-1)?.through !== head) return [];
  let first = stored.length - 1;
  while (first > 0 && stored[first]?.after === stored[first - 1]?.through) first -= 1;
  return stored.slice(first);
}

/** The rows of gathered keys, by number. */
export function readKeyRows(rows: Rows): Map<number, readonly KeyUse[]> {
  const all = new Map<number, readonly KeyUse[]>();
  for (const [number, value] of numbered(rows, "keys/")) all.set(number, readKeys(value));
  return all;
}

export function readSettled(rows: Rows): number {
  return v.parse(v.fallback(v.number(), 0), rows.get("settled"));
}

export function readSnapshotted(rows: Rows): SnapshottedRow | null {
  const row = v.safeParse(snapshottedSchema, rows.get("snapshotted"));
  return row.success ? row.output : null;
}

export function readSubscribers(rows: Rows): Map<ShardId, SubscriberRow> {
  const subscribers = new Map<ShardId, SubscriberRow>();
  for (const [name, value] of rows) {
    const shard = name.startsWith("sub/") ? name.slice("sub/".length) : "";
    if (!isShardId(shard)) continue;
    const row = v.safeParse(subscriberSchema, value);
    // A shard that is asked says itself what it has, or that it wants nothing.
    subscribers.set(shard, row.success ? row.output : { subscription: "", seq: 0 });
  }
  return subscribers;
}

export function readFences(rows: Rows): Map<number, number> {
  const fences = new Map<number, number>();
  for (const [slot, generation] of numbered(rows, "fence/")) {
    if (typeof generation === "number") fences.set(slot, generation);
  }
  return fences;
}

export function readOver(rows: Rows): Map<ShardId, number> {
  const over = new Map<ShardId, number>();
  for (const [name, tries] of rows) {
    const shard = name.startsWith("over/") ? name.slice("over/".length) : "";
    // Rows of an older version say only that there is something to tell.
    if (isShardId(shard)) over.set(shard, typeof tries === "number" ? tries : 0);
  }
  return over;
}

function* numbered(rows: Rows, prefix: string): Iterable<[number: number, value: unknown]> {
  for (const [name, value] of rows) {
    if (name.startsWith(prefix)) yield [Number(name.slice(prefix.length)), value];
  }
}

/** Without keys that cannot be read a repetition may count twice, and the room goes on. */
function readKeys(text: unknown): readonly KeyUse[] {
  const keys = v.safeParse(keysSchema, text);
  return keys.success ? keys.output : [];
}
