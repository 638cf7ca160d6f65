/**
 * Publishers that wait until every shard has their message. Knows nothing of how delivery goes on.
 */
import type { DeliveryCount } from "../protocol/calls.ts";

/** How long a publisher waits at most; then its answer says what is still pending. */
const waitMs = 5_000;

type Waiter = {
  readonly seq: number;
  readonly until: number;
  readonly resolve: (count: DeliveryCount) => void;
};

/** How far the room's shards have got. */
export type Progress = {
  /** Which of them have message `seq`. */
  readonly count: (seq: number) => DeliveryCount;
  /** All of them have every message up to here. */
  readonly lowest: () => number;
};

export class DeliveryWaiters {
  readonly #progress: Progress;
  /** In the order of their messages, so that those who have waited long enough are the first. */
  #waiters: Waiter[] = [];

  constructor(progress: Progress) {
    this.#progress = progress;
  }

  /** Resolves once no shard is owed message `seq` any more, or at `until`. */
  wait(seq: number, now: number): { count: Promise<DeliveryCount>; until: number } {
    const { promise, resolve } = Promise.withResolvers<DeliveryCount>();
    const until = now + waitMs;
    const place = this.#waiters.findLastIndex((waiter) => waiter.seq <= seq) + 1;
    this.#waiters.splice(place, 0, { seq, until, resolve });
    this.check();
    return { count: promise, until };
  }

  /** A shard has acknowledged something, or is no subscriber any more. */
  check(): void {
    const [first] = this.#waiters;
    if (first === undefined) return;
    const lowest = this.#progress.lowest();
    if (first.seq > lowest) return;
    const pending = this.#waiters.findIndex(({ seq }) => seq > lowest);
    const done = this.#waiters.splice(0, pending === -1 ? this.#waiters.length : pending);
    // What all have, all have: one count serves everybody.
    const count = this.#progress.count(first.seq);
    for (const { resolve } of done) resolve(count);
  }

  /** Answers everybody with how far it got. */
  finish(): void {
    this.#resolveWhere(() => true);
  }

  expire(now: number): void {
    this.#resolveWhere((waiter) => waiter.until <= now);
  }

  nextDeadline(): number | null {
    if (this.#waiters.length === 0) return null;
    return this.#waiters.reduce((earliest, { until }) => Math.min(earliest, until), Infinity);
  }

  #resolveWhere(isOver: (waiter: Waiter) => boolean): void {
    this.#waiters = this.#waiters.filter((waiter) => {
      if (!isOver(waiter)) return true;
      waiter.resolve(this.#progress.count(waiter.seq));
      return false;
    });
  }
}
