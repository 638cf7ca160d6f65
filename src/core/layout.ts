/**
 * The layout of a room: its slots, which object serves each, and which are being emptied. Pure; every
 * function gives a new layout. Knows nothing of why a layout changes.
 */
import * as v from "valibot";
import { generationOf, shardId, slotOf, type RoomId, type ShardId } from "../protocol/names.ts";
import type { RoomType } from "./rooms.ts";

const numberSchema = v.pipe(v.number(), v.integer(), v.minValue(1));

const slotSchema = v.object({
  number: numberSchema,
  generation: numberSchema,
  /** `offline`: found dead, and its type has no failover. */
  status: v.picklist(["online", "draining", "offline"]),
  /** When a drain is over, epoch milliseconds. */
  until: v.optional(v.nullable(v.number()), null),
});
/** One object of the room: a slot has one at any time. */
export type Slot = v.InferOutput<typeof slotSchema>;

const layoutSchema = v.object({
  slots: v.pipe(v.array(slotSchema), v.minLength(1)),
  /** Generations that slots begin with which the room had before, by number. */
  next: v.record(v.string(), numberSchema),
  /** How many shards were asked for by hand; `null` when they follow the audience. */
  pinned: v.nullable(numberSchema),
});
export type Layout = v.InferOutput<typeof layoutSchema>;

export function parseLayout(value: unknown): Layout | null {
  const parsed = v.safeParse(layoutSchema, value);
  return parsed.success ? parsed.output : null;
}

/** What a room of the type begins with. */
export function plainLayout({ shards }: RoomType): Layout {
  const slots = Array.from({ length: shards.min }, (_, index) => fresh(index + 1, 1));
  return { slots, next: {}, pinned: null };
}

export function isPlain({ slots, next, pinned }: Layout, { shards }: RoomType): boolean {
  if (pinned !== null || slots.length !== shards.min || Object.keys(next).length > 0) return false;
  return slots.every(
    ({ number, generation, status }, index) =>
      number === index + 1 && generation === 1 && status === "online",
  );
}

export function idOf(room: RoomId, { number, generation }: Slot): ShardId {
  return shardId(room, number, generation);
}

/** Slots that are not being emptied. */
export function servingSlots({ slots }: Layout): Slot[] {
  return slots.filter(({ status }) => status !== "draining");
}

/** The object with this id, while the layout has it. */
export function findSlot({ slots }: Layout, shard: ShardId): Slot | undefined {
  const [number, generation] = [slotOf(shard), generationOf(shard)];
  return slots.find((slot) => slot.number === number && slot.generation === generation);
}

/** The lowest generation of a slot that has not been yet. */
export function nextGeneration({ slots, next }: Layout, number: number): number {
  let generation = next[number] ?? 1;
  for (const slot of slots) {
    if (slot.number === number) generation = Math.max(generation, slot.generation + 1);
  }
  return generation;
}

/**
 * So many shards more, in the lowest slots that nobody has: of those of the type's regions, which slots
 * take in turn, that have the fewest shards.
 */
export function grown(layout: Layout, by: number, { regions }: RoomType): Layout {
  const slots = [...layout.slots];
  const next = { ...layout.next };
  const taken = new Set(slots.map(({ number }) => number));
  const serving = Array.from({ length: Math.max(1, regions.length) }, () => 0);
  const count = (number: number): void => {
    const turn = (number - 1) % serving.length;
    serving[turn] = (serving[turn] ?? 0) + 1;
  };
  for (const { number } of servingSlots(layout)) count(number);
  for (let left = by; left > 0; left -= 1) {
    let number = serving.indexOf(Math.min(...serving)) + 1;
    while (taken.has(number)) number += serving.length;
    taken.add(number);
    count(number);
    slots.push(fresh(number, next[number] ?? 1));
    delete next[number];
  }
  return { ...layout, slots: inOrder(slots), next };
}

/** A fresh object in place of the slot's. One that was draining is not replaced: it leaves. */
export function replaced(layout: Layout, slot: Slot): Layout {
  if (slot.status === "draining") return without(layout, slot);
  const generation = nextGeneration(layout, slot.number);
  return withSlot(layout, slot, fresh(slot.number, generation));
}

export function withStatus(layout: Layout, slot: Slot, status: "online" | "offline"): Layout {
  return withSlot(layout, slot, { ...slot, status, until: null });
}

export function draining(layout: Layout, slot: Slot, until: number): Layout {
  return withSlot(layout, slot, { ...slot, status: "draining", until });
}

/**
 * The slot's object drains, and a fresh one serves in another slot: of one slot the sequencer would shut
 * the former out at once, and its clients would have to go all together.
 */
export function migrating(layout: Layout, slot: Slot, until: number, type: RoomType): Layout {
  return grown(draining(layout, slot, until), 1, type);
}

/** The object has left; should the slot be needed again, its generation rises. */
export function without(layout: Layout, slot: Slot): Layout {
  const generation = nextGeneration(layout, slot.number);
  const slots = layout.slots.filter((each) => each !== slot);
  return { ...layout, slots, next: { ...layout.next, [slot.number]: generation } };
}

/** Nobody may serve by this name, which the layout does not have: its slot goes on after it. */
export function withoutUnnamed(layout: Layout, shard: ShardId): Layout {
  return { ...layout, next: { ...layout.next, [slotOf(shard)]: generationOf(shard) + 1 } };
}

/** An object that serves though the layout did not have it, since its row was lost or is older. */
export function joined(
  layout: Layout,
  shard: ShardId,
  most: number,
  until: number,
): { readonly layout: Layout; readonly slot: Slot } {
  const number = slotOf(shard);
  const next = { ...layout.next };
  delete next[number];
  const others = layout.slots.filter((each) => each.number !== number);
  const isOneTooMany = others.filter(({ status }) => status !== "draining").length >= most;
  const online = fresh(number, generationOf(shard));
  const slot: Slot = isOneTooMany ? { ...online, status: "draining", until } : online;
  return { layout: { ...layout, slots: inOrder([...others, slot]), next }, slot };
}

/** What is left of a layout when nobody is in the room: as many slots as at first. */
export function settled(layout: Layout, { shards }: RoomType): Layout {
  const slots: Slot[] = [];
  const next: Record<string, number> = { ...layout.next };
  for (const { number } of layout.slots) next[number] = nextGeneration(layout, number);
  for (let number = 1; number <= shards.min; number += 1) {
    const kept = layout.slots.find((slot) => slot.number === number && slot.status !== "draining");
    slots.push(fresh(number, kept?.generation ?? next[number] ?? 1));
    delete next[number];
  }
  return { slots, next, pinned: null };
}

/** Of two layouts of one room the newer generations. */
export function merged(one: Layout, other: Layout): Layout {
  const next: Record<string, number> = {};
  for (const layout of [one, other]) {
    const numbers = [...Object.keys(layout.next), ...layout.slots.map(({ number }) => number)];
    for (const number of numbers) {
      const known = layout.slots.findLast((slot) => slot.number === Number(number));
      const isOver = known === undefined || layout.next[number] !== undefined;
      const generation = isOver ? nextGeneration(layout, Number(number)) : known.generation;
      next[number] = Math.max(next[number] ?? 1, generation);
    }
  }
  const slots = one.slots.map((slot) => {
    const newest = one.slots.findLast(({ number }) => number === slot.number);
    const generation = slot === newest ? (next[slot.number] ?? 1) : slot.generation;
    return { ...slot, generation };
  });
  for (const { number } of slots) delete next[number];
  return { slots, next, pinned: one.pinned ?? other.pinned };
}

function fresh(number: number, generation: number): Slot {
  return { number, generation, status: "online", until: null };
}

function withSlot(layout: Layout, slot: Slot, changed: Slot): Layout {
  return { ...layout, slots: layout.slots.map((each) => (each === slot ? changed : each)) };
}

function inOrder(slots: readonly Slot[]): Slot[] {
  return slots.toSorted(
    (one, other) => one.number - other.number || one.generation - other.generation,
  );
}
