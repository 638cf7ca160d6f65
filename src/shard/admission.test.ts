import fc from "fast-check";
import { expect, test } from "vitest";
import { fakePorts } from "../../test/support/fake-ports.ts";
import { roomType } from "../../test/support/sequencer-rig.ts";
import { shardId, type RoomId } from "../protocol/names.ts";
import { Admission, noSeat } from "./admission.ts";
import { Seating } from "./seating.ts";

const named = (connection: string) => ({ connection, session: null, claim: null });

/** The places of a shard whose clients have no seats. */
function admissionOf(capacity: number, clients: () => number) {
  const { storage, entropy } = fakePorts();
  const type = roomType({ capacity });
  const seating = new Seating({
    shard: shardId("lobby" as RoomId, 1),
    type,
    storage,
    entropy,
    onChange: () => {},
  });
  const admission = new Admission(seating, clients);
  return {
    hold: (connection: string, now: number) => admission.hold(named(connection), now).ok,
    enter: (connection: string, now: number) => admission.enter(named(connection), now).ok,
    entered: () => admission.entered(noSeat),
    isEmpty: () => admission.isEmpty,
  };
}

type Step =
  | { readonly name: "hold" | "enter"; readonly connection: string }
  | { readonly name: "welcome" | "release" | "leave" }
  | { readonly name: "time"; readonly ms: number };

const connections = fc.constantFrom("a", "b", "c", "d");
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({
      name: fc.constantFrom("hold" as const, "enter" as const),
      connection: connections,
    }),
    fc.record({ name: fc.constantFrom("welcome" as const, "release" as const, "leave" as const) }),
    fc.record({ name: fc.constant("time" as const), ms: fc.constantFrom(1, 2_500, 5_000) }),
  ),
  { maxLength: 100 },
);

test("AD1, AD3 no order of events takes more places than there are, and all come back", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), steps, (capacity, all) => {
      let clients = 0;
      let entering = 0;
      let now = 0;
      const admission = admissionOf(capacity, () => clients);
      for (const step of all) {
        if (step.name === "time") now += step.ms;
        else if (step.name === "hold") admission.hold(step.connection, now);
        else if (step.name === "enter") entering += admission.enter(step.connection, now) ? 1 : 0;
        else if (step.name === "leave") clients -= clients > 0 ? 1 : 0;
        else if (entering > 0) {
          admission.entered();
          entering -= 1;
          if (step.name === "welcome") clients += 1;
        }
        expect(clients + entering).toBeLessThanOrEqual(capacity);
        expect(admission.isEmpty()).toBe(clients + entering === 0);
      }
      while (entering > 0) {
        admission.entered();
        entering -= 1;
      }
      clients = 0;
      const places = Array.from({ length: capacity + 1 }, (_, n) => `new-${n}`);
      const entered = places.map((connection) => admission.enter(connection, now + 5_000));
      expect(entered).toEqual([...places.slice(1).map(() => true), false]);
    }),
    { numRuns: 500 },
  );
});

test("AD4 a place that is held is kept for its connection, for five seconds", () => {
  const admission = admissionOf(1, () => 0);
  expect(admission.hold("a", 0)).toBe(true);
  expect([admission.hold("b", 4_999), admission.enter("b", 4_999)]).toEqual([false, false]);
  expect(admission.enter("a", 4_999)).toBe(true);
  admission.entered();
  admission.hold("a", 5_000);
  expect(admission.enter("b", 10_000)).toBe(true);
  expect(admission.enter("a", 10_000)).toBe(false);
});

test("AD4 a held place serves one socket, not every one of that name", () => {
  const admission = admissionOf(1, () => 0);
  admission.hold("a", 0);
  expect([admission.enter("a", 1), admission.enter("a", 1)]).toEqual([true, false]);
});
