import fc from "fast-check";
import { expect, test } from "vitest";
import { FakeEntropy } from "../../test/support/fake-entropy.ts";
import { shardId, type RoomId } from "../protocol/names.ts";
import {
  fillFirst,
  leastConnections,
  leastRooms,
  nearest,
  powerOfTwo,
  preferLocal,
  random,
  roundRobin,
  sticky,
  strategies,
  weighted,
  type Candidate,
  type PlacementContext,
  type PlacementStrategy,
} from "./placement.ts";
import { fallbackOrder, regionOf } from "./regions.ts";
import { regions } from "../protocol/registry.ts";

type Candidates = readonly [Candidate, ...Candidate[]];

function candidate(connections: number, index: number): Candidate {
  return { id: shardId("room" as RoomId, index + 1), connections, capacity: 1_000 };
}

function candidates(...loads: readonly number[]): Candidates {
  const [first = 0, ...others] = loads;
  return [candidate(first, 0), ...others.map((load, index) => candidate(load, index + 1))];
}

const asked = { key: "", region: null, local: null };

const someLoads = fc.array(fc.nat(5), { minLength: 1, maxLength: 12 });
const below1 = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

/** How often each candidate is chosen in so many draws. */
function draw(strategy: PlacementStrategy, among: Candidates, draws: number): number[] {
  const entropy = new FakeEntropy();
  const counts = among.map(() => 0);
  for (let placed = 0; placed < draws; placed += 1) {
    const chosen = strategy(among, { ...asked, random: () => entropy.random(), placed });
    const index = among.indexOf(chosen);
    counts[index] = (counts[index] ?? 0) + 1;
  }
  return counts;
}

/** How far the counts are from equal ones, as a share of those. */
function unevenness(counts: readonly number[]): number {
  const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  return Math.max(...counts.map((count) => Math.abs(count - mean))) / mean;
}

test("PL1 least-connections takes one with the fewest connections", () => {
  fc.assert(
    fc.property(someLoads, fc.infiniteStream(below1), fc.nat(), (loads, stream, placed) => {
      const next = (): number => Number(stream.next().value);
      const chosen = leastConnections(candidates(...loads), { ...asked, random: next, placed });
      expect(chosen.connections).toBe(Math.min(...loads));
    }),
  );
});

test("PL1 least-connections takes each among equals with equal chances, and no other", () => {
  const counts = draw(leastConnections, candidates(3, 1, 2, 1, 1, 9), 6_000);
  expect([counts[0], counts[2], counts[5]]).toEqual([0, 0, 0]);
  expect(unevenness([counts[1] ?? 0, counts[3] ?? 0, counts[4] ?? 0])).toBeLessThan(0.1);
});

test("PL2 power-of-two never takes the most loaded one, when loads differ", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.nat(100), { minLength: 2, maxLength: 12 }),
      below1,
      below1,
      (loads, one, other) => {
        const draws = [one, other];
        const context = { ...asked, random: () => draws.shift() ?? 0, placed: 0 };
        const chosen = powerOfTwo(candidates(...loads), context);
        expect(chosen.connections).toBeLessThan(Math.max(...loads));
        expect(draws).toEqual([]);
      },
    ),
  );
});

test("PL2 power-of-two takes the less loaded of every pair equally often", () => {
  // Of the six pairs, the least loaded is the better one in three, the next in two, then in one.
  const counts = draw(powerOfTwo, candidates(4, 1, 3, 2), 6_000);
  expect(counts[0]).toBe(0);
  const byPair = [(counts[1] ?? 0) / 3, (counts[3] ?? 0) / 2, counts[2] ?? 0];
  expect(unevenness(byPair)).toBeLessThan(0.1);
});

test("PL3 round-robin takes each in turn", () => {
  const among = candidates(5, 0, 9);
  const chosen = [0, 1, 2, 3, 4, 5].map((placed) =>
    roundRobin(among, { ...asked, random: () => 0, placed }),
  );
  expect(chosen.map(({ connections }) => connections)).toEqual([5, 0, 9, 5, 0, 9]);
});

test("PL3 random takes any, with equal chances", () => {
  expect(unevenness(draw(random, candidates(5, 0, 9, 1), 4_000))).toBeLessThan(0.1);
});

test.each(Object.entries(strategies))(
  "PL1, PL2, PL3, PL7 %s takes one of the candidates, whatever the numbers drawn",
  (_name, strategy) => {
    fc.assert(
      fc.property(someLoads, below1, fc.nat(), (loads, drawn, placed) => {
        const among = candidates(...loads);
        expect(among).toContain(strategy(among, { ...asked, random: () => drawn, placed }));
      }),
    );
  },
);

const context: PlacementContext = { ...asked, random: () => 0, placed: 0 };

/** Candidates with these fields, over those of an empty shard. */
function servers(...fields: readonly Partial<Candidate>[]): Candidates {
  const all = fields.map((each, index) => ({ ...candidate(0, index), ...each }));
  const [first = candidate(0, 0), ...others] = all;
  return [first, ...others];
}

const someServers = fc
  .array(
    fc.record({
      connections: fc.nat(20),
      rooms: fc.nat(10),
      capacity: fc.nat(10),
      region: fc.constantFrom(...regions),
    }),
    { minLength: 1, maxLength: 12 },
  )
  .map((fields) => servers(...fields));

test("PL7 least-rooms takes the fewest rooms, and of those the fewest players", () => {
  fc.assert(
    fc.property(someServers, (among) => {
      const chosen = leastRooms(among, context);
      const fewest = Math.min(...among.map(({ rooms = 1 }) => rooms));
      const rivals = among.filter(({ rooms }) => rooms === fewest);
      expect(chosen.rooms).toBe(fewest);
      expect(chosen.connections).toBe(Math.min(...rivals.map(({ connections }) => connections)));
    }),
  );
});

test("PL7 least-rooms balances shards by connections", () => {
  expect(leastRooms(candidates(4, 2, 9), context).connections).toBe(2);
});

test("PL7 weighted takes each in proportion to its free capacity", () => {
  const among = servers(
    { rooms: 0, capacity: 3 },
    { rooms: 9, capacity: 10 },
    { rooms: 5, capacity: 5 },
    { rooms: 8, capacity: 10 },
  );
  const [three = 0, one = 0, none, two = 0] = draw(weighted, among, 6_000);
  expect(none).toBe(0);
  expect(unevenness([three / 3, one, two / 2])).toBeLessThan(0.1);
});

test("PL7 weighted takes any when none has space", () => {
  const full = { rooms: 2, capacity: 2 };
  expect(unevenness(draw(weighted, servers(full, full), 4_000))).toBeLessThan(0.1);
});

test("PL7 fill-first takes the least space that is left, and a full one only when all are", () => {
  fc.assert(
    fc.property(someServers, (among) => {
      const spaces = among.map(({ rooms = 0, capacity }) => Math.max(0, capacity - rooms));
      const left = spaces.filter((space) => space > 0);
      const chosen = spaces[among.indexOf(fillFirst(among, context))];
      expect(chosen).toBe(left.length > 0 ? Math.min(...left) : 0);
    }),
  );
});

test("PL8 sticky takes the same one for a key in whatever order they are given", () => {
  fc.assert(
    fc.property(someServers, fc.string(), (among, key) => {
      const chosen = sticky(among, { ...context, key });
      const [first = among[0], ...others] = among.toReversed();
      expect(sticky([first, ...others], { ...context, key })).toBe(chosen);
    }),
  );
});

test("PL8 sticky spreads keys evenly; one that goes moves its own keys alone", () => {
  const among = candidates(0, 0, 0, 0, 0, 0, 0, 0);
  const counts = among.map(() => 0);
  for (let key = 0; key < 8_000; key += 1) {
    const chosen = sticky(among, { ...context, key: `player-${key}` });
    const index = among.indexOf(chosen);
    counts[index] = (counts[index] ?? 0) + 1;
    const [first = among[0], ...others] = among.filter((each) => each !== among[3]);
    const next = sticky([first, ...others], { ...context, key: `player-${key}` });
    expect(next === chosen).toBe(index !== 3);
  }
  expect(unevenness(counts)).toBeLessThan(0.15);
});

test("PL9 nearest takes the least loaded in the nearest region that has any", () => {
  fc.assert(
    fc.property(someServers, fc.constantFrom(...regions), (among, region) => {
      const chosen = nearest(among, { ...context, region });
      const order = fallbackOrder(region);
      const rank = (each: Candidate): number => order.findIndex((one) => one === each.region);
      const best = Math.min(...among.map(rank));
      const near = among.filter((each) => rank(each) === best);
      expect(rank(chosen)).toBe(best);
      expect(chosen.connections).toBe(Math.min(...near.map(({ connections }) => connections)));
    }),
  );
});

test("PL9 nearest takes those without a region last, and any when the request has none", () => {
  const among = servers({ connections: 1 }, { connections: 9, region: "afr" });
  expect(nearest(among, { ...context, region: "enam" })).toBe(among[1]);
  expect(nearest(among, { ...context, region: null })).toBe(among[0]);
});

test("PL9 each region that a room lacks is passed over, and the others keep their order", () => {
  const some = fc.uniqueArray(fc.constantFrom(...regions), { minLength: 1 });
  fc.assert(
    fc.property(some, fc.constantFrom(...regions), (present, from) => {
      let left = servers(...present.map((region) => ({ region })));
      const visited: unknown[] = [];
      for (;;) {
        const chosen = nearest(left, { ...context, region: from });
        visited.push(chosen.region);
        const [first, ...others] = left.filter((each) => each !== chosen);
        if (first === undefined) break;
        left = [first, ...others];
      }
      expect(visited).toEqual(fallbackOrder(from).filter((region) => present.includes(region)));
    }),
  );
});

test("PL9 regions fall back on the nearer ones first, and places belong to a region", () => {
  expect(fallbackOrder("weur").slice(0, 2)).toEqual(["weur", "eeur"]);
  expect(fallbackOrder("enam").slice(0, 2)).toEqual(["enam", "wnam"]);
  for (const region of regions) {
    expect(fallbackOrder(region)[0]).toBe(region);
    expect(fallbackOrder(region).toSorted()).toEqual(regions.toSorted());
  }
  expect([regionOf(48.9, 2.4), regionOf(35.7, 139.7), regionOf(37.8, -122.4)]).toEqual([
    "weur",
    "apac",
    "wnam",
  ]);
});

test("PL10 prefer-local takes the one that asks below its threshold, and else what the other takes", () => {
  const among = servers({ rooms: 7, capacity: 10 }, { rooms: 0, capacity: 10 });
  const local = { ...context, local: among[0].id };
  expect(preferLocal(leastRooms)(among, local)).toBe(among[0]);
  expect(preferLocal(leastRooms, 0.7)(among, local)).toBe(among[1]);
  expect(preferLocal(leastRooms)(among, context)).toBe(among[1]);
});

test.each([-0.1, 1.1, Number.NaN])("PL10 a threshold of %d is refused", (threshold) => {
  expect(() => preferLocal(random, threshold)).toThrow("threshold must be from 0 to 1");
});
