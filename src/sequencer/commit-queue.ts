/**
 * Group commit: writes that wait, and when the next batch may start. What arrives while a batch is
 * under way becomes the next batch, so that one row and one frame a shard carry many writes. Knows
 * nothing of what a write is, of rows or of links.
 *
 * A batch is under way until it is durable and half of the shards that were sent it have
 * acknowledged it: all of them being slow holds writers back, one of them being stuck does not. Far
 * shards must not cost a round trip a batch, so after `pipelineMs` the next one may start anyway,
 * `maxOpenBatches` deep. That is more than a shard needs to hand a batch to a thousand sockets, some
 * 20 ms: a batch that starts sooner only waits at shards that are busy, and makes small ones of what
 * would have been one.
 */
const pipelineMs = 25;
const maxOpenBatches = 4;
/** Nobody acknowledges volatile messages: batches of these alone start so long after each other. */
const volatileMs = 5;
/** A batch that half of the shards have not acknowledged by then no longer holds the next one. */
const openBatchMs = 1_000;
/** UTF-16 units of a batch; a single write may be larger and then is a batch of its own. */
const maxBatchUnits = 512 * 1024;
/** Bounds of what waits; past either, writers are refused. */
const maxWaitingWrites = 20_000;
const maxWaitingUnits = 16 * 1024 * 1024;

type OpenBatch = { readonly through: number; readonly startedAt: number; missing: number };

export class CommitQueue<Write extends { readonly units: number }> {
  #waiting: Write[] = [];
  #waitingUnits = 0;
  #isStoring = false;
  #notBefore = 0;
  /** Batches that too few shards have acknowledged, oldest first. */
  #open: OpenBatch[] = [];

  get isFull(): boolean {
    return this.#waiting.length >= maxWaitingWrites || this.#waitingUnits >= maxWaitingUnits;
  }

  add(write: Write): void {
    this.#waiting.push(write);
    this.#waitingUnits += write.units;
  }

  /** Takes out everything that waits: the room begins anew. */
  clear(): Write[] {
    this.#waitingUnits = 0;
    this.#notBefore = 0;
    this.#open = [];
    return this.#waiting.splice(0);
  }

  canStart(now: number): boolean {
    if (this.#waiting.length === 0 || this.#isStoring || now < this.#notBefore) return false;
    while (this.#open[0] !== undefined && this.#open[0].startedAt + openBatchMs <= now) {
      this.#open.shift();
    }
    const newest = this.#open.at(-1);
    if (newest === undefined) return true;
    return this.#open.length < maxOpenBatches && newest.startedAt + pipelineMs <= now;
  }

  /** When `canStart` may turn true by time alone, or `null`. */
  nextDeadline(): number | null {
    const newest = this.#open.at(-1);
    const oldest = this.#open[0];
    if (this.#waiting.length === 0 || this.#isStoring) return null;
    if (newest === undefined || oldest === undefined) return this.#notBefore;
    const paced = Math.max(this.#notBefore, newest.startedAt + pipelineMs);
    return this.#open.length < maxOpenBatches
      ? paced
      : Math.max(paced, oldest.startedAt + openBatchMs);
  }

  /** Takes out the writes of the next batch, in order of arrival. */
  take(): Write[] {
    let units = 0;
    let count = 0;
    for (const write of this.#waiting) {
      if (count > 0 && units + write.units > maxBatchUnits) break;
      units += write.units;
      count += 1;
    }
    this.#waitingUnits -= units;
    this.#isStoring = true;
    return this.#waiting.splice(0, count);
  }

  /** The batch went out to so many shards that are expected to acknowledge at once. */
  sent(through: number, now: number, shards: number): void {
    if (shards > 0) this.#open.push({ through, startedAt: now, missing: Math.ceil(shards / 2) });
  }

  /** The batch held volatile messages alone, which nobody acknowledges: only time paces those. */
  sentVolatile(now: number): void {
    this.#notBefore = now + volatileMs;
  }

  /** The batch is durable. */
  stored(): void {
    this.#isStoring = false;
  }

  /** One of those shards has acknowledged everything up to `acked` that it had not before. */
  acknowledged(before: number, acked: number): void {
    for (const batch of this.#open) {
      if (batch.through > before && batch.through <= acked) batch.missing -= 1;
    }
    this.#open = this.#open.filter((batch) => batch.missing > 0);
  }
}
