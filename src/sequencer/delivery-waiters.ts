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

export class DeliveryWaiters {
  readonly #count: (seq: number) => DeliveryCount;
  #waiters: Waiter[] = [];

  constructor(count: (seq: number) => DeliveryCount) {
    this.#count = count;
  }

  /** Resolves once no shard is owed message `seq` any more, or at `until`. */
  wait(seq: number, now: number): { count: Promise<DeliveryCount>; until: number } {
    const { promise, resolve } = Promise.withResolvers<DeliveryCount>();
    const until = now + waitMs;
    this.#waiters.push({ seq, until, resolve });
    this.check();
    return { count: promise, until };
  }

  /** A shard has acknowledged something, or is no subscriber any more. */
  check(): void {
    if (this.#waiters.length === 0) return;
    this.#resolveWhere((_, count) => count.pending === 0);
  }

  /** Answers everybody with how far it got. */
  finish(): void {
    this.#resolveWhere(() => true);
  }

  expire(now: number): void {
    this.#resolveWhere((waiter) => waiter.until <= now);
  }

  nextDeadline(): number | null {
    const times = this.#waiters.map((waiter) => waiter.until);
    return times.length === 0 ? null : Math.min(...times);
  }

  #resolveWhere(isOver: (waiter: Waiter, count: DeliveryCount) => boolean): void {
    this.#waiters = this.#waiters.filter((waiter) => {
      const count = this.#count(waiter.seq);
      if (!isOver(waiter, count)) return true;
      waiter.resolve(count);
      return false;
    });
  }
}
