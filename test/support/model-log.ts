/** One life of a model room's log, with the room's own memory of idempotency keys. */
import { IdempotencyWindow } from "../../src/core/idempotency.ts";

export type Entry = {
  readonly seq: number;
  readonly data: string;
  readonly topic: string | undefined;
};

export class ModelLog {
  readonly epoch: string;
  readonly entries: Entry[] = [];
  /** Entries up to here are trimmed. */
  trimmed = 0;
  /** What the room itself remembers of idempotency keys. */
  readonly #keys = new IdempotencyWindow();

  constructor(epoch: string) {
    this.epoch = epoch;
  }

  get last(): number {
    return this.entries.length;
  }

  append(data: string, topic: string | undefined): number {
    const seq = this.last + 1;
    this.entries.push({ seq, data, topic });
    return seq;
  }

  /** The number of a message with a key, or `null` where the key is one that was long answered. */
  appendOnce(data: string, topic: string | undefined, key: string, series?: string): number | null {
    const known = this.#keys.find(key);
    if (known !== undefined) return known.seq;
    if (this.#keys.isForgotten(key, series)) return null;
    const seq = this.append(data, topic);
    const use = { key, fingerprint: data, first: seq, seq, at: 0 };
    this.#keys.add(series === undefined ? use : { ...use, series });
    return seq;
  }
}
