/**
 * The newest snapshot of every room: stored in parts, checked, replaced as a whole, and dropped when
 * its lifetime is over. Knows nothing of what a snapshot means.
 *
 *   snapshot/ROOM                      what is known of the newest one, and of one on its way
 *   snapshot-part/ROOM/ID/PART/SLICE   its text
 *
 * The rows of the new parts are written under an id of their own; one row makes them the snapshot.
 * Whenever the object dies, the older snapshot is whole, and what is left of the newer is dropped.
 */
import * as v from "valibot";
import { piecesOf } from "../core/pieces.ts";
import type { Clock, Entropy, Storage } from "../core/ports.ts";
import { positionSchema, type Position } from "../protocol/link.ts";
import { isRoomId, type RoomId } from "../protocol/names.ts";
import { failure, success, type Result } from "../protocol/result.ts";
import {
  digestOf,
  maxSnapshotUnits,
  snapshotPartUnits,
  type SnapshotInfo,
} from "../protocol/snapshot.ts";
import { SnapshotDeadlines } from "./snapshot-deadlines.ts";

export const snapshotPrefix = "snapshot/";
export const partPrefix = "snapshot-part/";
/** UTF-16 units of text that go to another partition in one call. */
const exportUnits = 1024 * 1024;
const digestPattern = /^[0-9a-f]{64}$/;
/** A snapshot that is not finished by then is given up. */
const unfinishedMs = 120_000;
const nearMs = 60_000;
/** For so long no timed one takes its place, or large ones would supersede each other. */
const undisturbedMs = 10_000;

/** `slices`: rows of each part; 0 for one that has not come. */
const storedSchema = v.object({
  id: v.string(),
  position: positionSchema,
  digests: v.array(v.string()),
  takenAt: v.number(),
  expiresAt: v.number(),
  size: v.number(),
  slices: v.array(v.number()),
});
type Stored = v.InferOutput<typeof storedSchema>;
const rowSchema = v.object({
  newest: v.nullable(storedSchema),
  /** On its way: its rows are dropped when it comes to nothing. */
  next: v.nullable(storedSchema),
});
type Row = v.InferOutput<typeof rowSchema>;

export type SnapshotsOwner = {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly storage: Storage;
  readonly wakeAt: (at: number) => void;
};

export class Snapshots {
  readonly #owner: SnapshotsOwner;
  readonly #rows = new Map<RoomId, Row>();
  readonly #deadlines = new SnapshotDeadlines();

  private constructor(owner: SnapshotsOwner) {
    this.#owner = owner;
  }

  static async start(owner: SnapshotsOwner): Promise<Snapshots> {
    const snapshots = new Snapshots(owner);
    for (const [key, value] of await owner.storage.list(snapshotPrefix)) {
      const room = key.slice(snapshotPrefix.length);
      const row = v.safeParse(rowSchema, value);
      if (!isRoomId(room) || !row.success) continue;
      snapshots.#rows.set(room, row.output);
      snapshots.#watch(room, row.output);
    }
    return snapshots;
  }

  begin(
    room: RoomId,
    position: Position,
    digests: readonly string[],
    lifetimeMs: number,
    isTimed = false,
  ): Result<{ readonly id: string }> {
    if (digests.length * snapshotPartUnits > maxSnapshotUnits + snapshotPartUnits) return tooLarge;
    if (digests.length === 0 || !digests.every((each) => digestPattern.test(each))) {
      return failure("malformed-call", "digests must be SHA-256 in hexadecimal, one for each part");
    }
    const { newest, next } = this.#row(room);
    if (newest !== null && !isNewer(position, newest.position)) {
      return failure("snapshot-stale", "the room has a snapshot of this position or a later one");
    }
    const now = this.#owner.clock.now();
    if (next !== null && isInTheWay(next, position, isTimed, now)) {
      return failure("snapshot-stale", "a snapshot of the room is on its way");
    }
    if (next !== null) this.#deleteParts(room, next);
    const id = this.#owner.entropy.id();
    const slices = digests.map(() => 0);
    const begun = { id, position, digests: [...digests], takenAt: now, size: 0, slices };
    this.#write(room, { newest, next: { ...begun, expiresAt: now + lifetimeMs } });
    this.#owner.wakeAt(now + unfinishedMs);
    return success({ id });
  }

  /** One that comes twice is written twice. */
  async part(room: RoomId, id: string, index: number, text: string): Promise<Result<null>> {
    const digest = await digestOf(text);
    const { newest, next } = this.#row(room);
    if (next?.id !== id) return superseded;
    if (text.length > snapshotPartUnits) return tooLarge;
    if (next.digests[index] !== digest) {
      return failure("snapshot-damaged", `part ${index} is not what its digest says`);
    }
    const rows: Record<string, string> = {};
    const slices = piecesOf(text, this.#owner.storage.maxTextUnits);
    for (const [slice, piece] of slices.entries()) rows[partKey(room, id, index, slice)] = piece;
    this.#owner.storage.put(rows);
    const isNew = next.slices[index] === 0;
    const size = next.size + (isNew ? text.length : 0);
    const counts = next.slices.with(index, slices.length);
    this.#write(room, { newest, next: { ...next, size, slices: counts } });
    return success(null);
  }

  commit(room: RoomId, id: string): Result<SnapshotInfo> {
    const { newest, next } = this.#row(room);
    // The answer to a first call may have been lost.
    if (newest?.id === id) return success(info(newest));
    if (next?.id !== id) return superseded;
    const missing = next.slices.indexOf(0);
    if (missing !== -1) return failure("snapshot-damaged", `part ${missing} has not come`);
    this.#write(room, { newest: next, next: null });
    if (newest !== null) this.#deleteParts(room, newest);
    this.#owner.wakeAt(next.expiresAt);
    return success(info(next));
  }

  newest(room: RoomId): Result<SnapshotInfo> {
    const { newest } = this.#row(room);
    const isAlive = newest !== null && newest.expiresAt > this.#owner.clock.now();
    return isAlive ? success(info(newest)) : none;
  }

  async read(room: RoomId, id: string, index: number): Promise<Result<{ readonly text: string }>> {
    const stored = this.#row(room).newest;
    if (stored?.id !== id) return superseded;
    const rows = await this.#owner.storage.list(`${partName(room, id, index)}/`);
    const text = [...rows.values()].map(String).join("");
    if (rows.size !== stored.slices[index] || (await digestOf(text)) !== stored.digests[index]) {
      // It may have been replaced meanwhile.
      if (this.#row(room).newest?.id !== id) return superseded;
      return failure("snapshot-damaged", `part ${index} is not what was written`);
    }
    return success({ text });
  }

  /** Rooms with a snapshot, or one on its way. */
  rooms(): RoomId[] {
    return [...this.#rows.keys()];
  }

  /** The rows of the newest snapshot for another partition, a bounded amount at a time. */
  async *export(room: RoomId): AsyncGenerator<Record<string, unknown>, void> {
    const { newest } = this.#row(room);
    if (newest === null) return;
    let rows: Record<string, unknown> = {};
    let units = 0;
    for (const index of newest.slices.keys()) {
      const part = await this.#owner.storage.list(`${partName(room, newest.id, index)}/`);
      for (const [key, text] of part) {
        const length = String(text).length;
        if (units > 0 && units + length > exportUnits) {
          yield rows;
          rows = {};
          units = 0;
        }
        rows[key] = text;
        units += length;
      }
    }
    yield rows;
    // Last, when all that it stands for is there.
    yield { [snapshotPrefix + room]: { newest, next: null } satisfies Row };
  }

  /** Text from another partition, of a snapshot whose row is still to come. */
  adoptPart(key: string, text: unknown): void {
    // Rows of a partition whose values may be larger than here cannot come: all run on one host.
    this.#owner.storage.put({ [key]: text });
  }

  /** A snapshot from another partition, unless there is a newer one. */
  adopt(room: RoomId, value: unknown): void {
    const parsed = v.safeParse(rowSchema, value);
    const adopted = parsed.success ? parsed.output.newest : null;
    if (adopted === null) return;
    const { newest, next } = this.#row(room);
    if (newest?.id === adopted.id) return;
    if (newest !== null && !isNewer(adopted.position, newest.position)) {
      this.#deleteParts(room, adopted);
      return;
    }
    if (newest !== null) this.#deleteParts(room, newest);
    this.#write(room, { newest: adopted, next });
    this.#owner.wakeAt(adopted.expiresAt);
  }

  drop(room: RoomId): void {
    const { newest, next } = this.#row(room);
    for (const stored of [newest, next]) if (stored !== null) this.#deleteParts(room, stored);
    if (this.#rows.has(room)) this.#write(room, { newest: null, next: null });
  }

  /** Drops what has expired or was never finished. */
  wake(now: number): void {
    for (;;) {
      const room = this.#deadlines.take(now);
      if (room === undefined) return;
      this.#lookAt(room, this.#row(room), now);
    }
  }

  /** A timer for what is further away would keep an idle object from sleeping: an alarm comes then. */
  nextDeadline(): number | null {
    const next = this.#deadlines.next();
    return next === null || next > this.#owner.clock.now() + nearMs ? null : next;
  }

  nextDurableDeadline(): number | null {
    return this.#deadlines.next();
  }

  #lookAt(room: RoomId, { newest, next }: Row, now: number): void {
    const isOver = newest !== null && newest.expiresAt <= now;
    const isLeft = next !== null && next.takenAt + unfinishedMs <= now;
    if (isOver) this.#deleteParts(room, newest);
    if (isLeft) this.#deleteParts(room, next);
    const row = { newest: isOver ? null : newest, next: isLeft ? null : next };
    if (isOver || isLeft) this.#write(room, row);
    else this.#watch(room, row);
  }

  #watch(room: RoomId, { newest, next }: Row): void {
    const unfinishedAt = next === null ? null : next.takenAt + unfinishedMs;
    this.#deadlines.set(room, newest?.expiresAt ?? null, unfinishedAt);
  }

  #row(room: RoomId): Row {
    return this.#rows.get(room) ?? { newest: null, next: null };
  }

  #write(room: RoomId, row: Row): void {
    if (row.newest === null && row.next === null) {
      this.#rows.delete(room);
      this.#watch(room, row);
      this.#owner.storage.delete([snapshotPrefix + room]);
      return;
    }
    this.#rows.set(room, row);
    this.#watch(room, row);
    this.#owner.storage.put({ [snapshotPrefix + room]: row });
  }

  #deleteParts(room: RoomId, { id, slices }: Stored): void {
    const keys = slices.flatMap((count, index) =>
      Array.from({ length: count }, (_, slice) => partKey(room, id, index, slice)),
    );
    this.#owner.storage.delete(keys);
  }
}

const none = failure("not-found", "the room has no snapshot");
const superseded = failure("snapshot-superseded", "another snapshot has taken its place");
const tooLarge = failure(
  "snapshot-too-large",
  `a snapshot must not exceed ${maxSnapshotUnits} characters of text`,
);

/** Whether the one on its way stays. One that somebody asked for does not wait. */
function isInTheWay(next: Stored, by: Position, isTimed: boolean, now: number): boolean {
  const ageMs = now - next.takenAt;
  if (isTimed && ageMs < undisturbedMs && by.epoch === next.position.epoch) return true;
  return ageMs < unfinishedMs && !isNewer(by, next.position);
}

/** A snapshot of another life of the room stands for nothing that this life knows. */
function isNewer(position: Position, than: Position): boolean {
  return position.epoch === than.epoch ? position.seq > than.seq : position.epoch > than.epoch;
}

function info({ id, position, digests, takenAt, expiresAt, size }: Stored): SnapshotInfo {
  return { id, position, digests, takenAt, expiresAt, size };
}

function partName(room: RoomId, id: string, index: number): string {
  return `${partPrefix}${room}/${id}/${String(index).padStart(4, "0")}`;
}

function partKey(room: RoomId, id: string, index: number, slice: number): string {
  return `${partName(room, id, index)}/${String(slice).padStart(4, "0")}`;
}
