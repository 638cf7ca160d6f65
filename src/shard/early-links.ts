/** Links that opened before the answer to the shard's subscription came, and wait for it. */
import { closeCodes } from "../protocol/close-codes.ts";
import type { IncomingLink } from "./intake.ts";

export class EarlyLinks {
  readonly #links = new Set<IncomingLink>();

  /** `open` runs once there is an answer, unless the link has closed by then. */
  wait(link: IncomingLink, answered: Promise<unknown>, open: (link: IncomingLink) => void): void {
    this.#links.add(link);
    void answered.then(() => {
      if (this.#links.delete(link)) open(link);
    });
  }

  /** Whether the link was one of them. */
  delete(link: IncomingLink): boolean {
    return this.#links.delete(link);
  }

  /** The shard is over. */
  end(): void {
    for (const link of this.#links) link.close(closeCodes.fenced, "the shard is over");
    this.#links.clear();
  }
}
