/**
 * Work of several lanes: in each, one piece after the other, and of those that wait the newest alone.
 * A lane that is stuck delays no other. Knows nothing of the work.
 */
type Work = () => Promise<void>;
type Lane = { readonly running: Promise<void>; waiting: Work | null; next: Promise<void> | null };

export class Lanes {
  readonly #lanes = new Map<string, Lane>();

  /** Resolves when this work, or what came later in its place, is done. */
  run(name: string, work: Work): Promise<void> {
    const lane = this.#lanes.get(name);
    if (lane === undefined) return this.#start(name, work);
    lane.waiting = work;
    const goOn = async (): Promise<void> => {
      this.#lanes.delete(name);
      if (lane.waiting !== null) await this.#start(name, lane.waiting);
    };
    lane.next ??= lane.running.then(goOn, goOn);
    return lane.next;
  }

  #start(name: string, work: Work): Promise<void> {
    const running = work().finally(() => {
      if (this.#lanes.get(name)?.next === null) this.#lanes.delete(name);
    });
    this.#lanes.set(name, { running, waiting: null, next: null });
    return running;
  }
}
