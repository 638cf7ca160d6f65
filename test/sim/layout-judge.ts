/**
 * Whether the registry's layouts of a room follow from each other: an object that has left its slot never
 * serves again, and there are as many shards as there may be. Reads durable rows alone.
 */
import {
  nextGeneration,
  parseLayout,
  plainLayout,
  servingSlots,
  type Layout,
} from "../../src/core/layout.ts";
import type { RoomType } from "../../src/core/rooms.ts";
import { shardId, type RoomId, type ShardId } from "../../src/protocol/names.ts";
import { layoutPrefix } from "../../src/registry/layouts.ts";
import { Violation } from "./environment.ts";
import type { Rows } from "./storage.ts";

/** What there was of each, for those who want to know what schedules bring about. */
export type LayoutFigures = { replaced: number; drained: number; added: number };

export class LayoutJudge {
  readonly #room: RoomId;
  readonly #type: RoomType;
  /** Slots that another life of the room in the directory began with are among them. */
  #layout: Layout;
  readonly figures: LayoutFigures = { replaced: 0, drained: 0, added: 0 };

  constructor(room: RoomId, type: RoomType) {
    this.#room = room;
    this.#type = type;
    this.#layout = plainLayout(type);
  }

  /** Every object that the layout has, in order. */
  get shards(): ShardId[] {
    return this.#layout.slots.map((slot) => shardId(this.#room, slot.number, slot.generation));
  }

  /** Rows of the registry have become durable, all at once. */
  stored(puts: readonly Rows[]): void {
    const written = puts.map((rows) => rows[layoutPrefix + this.#room]);
    const value = written.findLast((each) => each !== undefined);
    if (value === undefined) return;
    const layout = parseLayout(value);
    if (layout === null) throw new Violation("AS4", "the row of the layout cannot be read");
    this.#checkCount(layout);
    this.#checkGenerations(layout);
    this.#layout = layout;
  }

  /** Everything that could happen has happened. `sequencer`: its durable rows. */
  checkRest(sequencer: ReadonlyMap<string, unknown>, occupied: ReadonlySet<ShardId>): void {
    const layout = this.#layout;
    const shards = new Set(this.shards);
    for (const shard of occupied) {
      if (!shards.has(shard)) throw new Violation("GD4", `${shard} has clients and has left`);
    }
    if (occupied.size === 0) return;
    for (const { number, status } of layout.slots) {
      if (status === "draining") throw new Violation("AS5", `slot ${number} drains for ever`);
    }
    for (const { number, generation } of layout.slots) {
      const fence = Number(sequencer.get(`fence/${number}`) ?? 1);
      if (fence >= generation) continue;
      const what = `the sequencer takes ${fence} of slot ${number}, not ${generation}`;
      throw new Violation("FO5", what);
    }
  }

  #checkCount(layout: Layout): void {
    const { min, max } = this.#type.shards;
    const count = servingSlots(layout).length;
    if (count >= min && count <= max) return;
    throw new Violation("AS3", `the room has ${count} shards, not ${min} to ${max}`);
  }

  #checkGenerations(layout: Layout): void {
    const former = this.#layout;
    for (const { number, generation } of layout.slots) {
      const isKnown = former.slots.some(
        (slot) => slot.number === number && slot.generation === generation,
      );
      if (isKnown) continue;
      const lowest = nextGeneration(former, number);
      if (generation < lowest) {
        throw new Violation("FO1", `slot ${number} goes back to generation ${generation}`);
      }
      const before = former.slots.find((slot) => slot.number === number);
      if (before === undefined) this.figures.added += 1;
      else this.figures.replaced += 1;
    }
    for (const slot of layout.slots) {
      const before = former.slots.find(
        ({ number, generation }) => number === slot.number && generation === slot.generation,
      );
      if (slot.status === "draining" && before?.status === "online") this.figures.drained += 1;
    }
  }
}
