import { expect, test } from "vitest";
import { hub, partitionNames, partitionOf } from "./partitions.ts";

const keys = Array.from({ length: 20_000 }, (_, index) => `game:room-${index}`);

test("DI1 with one partition every key is in it", () => {
  expect(partitionNames(1)).toEqual([hub]);
  expect(new Set(keys.map((key) => partitionOf(key, 1)))).toEqual(new Set([hub]));
});

test.each([2, 5, 16])("DI1 %d partitions have equal shares of the keys", (count) => {
  const shares = new Map(partitionNames(count).map((name) => [name, 0]));
  for (const key of keys) {
    const name = partitionOf(key, count);
    shares.set(name, (shares.get(name) ?? 0) + 1);
  }
  expect(shares.size).toBe(count);
  const mean = keys.length / count;
  for (const share of shares.values()) expect(Math.abs(share - mean) / mean).toBeLessThan(0.1);
});

test("DI1 one more partition takes its share, and moves no other key", () => {
  let moved = 0;
  for (const key of keys) {
    const [before, after] = [partitionOf(key, 4), partitionOf(key, 5)];
    if (before === after) continue;
    expect(after).toBe("default-4");
    moved += 1;
  }
  expect(Math.abs(moved - keys.length / 5)).toBeLessThan(keys.length / 50);
});
