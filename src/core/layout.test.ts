import fc from "fast-check";
import { expect, test } from "vitest";
import type { RoomId, ShardId } from "../protocol/names.ts";
import {
  draining,
  findSlot,
  grown,
  idOf,
  isPlain,
  joined,
  merged,
  migrating,
  nextGeneration,
  parseLayout,
  plainLayout,
  replaced,
  servingSlots,
  settled,
  without,
  withStatus,
  type Layout,
  type Slot,
} from "./layout.ts";
import { defineRooms } from "./rooms.ts";

const room = "lobby" as RoomId;

function typeOf(min: number, max: number) {
  const type = defineRooms({ default: { shards: { min, max } } }).type("default");
  if (type === undefined) throw new Error("no type");
  return type;
}

const two = typeOf(2, 8);
const ids = (layout: Layout): string[] => layout.slots.map((slot) => idOf(room, slot));

function slotOf(layout: Layout, shard: string): Slot {
  const slot = findSlot(layout, shard as ShardId);
  if (slot === undefined) throw new Error(`no ${shard}`);
  return slot;
}

test("AS4 a room begins with the fewest shards, and grows by the lowest slots that are free", () => {
  const plain = plainLayout(two);
  expect(ids(plain)).toEqual(["lobby-1", "lobby-2"]);
  expect(isPlain(plain, two)).toBe(true);
  const more = grown(plain, 2, two);
  expect(ids(more)).toEqual(["lobby-1", "lobby-2", "lobby-3", "lobby-4"]);
  const fewer = without(more, slotOf(more, "lobby-3"));
  expect(ids(grown(fewer, 2, two))).toEqual([
    "lobby-1",
    "lobby-2",
    "lobby-3~2",
    "lobby-4",
    "lobby-5",
  ]);
  expect(isPlain(without(fewer, slotOf(fewer, "lobby-4")), two)).toBe(false);
});

test("FO1 a dead shard's slot has a fresh object; one that was draining is not replaced", () => {
  const plain = plainLayout(two);
  const once = replaced(plain, slotOf(plain, "lobby-2"));
  expect(ids(once)).toEqual(["lobby-1", "lobby-2~2"]);
  expect(ids(replaced(once, slotOf(once, "lobby-2~2")))).toEqual(["lobby-1", "lobby-2~3"]);
  const leaving = draining(once, slotOf(once, "lobby-1"), 5);
  expect(servingSlots(leaving)).toHaveLength(1);
  const left = replaced(leaving, slotOf(leaving, "lobby-1"));
  expect(ids(left)).toEqual(["lobby-2~2"]);
  expect(nextGeneration(left, 1)).toBe(2);
});

test("AS6, GD11 clients are moved to a fresh object of another slot, while the former drains", () => {
  const plain = plainLayout(two);
  const moving = migrating(plain, slotOf(plain, "lobby-1"), 5, two);
  expect(ids(moving)).toEqual(["lobby-1", "lobby-2", "lobby-3"]);
  expect(servingSlots(moving).map((slot) => idOf(room, slot))).toEqual(["lobby-2", "lobby-3"]);
  const moved = without(moving, slotOf(moving, "lobby-1"));
  expect(ids(moved)).toEqual(["lobby-2", "lobby-3"]);
  expect(ids(migrating(moved, slotOf(moved, "lobby-3"), 5, two))[0]).toBe("lobby-1~2");
});

test("AS4 a room that nobody is in has the fewest shards again, and no generation comes twice", () => {
  const wide = grown(plainLayout(two), 2, two);
  const failed = replaced(wide, slotOf(wide, "lobby-1"));
  const off = withStatus(failed, slotOf(failed, "lobby-2"), "offline");
  const empty = settled(draining(off, slotOf(off, "lobby-4"), 5), two);
  expect(ids(empty)).toEqual(["lobby-1~2", "lobby-2"]);
  expect(servingSlots(empty).every(({ status }) => status === "online")).toBe(true);
  expect(ids(grown(empty, 2, two))).toEqual(["lobby-1~2", "lobby-2", "lobby-3~2", "lobby-4~2"]);
});

test("AS4 a shard with clients that the layout lacks joins it, to drain where it is one too many", () => {
  const { layout, slot } = joined(plainLayout(two), "lobby-5" as ShardId, 3, 9);
  expect(ids(layout)).toEqual(["lobby-1", "lobby-2", "lobby-5"]);
  expect(slot.status).toBe("online");
  const more = joined(layout, "lobby-4" as ShardId, 3, 9);
  expect(more.slot).toMatchObject({ status: "draining", until: 9 });
});

test("DI15 of two layouts of a room the newer generations hold", () => {
  const plain = plainLayout(two);
  const here = replaced(plain, slotOf(plain, "lobby-1"));
  const there = replaced(grown(plain, 1, two), slotOf(plain, "lobby-2"));
  expect(ids(merged(here, there))).toEqual(["lobby-1~2", "lobby-2~2"]);
  expect(merged(here, there).next).toEqual({ 3: 1 });
});

const located = defineRooms({
  default: { shards: { min: 2, max: 8 }, regions: ["weur", "enam", "apac"] },
}).type("default");

test("RE2 a new shard is in the region of the list that has the fewest", () => {
  if (located === undefined) throw new Error("no type");
  const plain = plainLayout(located);
  expect(ids(grown(plain, 3, located))).toEqual([1, 2, 3, 4, 5].map((n) => `lobby-${n}`));
  const wide = grown(plain, 5, located);
  // Europe alone is left, by the fourth and the seventh.
  const others = wide.slots.filter(({ number }) => number !== 4 && number !== 7);
  const left = others.reduce((layout, slot) => without(layout, slot), wide);
  expect(ids(left)).toEqual(["lobby-4", "lobby-7"]);
  const again = grown(left, 3, located).slots.filter((slot) => !left.slots.includes(slot));
  expect(again.map(({ number }) => number)).toEqual([2, 3, 5]);
  expect(again.every(({ generation }) => generation === 2)).toBe(true);
});

test("RE2 a shard that is being emptied counts for its region no more, and one takes its turn", () => {
  if (located === undefined) throw new Error("no type");
  const three = grown(plainLayout(located), 1, located);
  const leaving = draining(three, slotOf(three, "lobby-1"), 5);
  expect(ids(grown(leaving, 1, located))).toEqual(["lobby-1", "lobby-2", "lobby-3", "lobby-4"]);
});

test("RE2 however a room came by its shards, new ones make its regions no less even", () => {
  if (located === undefined) throw new Error("no type");
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 20 }), (all, by) => {
      const layout = all.reduce(apply, plainLayout(located));
      const more = grown(layout, by, located);
      const added = servingSlots(more).length - servingSlots(layout).length;
      expect(added).toBe(by);
      const before = perRegion(layout);
      const after = perRegion(more);
      const extended = after.filter((count, turn) => count > (before[turn] ?? 0));
      // No other was further behind when the last of these was added.
      expect(Math.max(...extended) - 1).toBeLessThanOrEqual(Math.min(...after));
    }),
  );
});

function perRegion(layout: Layout): number[] {
  const counts = [0, 0, 0];
  for (const { number } of servingSlots(layout)) {
    const turn = (number - 1) % counts.length;
    counts[turn] = (counts[turn] ?? 0) + 1;
  }
  return counts;
}

type Step = "grow" | "replace" | "drain" | "migrate" | "leave" | "settle" | "join";
const steps = fc.array(
  fc.record({
    what: fc.constantFrom<Step>("grow", "replace", "drain", "migrate", "leave", "settle", "join"),
    which: fc.nat(20),
  }),
  { maxLength: 40 },
);

function apply(layout: Layout, { what, which }: { what: Step; which: number }): Layout {
  const slot = layout.slots[which % layout.slots.length];
  if (slot === undefined) return layout;
  const isServing = slot.status !== "draining";
  switch (what) {
    case "grow":
      return grown(layout, 1 + (which % 3), two);
    case "replace":
      return isServing ? replaced(layout, slot) : layout;
    case "drain":
      return isServing && servingSlots(layout).length > 1 ? draining(layout, slot, 1) : layout;
    case "migrate":
      return isServing ? migrating(layout, slot, 1, two) : layout;
    case "leave":
      return isServing ? layout : without(layout, slot);
    case "settle":
      return settled(layout, two);
    case "join": {
      const number = 1 + which;
      const generation = nextGeneration(layout, number);
      const isOld = layout.slots.some((each) => each.number === number) || generation > 1;
      return isOld ? layout : joined(layout, `lobby-${number}` as ShardId, 8, 1).layout;
    }
    default:
      return what satisfies never;
  }
}

test("FO1, GD11 whatever happens, no object that has left comes back, and a slot has one object", () => {
  fc.assert(
    fc.property(steps, (all) => {
      let layout = plainLayout(two);
      const gone = new Set<string>();
      for (const step of all) {
        const before = ids(layout);
        layout = apply(layout, step);
        const now = ids(layout);
        expect(new Set(now).size).toBe(now.length);
        for (const id of now) expect(gone.has(id)).toBe(false);
        for (const id of before) if (!now.includes(id)) gone.add(id);
        expect(new Set(layout.slots.map(({ number }) => number)).size).toBe(now.length);
        expect(servingSlots(layout).length).toBeGreaterThan(0);
        expect(parseLayout(structuredClone(layout))).toEqual(layout);
      }
    }),
  );
});

test("AS4 of two layouts each slot has one object that serves, as new as the newest of both", () => {
  fc.assert(
    fc.property(steps, steps, (ones, others) => {
      const one = ones.reduce(apply, plainLayout(two));
      const other = others.reduce(apply, plainLayout(two));
      const both = merged(one, other);
      expect(new Set(ids(both)).size).toBe(both.slots.length);
      for (const { number, generation } of servingSlots(both)) {
        for (const former of [one, other]) {
          const newest = former.slots.findLast((slot) => slot.number === number);
          const isOver = newest === undefined || former.next[number] !== undefined;
          const least = isOver ? nextGeneration(former, number) : newest.generation;
          expect(generation).toBeGreaterThanOrEqual(least);
        }
      }
    }),
  );
});
