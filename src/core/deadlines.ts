/**
 * What a role waits for: named points in time. The role arms its one wake-up with `next()` and asks
 * `due()` when it wakes. Knows nothing of timers.
 */
export class Deadlines<Name extends string> {
  readonly #times = new Map<Name, number>();

  set(name: Name, at: number): void {
    this.#times.set(name, at);
  }

  /** Keeps an earlier time that is already set. */
  setIfUnset(name: Name, at: number): void {
    if (!this.#times.has(name)) this.#times.set(name, at);
  }

  clear(name: Name): void {
    this.#times.delete(name);
  }

  /** The earliest time, or `null` when nothing is waited for. */
  next(): number | null {
    let earliest: number | null = null;
    for (const at of this.#times.values()) {
      if (earliest === null || at < earliest) earliest = at;
    }
    return earliest;
  }

  /** Takes out and returns the names whose time has come. */
  due(now: number): Name[] {
    const due = [...this.#times].filter(([, at]) => at <= now).map(([name]) => name);
    for (const name of due) this.#times.delete(name);
    return due;
  }
}
