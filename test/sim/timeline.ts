/**
 * Virtual time: events in the order of their times, and the settling of promises between them. Knows
 * nothing of what the events do. What is random about the order is in the delays that callers choose.
 */
export type Timer = { cancel(): void };

type Event = { readonly at: number; readonly order: number; run: (() => void) | null };

/** 2027-01-15T08:00:00Z: any moment, as long as it is always the same. */
const startOfTime = 1_800_000_000_000;
/** Longest chain of promises between two events of one object, with room to spare. */
const turns = 40;
/** A world in which more than this happens at a stretch goes round in circles. */
const maxSteps = 50_000;
/** The gate reads request bodies, whose chains are longer. */
const turnsAtRest = 400;

export class Timeline {
  #time = startOfTime;
  #order = 0;
  #events: Event[] = [];
  /** Events run so far. */
  steps = 0;

  /** Epoch milliseconds. */
  get now(): number {
    return Math.floor(this.#time);
  }

  after(delayMs: number, run: () => void): Timer {
    return this.at(this.#time + delayMs, run);
  }

  /** Events of the same moment run in the order in which they were made. */
  at(time: number, run: () => void): Timer {
    const event: Event = { at: Math.max(time, this.#time), order: this.#order, run };
    this.#order += 1;
    this.#push(event);
    return { cancel: () => (event.run = null) };
  }

  /** Resolves after so many virtual milliseconds. */
  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => void this.after(delayMs, resolve));
  }

  /** What comes of `work`, or `null` after so many virtual milliseconds. */
  async within<Value>(
    delayMs: number,
    work: (signal: AbortSignal) => Promise<Value>,
  ): Promise<Value | null> {
    const controller = new AbortController();
    const { promise: late, resolve } = Promise.withResolvers<null>();
    const timer = this.after(delayMs, () => {
      controller.abort();
      resolve(null);
    });
    try {
      return await Promise.race([work(controller.signal), late]);
    } finally {
      timer.cancel();
    }
  }

  /** Runs what happens within so many milliseconds; `check` follows every event. */
  async advance(delayMs: number, check: () => void): Promise<void> {
    const until = this.#time + delayMs;
    const limit = this.steps + maxSteps;
    for (;;) {
      await settle(turns);
      const next = this.#events[0];
      if (next === undefined || next.at > until) break;
      if (this.steps >= limit) throw new Error(`more than ${maxSteps} events in ${delayMs} ms`);
      await this.#step(check);
    }
    this.#time = until;
    await settle(turnsAtRest);
  }

  /** Runs until nothing more happens, or nothing for so long. */
  async rest(check: () => void, quietMs = Infinity): Promise<void> {
    const limit = this.steps + maxSteps;
    for (;;) {
      await settle(this.#events.length === 0 ? turnsAtRest : turns);
      const next = this.#events[0];
      if (next === undefined || next.at > this.#time + quietMs) return;
      if (this.steps >= limit) throw new Error(`no rest after ${maxSteps} events`);
      await this.#step(check);
    }
  }

  async #step(check: () => void): Promise<void> {
    const event = this.#pop();
    if (event?.run === null || event === undefined) return;
    this.#time = event.at;
    this.steps += 1;
    event.run();
    await settle(turns);
    check();
  }

  #push(event: Event): void {
    const events = this.#events;
    let index = events.length;
    events.push(event);
    while (index > 0) {
      const parent = (index - 1) >>> 1;
      const above = events[parent];
      if (above === undefined || !isBefore(event, above)) break;
      events[index] = above;
      index = parent;
    }
    events[index] = event;
  }

  #pop(): Event | undefined {
    const events = this.#events;
    const [first] = events;
    const last = events.pop();
    if (first === undefined || last === undefined || events.length === 0) return first;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      const [left, right] = [events[child], events[child + 1]];
      if (left === undefined) break;
      if (right !== undefined && isBefore(right, left)) child += 1;
      const smaller = events[child];
      if (smaller === undefined || !isBefore(smaller, last)) break;
      events[index] = smaller;
      index = child;
    }
    events[index] = last;
    return first;
  }
}

/** Awaiting it takes one turn of the microtask queue. */
const nothing = Promise.resolve();

function isBefore(one: Event, other: Event): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order);
}

async function settle(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await nothing;
}
