import fc from "fast-check";
import { expect, test } from "vitest";
import { FakeEntropy } from "../../test/support/fake-entropy.ts";
import { shardId, type RoomId } from "../protocol/names.ts";
import {
  leastConnections,
  powerOfTwo,
  random,
  roundRobin,
  strategies,
  type Candidate,
  type PlacementStrategy,
} from "./placement.ts";

type Candidates = readonly [Candidate, ...Candidate[]];

function candidate(connections: number, index: number): Candidate {
  return { id: shardId("room" as RoomId, index + 1), connections, capacity: 1_000 };
}

function candidates(...loads: readonly number[]): Candidates {
  const [first = 0, ...others] = loads;
  return [candidate(first, 0), ...others.map((load, index) => candidate(load, index + 1))];
}

const someLoads = fc.array(fc.nat(5), { minLength: 1, maxLength: 12 });
const below1 = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

/** How often each candidate is chosen in so many draws. */
function draw(strategy: PlacementStrategy, among: Candidates, draws: number): number[] {
  const entropy = new FakeEntropy();
  const counts = among.map(() => 0);
  for (let placed = 0; placed < draws; placed += 1) {
    const chosen = strategy(among, { random: () => entropy.random(), placed });
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
      const chosen = leastConnections(candidates(...loads), { random: next, placed });
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
        const context = { random: () => draws.shift() ?? 0, placed: 0 };
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
  const chosen = [0, 1, 2, 3, 4, 5].map((placed) => roundRobin(among, { random: () => 0, placed }));
  expect(chosen.map(({ connections }) => connections)).toEqual([5, 0, 9, 5, 0, 9]);
});

test("PL3 random takes any, with equal chances", () => {
  expect(unevenness(draw(random, candidates(5, 0, 9, 1), 4_000))).toBeLessThan(0.1);
});

test.each(Object.entries(strategies))(
  "PL1, PL2, PL3 %s takes one of the candidates, whatever the numbers drawn",
  (_name, strategy) => {
    fc.assert(
      fc.property(someLoads, below1, fc.nat(), (loads, drawn, placed) => {
        const among = candidates(...loads);
        expect(among).toContain(strategy(among, { random: () => drawn, placed }));
      }),
    );
  },
);
