/**
 * What of the recent log is kept for clients on their way in, from when it was found there or read
 * until they are welcomed. Knows nothing of the log or of clients.
 */

/** A client that was let in and not welcomed by then does not come. */
const welcomeMs = 10_000;

export type Hold = { readonly seq: number; until: number };

export class Holds {
  #holds: Hold[] = [];

  /** Keeps everything after `seq` until `ready` or `drop`. */
  take(seq: number): Hold {
    const hold = { seq, until: Infinity };
    this.#holds.push(hold);
    return hold;
  }

  /** What the client lacks is there: from now on its welcome is waited for. */
  ready(hold: Hold, now: number): void {
    hold.until = now + welcomeMs;
  }

  /** The client is not let in. */
  drop(hold: Hold): void {
    hold.until = -Infinity;
  }

  /** A client that was let in at `seq` is welcomed. */
  welcomed(seq: number): void {
    const hold = this.#holds.find((each) => each.seq === seq && each.until < Infinity);
    if (hold !== undefined) this.drop(hold);
  }

  /** Everything after this is kept; `Infinity` when nothing is. */
  lowest(now: number): number {
    if (this.#holds.length === 0) return Infinity;
    this.#holds = this.#holds.filter(({ until }) => until > now);
    return this.#holds.reduce((lowest, { seq }) => Math.min(lowest, seq), Infinity);
  }
}
