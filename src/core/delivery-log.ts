/**
 * The delivery log of one room: its latest batches in order, bounded by count, age and bytes. Pure
 * and in memory; knows nothing of rows, links or who reads it.
 */

/** Messages that were taken together: one row of storage, one frame to every shard. */
export type Batch = {
  /** The batch holds every message with `after < seq ≤ through`. */
  readonly after: number;
  readonly through: number;
  /** Epoch milliseconds. */
  readonly at: number;
  /** The encoded link frame, without volatile messages. */
  readonly frame: string;
  /** What the batch costs; when left out, the length of its frame. */
  readonly units?: number;
};

export type LogBounds = {
  readonly messages: number;
  readonly seconds: number;
  /** UTF-16 units of frames kept as history. */
  readonly units: number;
  /** UTF-16 units kept for shards that are behind; past it they lose continuity. */
  readonly backlogUnits: number;
};

export class DeliveryLog<Entry extends Batch = Batch> {
  readonly #bounds: LogBounds;
  #batches: Entry[] = [];
  #units = 0;
  #head = 0;

  constructor(bounds: LogBounds) {
    this.#bounds = bounds;
  }

  /** Takes over an unbroken run of batches; `head` is at least this even when there is none. */
  restore(batches: readonly Entry[], head: number): void {
    this.#batches = [];
    this.#units = 0;
    this.#head = batches[0]?.after ?? head;
    for (const batch of batches) this.append(batch);
  }

  /** Number of the last message ever appended; 0 before the first. */
  get head(): number {
    return this.#head;
  }

  /** The batches kept hold every message after this one. */
  get start(): number {
    return this.#batches[0]?.after ?? this.#head;
  }

  /** `batch.after` must be the head. */
  append(batch: Entry): void {
    if (batch.after !== this.#head) {
      throw new Error(`a batch after ${batch.after} cannot follow message ${this.#head}`);
    }
    this.#batches.push(batch);
    this.#units += unitsOf(batch);
    this.#head = batch.through;
  }

  /**
   * The batches that hold every message after `seq`, the first of them perhaps earlier ones too;
   * `null` when some of those messages are no longer kept or never were.
   */
  since(seq: number): readonly Entry[] | null {
    if (seq === this.#head) return [];
    const first = this.#batches[0];
    if (first === undefined || seq < first.after || seq > this.#head) return null;
    return this.#batches.slice(this.#indexAfter(seq));
  }

  /**
   * The messages that every bound keeps at this moment, whatever else the log still holds: `first` is
   * above `last` when there is none.
   */
  history(now: number): { first: number; last: number } {
    let units = this.#units;
    let after = this.#head;
    for (const batch of this.#batches) {
      if (this.#isHistory(batch, units, now)) {
        after = batch.after;
        break;
      }
      units -= unitsOf(batch);
    }
    const first = Math.max(after, this.#head - this.#bounds.messages) + 1;
    return { first, last: this.#head };
  }

  /**
   * Takes out and returns the batches that no bound keeps and that nobody needs: messages up to
   * `settled` have been acknowledged by every shard. What is needed stays, up to `backlogUnits`.
   */
  trim(now: number, settled: number): Entry[] {
    let count = 0;
    for (const batch of this.#batches) {
      const isNeeded = batch.through > settled && this.#units <= this.#bounds.backlogUnits;
      if (isNeeded || this.#isHistory(batch, this.#units, now)) break;
      this.#units -= unitsOf(batch);
      count += 1;
    }
    return this.#batches.splice(0, count);
  }

  /** `units` are those of this batch and of all that follow it. */
  #isHistory(batch: Batch, units: number, now: number): boolean {
    const { messages, seconds, units: maxUnits } = this.#bounds;
    return (
      batch.through > this.#head - messages && batch.at > now - seconds * 1_000 && units <= maxUnits
    );
  }

  /** Index of the first batch that holds a message after `seq`. */
  #indexAfter(seq: number): number {
    let low = 0;
    let high = this.#batches.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#batches[middle]?.through ?? 0) <= seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function unitsOf({ units, frame }: Batch): number {
  return units ?? frame.length;
}
