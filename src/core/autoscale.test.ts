import fc from "fast-check";
import { expect, test } from "vitest";
import { shardId, type RoomId } from "../protocol/names.ts";
import { Autoscale, calmMs, emptiestOf, type ScaledShard } from "./autoscale.ts";

const bounds = { min: 1, max: 32 };

function shards(...loads: readonly number[]): ScaledShard[] {
  return loads.map((connections, index) => ({
    id: shardId("room" as RoomId, index + 1),
    isDraining: false,
    connections,
    capacity: 100,
  }));
}

const stay = { type: "stay" };

test("AS1 shards are added when the mean passes 0.7, until it is at most 0.5", () => {
  const scale = new Autoscale();
  expect(scale.decide(shards(70), bounds, false, 0)).toEqual(stay);
  expect(scale.decide(shards(71), bounds, false, 0)).toEqual({ type: "grow", by: 1 });
  expect(scale.decide(shards(90, 95, 98), bounds, false, 0)).toEqual({ type: "grow", by: 3 });
});

test("AS1 a client that found no place adds a shard, whatever the reports say, up to the maximum", () => {
  const scale = new Autoscale();
  expect(scale.decide(shards(10), bounds, true, 0)).toEqual({ type: "grow", by: 1 });
  expect(scale.decide(shards(100, 100), { min: 1, max: 2 }, true, 0)).toEqual(stay);
});

test("AS2 the emptiest is drained when the others would be used at most 0.4, for a minute", () => {
  const scale = new Autoscale();
  const calm = shards(30, 10, 35);
  expect(scale.decide(calm, bounds, false, 0)).toEqual(stay);
  expect(scale.nextDeadline()).toBe(calmMs);
  expect(scale.decide(calm, bounds, false, calmMs - 1)).toEqual(stay);
  expect(scale.decide(calm, bounds, false, calmMs)).toEqual({ type: "drain", shard: "room-2" });
});

test("AS2 a busy moment begins the minute anew, and the minimum stays", () => {
  const scale = new Autoscale();
  scale.decide(shards(30, 10), bounds, false, 0);
  scale.decide(shards(40, 40), bounds, false, 1_000);
  expect(scale.decide(shards(30, 10), bounds, false, calmMs)).toEqual(stay);
  const two = new Autoscale();
  two.decide(shards(0, 0), { min: 2, max: 4 }, false, 0);
  expect(two.decide(shards(0, 0), { min: 2, max: 4 }, false, calmMs)).toEqual(stay);
});

test("AS2 one shard drains at a time, and its clients count for the others", () => {
  const [first, ...others] = shards(20, 35, 35);
  if (first === undefined) throw new Error("no shard");
  const draining = [{ ...first, isDraining: true }, ...others];
  const scale = new Autoscale();
  scale.decide(draining, bounds, false, 0);
  expect(scale.decide(draining, bounds, false, calmMs)).toEqual(stay);
  const full = [{ ...first, connections: 80, isDraining: true }, ...others];
  expect(scale.decide(full, bounds, false, calmMs)).toMatchObject({ type: "grow" });
});

const offline = (shard: ScaledShard): ScaledShard => ({ ...shard, connections: 0, capacity: 0 });

test("AS8 the capacity of a shard that is offline is not counted, and it is one of the most", () => {
  const [first, ...others] = shards(0, 60, 60);
  if (first === undefined) throw new Error("no shard");
  const all = [offline(first), ...others];
  const scale = new Autoscale();
  expect(scale.decide(all, bounds, false, 0)).toEqual(stay);
  const full = all.map((shard) => (shard.capacity === 0 ? shard : { ...shard, connections: 75 }));
  // Three that take clients for 150.
  expect(scale.decide(full, bounds, false, 0)).toEqual({ type: "grow", by: 1 });
  expect(scale.decide(full, { min: 1, max: 3 }, false, 0)).toEqual(stay);
  expect(scale.decide(all.map(offline), bounds, true, 0)).toEqual({ type: "grow", by: 1 });
});

test("AS8 one that is offline is the first to be let go, and holds nobody's clients", () => {
  const [first, second] = shards(0, 50);
  if (first === undefined || second === undefined) throw new Error("no shard");
  const busy = [offline(first), second];
  const scale = new Autoscale();
  scale.decide(busy, bounds, false, 0);
  expect(scale.decide(busy, bounds, false, calmMs)).toEqual(stay);
  const empty = [offline(first), { ...second, connections: 0 }];
  scale.decide(empty, bounds, false, calmMs);
  const decided = scale.decide(empty, bounds, false, 2 * calmMs);
  expect(decided).toEqual({ type: "drain", shard: first.id });
});

test("AS3 an audience that stays the same is never scaled to and fro", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 3_000 }), fc.nat(31), (clients, extra) => {
      const scale = new Autoscale();
      let count = 1 + extra;
      const directions: string[] = [];
      for (let minute = 0; minute < 80; minute += 1) {
        const spread = Array.from({ length: count }, (_, index) =>
          Math.floor((clients + index) / count),
        );
        const decision = scale.decide(shards(...spread), bounds, false, minute * calmMs);
        if (decision.type === "grow") count += decision.by;
        if (decision.type === "drain") count -= 1;
        if (decision.type !== "stay") directions.push(decision.type);
        expect(count).toBeGreaterThanOrEqual(bounds.min);
        expect(count).toBeLessThanOrEqual(bounds.max);
      }
      expect(new Set(directions).size).toBeLessThanOrEqual(1);
    }),
  );
});

const world = ["weur", "weur", "enam", "apac"] as const;

/** A room's shards in Europe, Europe, America and Asia. */
function worldwide(...loads: readonly number[]): ScaledShard[] {
  return shards(...loads).map((shard, index) => ({ ...shard, region: world[index % 4] ?? "weur" }));
}

test("RE2 the last shard of a region stays as long as another region has several", () => {
  const scale = new Autoscale();
  const calm = worldwide(30, 20, 0, 0);
  scale.decide(calm, bounds, false, 0);
  expect(scale.decide(calm, bounds, false, calmMs)).toEqual({ type: "drain", shard: "room-2" });
  const [, second, ...others] = calm;
  if (second === undefined) throw new Error("no shard");
  const oneEach = [second, ...others];
  scale.decide(oneEach, bounds, false, calmMs);
  expect(scale.decide(oneEach, bounds, false, 2 * calmMs)).toEqual({
    type: "drain",
    shard: "room-4",
  });
});

test("RE2 whichever is let go, a region is given up only when every region has one", () => {
  const some = fc.array(fc.nat(100), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(some, (loads) => {
      const all = worldwide(...loads);
      const least = emptiestOf(all);
      const isLast = countRegions(all.filter((each) => each !== least)) < countRegions(all);
      expect(isLast).toBe(all.length === countRegions(all));
      const rivals = isLast ? all : all.filter(({ region }) => region === least?.region);
      expect(least?.connections).toBe(Math.min(...rivals.map(({ connections }) => connections)));
    }),
  );
});

function countRegions(all: readonly ScaledShard[]): number {
  return new Set(all.map(({ region }) => region)).size;
}
