/**
 * The lowest generation that a room takes of each slot: durably, so that a shard whose slot was given to
 * another object is refused by every later life of the sequencer. Knows nothing of links.
 *
 * They outlive the room's disposal, as the objects of former generations do.
 */
import { generationOf, slotOf, type ShardId } from "../protocol/names.ts";
import type { Journal } from "./journal.ts";

export class Fences {
  readonly #journal: Journal;
  #lowest = new Map<number, number>();

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  restore(lowest: ReadonlyMap<number, number>): void {
    this.#lowest = new Map(lowest);
  }

  /** Whether a later generation serves the shard's slot. */
  shutsOut(shard: ShardId): boolean {
    return generationOf(shard) < this.#lowestOf(slotOf(shard));
  }

  /** From now on only this generation and later ones are taken; false when it was so before. */
  raise(shard: ShardId): boolean {
    const [slot, generation] = [slotOf(shard), generationOf(shard)];
    if (generation <= this.#lowestOf(slot)) return false;
    this.#lowest.set(slot, generation);
    this.#journal.writeFence(slot, generation);
    return true;
  }

  #lowestOf(slot: number): number {
    return this.#lowest.get(slot) ?? 1;
  }
}
