/**
 * A question that costs too much to be asked for everybody who wants to know: it is asked once at a
 * time, and whoever comes meanwhile shares the next one, so that no answer is older than its request.
 */
export class SharedQuestion<Answer> {
  readonly #question: () => Promise<Answer>;
  #asking: Promise<Answer> | null = null;
  #next: Promise<Answer> | null = null;

  constructor(question: () => Promise<Answer>) {
    this.#question = question;
  }

  ask(): Promise<Answer> {
    if (this.#asking === null) return this.#start();
    const start = (): Promise<Answer> => this.#start();
    this.#next ??= this.#asking.then(start, start);
    return this.#next;
  }

  #start(): Promise<Answer> {
    this.#next = null;
    const asking = this.#question().finally(() => {
      // Those who share the next one have it started at once.
      if (this.#next === null) this.#asking = null;
    });
    this.#asking = asking;
    return asking;
  }
}
