/** The messages that one shard knows, by their numbers, and what it has handed to its clients. */
import type { FrameToShard } from "../../../src/protocol/link.ts";
import type { Tally } from "./crowd.ts";

type Batch = Extract<FrameToShard, { type: "batch" }>;

export class Tail {
  /** What each message said its number was; messages after `from` are known. */
  readonly #numbers = new Map<number, number>();
  #from = 0;
  #tally: Tally = { count: 0, sum: 0 };
  #waiting: (() => void)[] = [];

  get from(): number {
    return this.#from;
  }

  get tally(): Tally {
    return this.#tally;
  }

  begin(seq: number): void {
    this.#numbers.clear();
    this.#from = seq;
  }

  /** Takes what a batch has after `position`. */
  push(batch: Batch, position: number): void {
    let { count, sum } = this.#tally;
    for (const [seq, number] of numbersOf(batch)) {
      if (seq <= position) continue;
      this.#numbers.set(seq, number);
      count += 1;
      sum += number;
    }
    this.#tally = { count, sum };
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  /** Messages from before those that are known, as far as they follow on. */
  prepend(frames: readonly FrameToShard[]): void {
    let from = this.#from;
    for (const frame of frames) {
      if (frame.type !== "batch") continue;
      for (const [seq, number] of numbersOf(frame)) {
        if (!this.#numbers.has(seq)) this.#numbers.set(seq, number);
        from = Math.min(from, seq - 1);
      }
    }
    this.#from = from;
  }

  /** What is known of the messages after `after`, up to `through`; what is not known is missing. */
  between(after: number, through: number): Tally {
    let [count, sum] = [0, 0];
    for (let seq = after + 1; seq <= through; seq += 1) {
      const number = this.#numbers.get(seq);
      if (number === undefined) continue;
      count += 1;
      sum += number;
    }
    return { count, sum };
  }

  /** Resolves when the next batch has come. */
  moved(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}

function* numbersOf({ after, entries }: Batch): Generator<[seq: number, number: number]> {
  for (const [index, entry] of entries.entries()) {
    yield [after + 1 + index, Number.parseInt(typeof entry === "string" ? entry : "", 10)];
  }
}
