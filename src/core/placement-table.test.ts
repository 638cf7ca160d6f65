import fc from "fast-check";
import { expect, test } from "vitest";
import { FakeEntropy } from "../../test/support/fake-entropy.ts";
import type { ShardLoad } from "../protocol/registry-calls.ts";
import { shardId, type RoomId, type ShardId } from "../protocol/names.ts";
import { regions, type Region } from "../protocol/registry.ts";
import { leastConnections, nearest, roundRobin, type PlacementStrategy } from "./placement.ts";
import { PlacementTable } from "./placement-table.ts";
import { fallbackOrder } from "./regions.ts";

const none: ReadonlySet<ShardId> = new Set();
const nowhere: ReadonlySet<Region> = new Set();
const shard = (number: number): ShardId => shardId("room" as RoomId, number);

function load(number: number, more: Partial<ShardLoad> = {}): ShardLoad {
  const state = { connections: 0, capacity: 1_000, generation: 1, reportedAt: 0 };
  return { id: shard(number), status: "online", ...state, ...more };
}

const loads = (count: number): ShardLoad[] => Array.from({ length: count }, (_, n) => load(n + 1));

type Placing = { now?: number; strategy?: PlacementStrategy; excluded?: ReadonlySet<ShardId> };

const entropy = new FakeEntropy();
const asked = { key: "", region: null, local: null };

function place(table: PlacementTable, placing: Placing = {}): ShardId | undefined {
  const { now = 0, strategy = leastConnections, excluded = none } = placing;
  return table.place(strategy, { ...asked, random: () => entropy.random() }, now, excluded, nowhere)
    ?.id;
}

/** The largest shard, against the mean of all. */
function imbalance(counts: ReadonlyMap<ShardId, number>, shards: number): number {
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  return Math.max(...counts.values()) / (total / shards);
}

const increment = (counts: Map<ShardId, number>, id: ShardId | undefined): void => {
  if (id !== undefined) counts.set(id, (counts.get(id) ?? 0) + 1);
};

test("PL4 1,000 sockets that come at once leave no shard above 1.05 times the mean", () => {
  const table = new PlacementTable(loads(10));
  const counts = new Map<ShardId, number>();
  for (let n = 0; n < 1_000; n += 1) increment(counts, place(table));
  expect(imbalance(counts, 10)).toBeLessThanOrEqual(1.05);
});

/** Gates place; shards report once a second, each at its own time; gates read once a second. */
function placeOverTime(gates: number, lastsMs: number, phases: readonly number[]) {
  const tables = Array.from({ length: gates }, () => new PlacementTable(loads(10)));
  const counts = new Map<ShardId, number>();
  let reported = loads(10);
  for (let n = 0; n < 1_000; n += 1) {
    const now = 10_000 + Math.floor((n * lastsMs) / 1_000);
    reported = reported.map((known, index) => {
      const isDue = now - known.reportedAt >= 1_000 && now % 1_000 >= (phases[index] ?? 0);
      const connections = counts.get(known.id) ?? 0;
      return isDue ? { ...known, connections, reportedAt: now } : known;
    });
    const table = tables[n % gates];
    if (table?.startRefresh(now) === true) table.update(reported, now);
    if (table !== undefined) increment(counts, place(table, { now }));
  }
  return imbalance(counts, 10);
}

test("PL4 reports that arrive in between, each at its own time, keep one gate's choices even", () => {
  const phases = fc.array(fc.nat(900), { minLength: 10, maxLength: 10 });
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 10_000 }), phases, (lastsMs, each) => {
      expect(placeOverTime(1, lastsMs, each)).toBeLessThanOrEqual(1.05);
    }),
  );
});

test("PL4 several gates that know nothing of each other place a burst evenly", () => {
  for (const gates of [2, 5, 10]) {
    const together = Array.from({ length: 10 }, () => 0);
    expect(placeOverTime(gates, 900, together)).toBeLessThanOrEqual(1.05);
  }
});

test("PL4 several gates stay near even when a burst outlasts the reports", () => {
  const phases = fc.array(fc.nat(900), { minLength: 10, maxLength: 10 });
  const gates = fc.integer({ min: 2, max: 10 });
  const burst = fc.integer({ min: 1_500, max: 10_000 });
  fc.assert(
    fc.property(gates, burst, phases, (count, lastsMs, each) => {
      expect(placeOverTime(count, lastsMs, each)).toBeLessThanOrEqual(1.15);
    }),
  );
});

test("PL4 a report takes the place of the choices that came before it, and of no others", () => {
  const table = new PlacementTable(loads(2));
  for (let n = 0; n < 4; n += 1) place(table, { now: 100 });
  place(table, { now: 300, excluded: new Set([shard(2)]) });
  // Of the first shard's three, the report knows the two before it.
  table.update(
    [load(1, { connections: 2, reportedAt: 200 }), load(2, { connections: 2, reportedAt: 200 })],
    400,
  );
  expect(place(table, { now: 400 })).toBe(shard(2));
  expect(new Set([place(table, { now: 400 }), place(table, { now: 400 })]).size).toBe(2);
});

test("PL4 a choice that came to nothing is not counted", () => {
  const table = new PlacementTable(loads(2));
  const first = place(table);
  if (first === undefined) throw new Error("no choice");
  table.forget(first);
  const counts = new Map<ShardId, number>();
  for (let n = 0; n < 10; n += 1) increment(counts, place(table));
  expect([...counts.values()]).toEqual([5, 5]);
});

test("PL11 a shard that did not take a socket is passed over for a second, while another has space", () => {
  const table = new PlacementTable([load(1), load(2, { connections: 9 })]);
  table.passOver(shard(1), 1_000);
  expect([1_000, 1_999].map((now) => place(table, { now }))).toEqual([shard(2), shard(2)]);
  expect(place(table, { now: 2_000 })).toBe(shard(1));
});

test("PL11, PL6 with every other shard full or passed over too, it is chosen as ever", () => {
  const table = new PlacementTable([load(1), load(2), load(3, { connections: 1_000 })]);
  table.passOver(shard(1), 1_000);
  expect(place(table, { now: 1_500, excluded: new Set([shard(2)]) })).toBe(shard(1));
  table.passOver(shard(2), 1_500);
  expect(place(table, { now: 1_600 })).toBe(shard(2));
  expect(place(table, { now: 2_000, excluded: new Set([shard(3)]) })).toBe(shard(1));
});

test("PL11 the time of a shard that refuses again begins anew, whichever refused since", () => {
  const table = new PlacementTable([load(1), load(2), load(3, { connections: 999 })]);
  for (const [number, now] of [
    [1, 0],
    [2, 100],
    [1, 500],
  ] as const) {
    table.passOver(shard(number), now);
  }
  expect(place(table, { now: 1_099 })).toBe(shard(3));
  expect(place(table, { now: 1_100 })).toBe(shard(2));
  expect(place(table, { now: 1_500 })).toBe(shard(1));
});

type Step = { afterMs: number; outcome: "answered" | "failed" | "silent"; isTold: boolean };
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    afterMs: fc.oneof({ weight: 5, arbitrary: fc.nat(3) }, fc.nat(700)),
    outcome: fc.constantFrom("answered", "failed", "silent"),
    isTold: fc.boolean(),
  }),
  { minLength: 5, maxLength: 300 },
);

/** When the registry was asked, and how old the last answer was at each time that it was not. */
function askTimes(all: readonly Step[]): { times: number[]; ages: number[] } {
  const table = new PlacementTable(loads(3));
  const times: number[] = [];
  const ages: number[] = [];
  let now = 1_000_000;
  let endedAt = -Infinity;
  for (const { afterMs, outcome, isTold } of all) {
    now += afterMs;
    if (table.startRefresh(now)) {
      times.push(now);
      endedAt = now;
      if (outcome === "answered") table.update(loads(3), now);
      if (outcome === "failed") table.refreshFailed(now);
    } else ages.push(now - endedAt);
    if (isTold) table.holdOff(now);
  }
  return { times, ages };
}

test("PL5 whatever the number of connects and the registry's answers, a second lies between questions", () => {
  fc.assert(
    fc.property(steps, (all) => {
      const { times } = askTimes(all);
      for (const [index, at] of times.slice(1).entries()) {
        expect(at - (times[index] ?? 0)).toBeGreaterThanOrEqual(1_000);
      }
    }),
  );
});

test("PL5 however often the registry is told of shards, no table is used for more than two seconds", () => {
  fc.assert(
    fc.property(steps, (all) => {
      for (const age of askTimes(all).ages) expect(age).toBeLessThan(2_000);
    }),
  );
});

test("PL5 a table that the registry was told of shards with is used for a second from then on", () => {
  const table = new PlacementTable(loads(3));
  table.startRefresh(1_000);
  table.update(loads(3), 1_000);
  table.holdOff(1_700);
  expect([table.startRefresh(2_699), table.startRefresh(2_700)]).toEqual([false, true]);
});

test("PL5 a question is asked once at a time, and again when it got no answer", () => {
  const table = new PlacementTable(loads(3));
  expect([table.startRefresh(1_000), table.startRefresh(1_000)]).toEqual([true, false]);
  expect(table.startRefresh(2_999)).toBe(false);
  expect(table.startRefresh(3_000)).toBe(true);
});

test("PL5 a table is asked for again when it is a second old", () => {
  const table = new PlacementTable(loads(3));
  table.startRefresh(1_000);
  table.update(loads(3), 1_000);
  expect([table.startRefresh(1_999), table.startRefresh(2_000)]).toEqual([false, true]);
});

test("PL6 a shard that is known to be full is chosen only when there is no other", () => {
  const shards = fc.array(fc.record({ connections: fc.nat(4), capacity: fc.nat(4) }), {
    minLength: 1,
    maxLength: 6,
  });
  fc.assert(
    fc.property(shards, fc.nat(10), (states, placed) => {
      const table = new PlacementTable(states.map((state, index) => load(index + 1, state)));
      for (let n = 0; n <= placed; n += 1) {
        const chosen = table.place(roundRobin, { ...asked, random: () => 0 }, 0, none, nowhere);
        const free = states.reduce((sum, s) => sum + Math.max(0, s.capacity - s.connections), 0);
        const isFull = chosen === undefined || chosen.connections >= chosen.capacity;
        expect(isFull).toBe(n >= free);
      }
    }),
  );
});

test("PL6 a shard that is not online, or has refused, is not chosen", () => {
  const table = new PlacementTable([load(1, { status: "draining" }), load(2), load(3)]);
  expect(place(table, { excluded: new Set([shard(2)]) })).toBe(shard(3));
  expect(place(table, { excluded: new Set([shard(2), shard(3)]) })).toBeUndefined();
});

test("a table is unused once it has been stale since then", () => {
  const table = new PlacementTable(loads(1));
  table.startRefresh(5_000);
  table.update(loads(1), 5_000);
  expect([table.isUnusedSince(6_000), table.isUnusedSince(6_001)]).toEqual([false, true]);
});

const somewhere = fc.constantFrom(...regions);
const someShards = fc.array(
  fc.record({ region: somewhere, capacity: fc.integer({ min: 1, max: 4 }) }),
  {
    minLength: 1,
    maxLength: 12,
  },
);

test("RE4 a crowd from one region fills the nearest shards first, then the next nearest, to the last place", () => {
  fc.assert(
    fc.property(someShards, somewhere, (places, from) => {
      const table = new PlacementTable(places.map((each, index) => load(index + 1, each)));
      const order = fallbackOrder(from);
      const here = { ...asked, region: from, random: () => entropy.random() };
      const ranks: number[] = [];
      for (
        let left = places.reduce((sum, { capacity }) => sum + capacity, 0);
        left > 0;
        left -= 1
      ) {
        const chosen = table.place(nearest, here, 0, none, nowhere);
        if (chosen?.region === undefined) throw new Error("nowhere");
        expect(chosen.connections).toBeLessThan(chosen.capacity);
        ranks.push(order.indexOf(chosen.region));
      }
      expect(ranks).toEqual(ranks.toSorted((one, other) => one - other));
    }),
  );
});

test("RE4 a region whose shard has just refused is chosen only when there is no other with space", () => {
  const places = ["weur", "weur", "eeur", "oc"] as const;
  const table = new PlacementTable(places.map((region, index) => load(index + 1, { region })));
  const here = { ...asked, region: "weur", random: () => 0 } as const;
  const crowded = new Set<Region>();
  for (const region of ["weur", "eeur", "oc"] as const) {
    expect(table.place(nearest, here, 0, none, crowded)?.region).toBe(region);
    crowded.add(region);
  }
  expect(table.place(nearest, here, 0, none, crowded)?.region).toBe("weur");
});
