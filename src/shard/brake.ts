/**
 * Holds the shard's acknowledgements back while the room is faster than most of the shard's clients,
 * so that writers wait for those who read as fast as they can. Knows nothing of links or clients.
 *
 * A hold ends after a second at the latest: clients may slow a room down and never stop it.
 */
const holdMs = 1_000;

export class Brake {
  #until: number | null = null;

  /** When the hold that there is ends at the latest. */
  get until(): number | null {
    return this.#until;
  }

  /** Whether to hold back what could be acknowledged now. */
  holds(isOverrun: boolean, now: number): boolean {
    if (isOverrun) this.#until ??= now + holdMs;
    if (!isOverrun || this.#until === null || this.#until <= now) this.#until = null;
    return this.#until !== null;
  }

  /** There is nothing to hold back any more. */
  letGo(): void {
    this.#until = null;
  }
}
