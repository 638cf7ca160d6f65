import fc from "fast-check";
import { expect, test } from "vitest";
import { FakeEntropy } from "../../test/support/fake-entropy.ts";
import { defineRooms } from "../core/rooms.ts";
import type { RoomId } from "../protocol/names.ts";
import type { Metadata } from "../protocol/registry.ts";
import { Directory, hasMetadata, maxLooks } from "./directory.ts";
import { SortedIds } from "./sorted-ids.ts";
import { freeSeats, newRow, roomOf, type Room } from "./room-record.ts";

const types = defineRooms({
  small: { maxPlayers: 3 },
  big: { maxPlayers: 500 },
  wide: { shards: 4, capacity: 100 },
});

function room(id: string, metadata: Metadata = {}): Room {
  const type = types.typeOf(id as RoomId);
  if (type === undefined) throw new Error(id);
  return roomOf(id as RoomId, type, newRow(0, { metadata }), true);
}

const someMetadata = fc.record(
  {
    mode: fc.constantFrom("duel", "team", 2, true),
    map: fc.constantFrom("a", "b", "x".repeat(65)),
    tags: fc.constant(["not", "a", "scalar"]),
  },
  { requiredKeys: [] },
);
const someId = fc
  .tuple(fc.constantFrom("small", "big", "wide"), fc.nat(12))
  .map(([type, number]) => `${type}:${number}`);

/** What happens to a room; it is entered if it is not there, and removed if it is. */
const someStep = fc.oneof(
  fc.record({ step: fc.constant("toggle" as const), id: someId, metadata: someMetadata }),
  fc.record({
    step: fc.constant("load" as const),
    id: someId,
    share: fc.double({ min: 0, max: 1, noNaN: true }),
  }),
  fc.record({ step: fc.constant("lock" as const), id: someId }),
  fc.record({ step: fc.constant("metadata" as const), id: someId, metadata: someMetadata }),
);
type Step = typeof someStep extends fc.Arbitrary<infer Each> ? Each : never;

function play(steps: readonly Step[]): { directory: Directory; model: Map<string, Room> } {
  const directory = new Directory(types);
  const model = new Map<string, Room>();
  for (const step of steps) {
    const known = model.get(step.id);
    if (step.step === "toggle") {
      if (known === undefined) {
        const entered = room(step.id, step.metadata);
        directory.add(entered);
        model.set(step.id, entered);
      } else {
        directory.remove(known);
        model.delete(step.id);
      }
    } else if (known !== undefined) {
      if (step.step === "metadata") directory.setMetadata(known, step.metadata);
      if (step.step === "lock") known.isLocked = !known.isLocked;
      if (step.step === "load") {
        known.connections = Math.round(step.share * (known.type.maxPlayers ?? 400));
      }
      directory.refresh(known);
    }
  }
  return { directory, model };
}

test("DI3 rooms come in the order of their ids, of one type or of all, after any id", () => {
  fc.assert(
    fc.property(
      fc.array(someStep, { maxLength: 80, size: "max" }),
      fc.option(someId),
      fc.constantFrom(null, "small", "wide"),
      (steps, after, type) => {
        const { directory, model } = play(steps);
        const wanted = [...model.keys()]
          .filter((id) => type === null || id.startsWith(type))
          .filter((id) => after === null || id > after)
          .toSorted();
        expect([...directory.after(type, after)].map(({ id }) => id as string)).toEqual(wanted);
        expect(directory.size).toBe(model.size);
      },
    ),
  );
});

test("DI4, DI6 the open rooms that fit are those of a look at all, the fullest first", () => {
  fc.assert(
    fc.property(
      fc.array(someStep, { maxLength: 80, size: "max" }),
      fc.constantFrom("small", "big", "wide"),
      fc.constantFrom(1, 2, 7, 400, 900),
      someMetadata,
      (steps, typeName, seats, { mode, map }) => {
        const { directory, model } = play(steps);
        const type = types.type(typeName);
        if (type === undefined) return;
        const asked = {
          ...(mode === undefined ? {} : { mode }),
          ...(map === undefined ? {} : { map }),
        };
        const found = [...directory.open(type, seats, asked)];
        const wanted = [...model.values()].filter(
          (each) =>
            each.type === type &&
            !each.isLocked &&
            freeSeats(each) >= seats &&
            hasMetadata(each, asked),
        );
        expect(new Set(found)).toEqual(new Set(wanted));
        expect(found).toHaveLength(wanted.length);
        // Large rooms are about as full as the ones beside them: a 64th of the seats.
        const step = typeName === "small" ? 1 : Math.ceil((type.maxPlayers ?? 400) / 64);
        const free = found.map(freeSeats);
        for (const [index, each] of free.slice(1).entries()) {
          expect(each).toBeGreaterThan((free[index] ?? 0) - step);
        }
      },
    ),
  );
});

test("DI3 thousands of ids are in order, in whatever order they come and go", () => {
  const ids = new SortedIds();
  const model = new Set<string>();
  const entropy = new FakeEntropy();
  for (let step = 0; step < 20_000; step += 1) {
    const id = name(Math.floor(entropy.random() * 6_000)) as RoomId;
    if (model.delete(id)) ids.remove(id);
    else {
      model.add(id);
      ids.add(id);
    }
    // What is not there changes nothing.
    if (!model.has(id)) ids.remove(id);
  }
  const wanted = [...model].toSorted();
  expect(ids.size).toBe(wanted.length);
  expect([...ids.after(null)]).toEqual(wanted);
  for (const after of ["", name(0), name(2_999), name(5_999), "z"]) {
    expect([...ids.after(after)]).toEqual(wanted.filter((id) => id > after));
  }
  for (const id of wanted) ids.remove(id as RoomId);
  expect([...ids.after(null)]).toEqual([]);
  ids.add(name(1) as RoomId);
  expect([...ids.after(null)]).toEqual([name(1)]);
});

test("DI3 a page holds at most as many rooms as asked, and tells where the next begins", () => {
  fc.assert(
    fc.property(
      fc.array(someStep, { maxLength: 80, size: "max" }),
      fc.integer({ min: 1, max: 5 }),
      (steps, limit) => {
        const { directory, model } = play(steps);
        const seen: string[] = [];
        let after: string | null = null;
        do {
          const page = directory.page(null, after, limit, ({ isLocked }) => !isLocked);
          expect(page.rooms.length).toBeLessThanOrEqual(limit);
          seen.push(...page.rooms.map(({ id }) => id));
          after = page.through;
        } while (after !== null);
        const open = [...model.values()].filter(({ isLocked }) => !isLocked);
        expect(seen).toEqual(open.map(({ id }) => id as string).toSorted());
      },
    ),
  );
});

function name(number: number): string {
  return `small:${String(number).padStart(5, "0")}`;
}

test("DI3 a page looks at a thousand rooms and no more, and says so", () => {
  const directory = new Directory(types);
  for (let number = 0; number < 2_500; number += 1) directory.add(room(name(number)));
  let looks = 0;
  const page = directory.page("small", null, 50, () => {
    looks += 1;
    return false;
  });
  expect(page).toEqual({ rooms: [], through: name(maxLooks - 1) });
  expect(looks).toBe(maxLooks);
});

test("DI4 values that many keys or long texts hide from the index are still matched in a list", () => {
  const directory = new Directory(types);
  const many = Object.fromEntries(Array.from({ length: 20 }, (_, key) => [`k${key}`, key]));
  directory.add(room("small:1", { ...many, long: "x".repeat(65) }));
  const fits = (asked: Record<string, number | string>) =>
    directory.page(null, null, 10, (each) => hasMetadata(each, asked)).rooms.length;
  expect(fits({ k19: 19 })).toBe(1);
  expect(fits({ long: "x".repeat(65) })).toBe(1);
  expect(fits({ k19: 18 })).toBe(0);
  expect(fits({ constructor: "x" })).toBe(0);
});
