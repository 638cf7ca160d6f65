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
export type LayoutFigures = {
  added: number;
  drained: number;
  replaced: number;
  /** With clients that the object which was replaced had still. */
  replacedWithClients: number;
  replacedAmidDrain: number;
  /** The registry's memory was lost before the sequencer had heard of a replacement, or while a shard drained. */
  endedAmidFailover: number;
  endedAmidDrain: number;
};

export class LayoutJudge {
  readonly #room: RoomId;
  readonly #type: RoomType;
  /** Slots that another life of the room in the directory began with are among them. */
  #layout: Layout;
  readonly #hasClients: (shard: ShardId) => boolean;
  /** Objects that serve in place of one that did, of which the sequencer is to hear. */
  readonly #replacements = new Set<string>();
  readonly figures: LayoutFigures = {
    added: 0,
    drained: 0,
    replaced: 0,
    replacedWithClients: 0,
    replacedAmidDrain: 0,
    endedAmidFailover: 0,
    endedAmidDrain: 0,
  };

  constructor(room: RoomId, type: RoomType, hasClients: (shard: ShardId) => boolean) {
    this.#hasClients = hasClients;
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

  /** The registry's memory is gone; these are its durable rows. */
  registryEnded(rows: ReadonlyMap<string, unknown>): void {
    const { figures } = this;
    if ([...rows.keys()].some((key) => key.startsWith("fence/"))) figures.endedAmidFailover += 1;
    if (this.#isDraining) figures.endedAmidDrain += 1;
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
      if (!this.#replacements.has(`${number}~${generation}`)) continue;
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
      this.#countNew(layout, number, generation);
    }
    for (const slot of layout.slots) {
      const before = former.slots.find(
        ({ number, generation }) => number === slot.number && generation === slot.generation,
      );
      if (slot.status === "draining" && before?.status === "online") this.figures.drained += 1;
    }
  }

  #countNew(layout: Layout, number: number, generation: number): void {
    const { figures } = this;
    const before = this.#layout.slots.findLast((slot) => slot.number === number);
    // One that is being emptied leaves later, or with the room.
    const isThere = layout.slots.some(
      (slot) => slot.number === number && slot.generation === before?.generation,
    );
    if (before?.status !== "online" || isThere) figures.added += 1;
    else {
      this.#replacements.add(`${number}~${generation}`);
      figures.replaced += 1;
      if (this.#hasClients(shardId(this.#room, number, before.generation))) {
        figures.replacedWithClients += 1;
      }
      if (this.#isDraining) figures.replacedAmidDrain += 1;
    }
  }

  get #isDraining(): boolean {
    return this.#layout.slots.some(({ status }) => status === "draining");
  }
}
