/**
 * Bounds how many calls are under way: the platform lets six wait for their answer, and an object
 * that asks 100,000 others at once is of no use to anybody. Knows nothing of what is asked.
 */
const slots = 6;
/** Of these, what nobody waits for takes so many. */
const backgroundSlots = 4;

type Job = () => Promise<void>;

export class CallSlots {
  readonly #urgent: Job[] = [];
  readonly #background: Job[] = [];
  #running = 0;
  #runningBackground = 0;

  /** Calls in the background that have not begun. */
  get waiting(): number {
    return this.#background.length;
  }

  /** Calls when its turn has come; what somebody waits for goes first. */
  run<Value>(call: () => Promise<Value>, isUrgent: boolean): Promise<Value> {
    return new Promise((resolve, reject) => {
      const job = (): Promise<void> => call().then(resolve, reject);
      (isUrgent ? this.#urgent : this.#background).push(job);
      this.#next();
    });
  }

  #next(): void {
    while (this.#running < slots) {
      const urgent = this.#urgent.shift();
      if (urgent !== undefined) {
        void this.#start(urgent, false);
        continue;
      }
      if (this.#runningBackground >= backgroundSlots) return;
      const background = this.#background.shift();
      if (background === undefined) return;
      void this.#start(background, true);
    }
  }

  async #start(job: Job, isBackground: boolean): Promise<void> {
    this.#running += 1;
    if (isBackground) this.#runningBackground += 1;
    await job();
    this.#running -= 1;
    if (isBackground) this.#runningBackground -= 1;
    this.#next();
  }
}
