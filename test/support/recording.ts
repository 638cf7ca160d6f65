/** What has happened so far, in order, and a way to wait until something has. */
import { patienceMs, within } from "./deadline.ts";

type Waiting = { readonly isSettled: () => boolean; readonly settle: () => void };

export class Recording<Item> {
  readonly #items: Item[] = [];
  readonly #show: (item: Item) => string;
  #hasEnded = false;
  #waiting: Waiting[] = [];

  /** `show` prints an item into the message of a wait that came to nothing. */
  constructor(show: (item: Item) => string) {
    this.#show = show;
  }

  get items(): readonly Item[] {
    return this.#items;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  add(item: Item): void {
    this.#items.push(item);
    this.#check();
  }

  /** Nothing will follow: who still waits is told at once. */
  end(): void {
    this.#hasEnded = true;
    this.#check();
  }

  /** Resolves once `isOver` holds; rejects when it cannot any more, or has not in time. */
  async until(isOver: () => boolean, what: string, ms = patienceMs): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    const isSettled = (): boolean => isOver() || this.#hasEnded;
    const settle = (): void => {
      if (isOver()) resolve(undefined);
      else reject(new Error(`it ended before ${what} came; ${this.#describe()}`));
    };
    if (isSettled()) settle();
    else this.#waiting.push({ isSettled, settle });
    await within(promise, () => `waited for ${what}; ${this.#describe()}`, ms);
  }

  #check(): void {
    const settled = this.#waiting.filter((each) => each.isSettled());
    this.#waiting = this.#waiting.filter((each) => !settled.includes(each));
    for (const each of settled) each.settle();
  }

  #describe(): string {
    const last = this.#items.slice(-5).map(this.#show).join(", ");
    return `${this.#items.length} so far, the last of them ${last}`;
  }
}
