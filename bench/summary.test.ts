import { expect, test } from "vitest";
import type { Measurement } from "./load/job.ts";
import { type Line, summarize } from "./summary.ts";
import type { Row } from "./workloads/workload.ts";

const runs = (metric: string, values: readonly number[]): readonly Measurement[] =>
  values.map((value) => ({ metrics: { [metric]: value }, complaints: [] }));

function lineOf(row: Row, naive: readonly number[], ours: readonly number[]): Line | undefined {
  const [line] = summarize({
    workload: {
      id: "W0",
      title: "",
      rows: [row],
      measure: () => Promise.reject(new Error("unused")),
    },
    runs: { naive: runs(row.metric, naive), ours: runs(row.metric, ours) },
    failures: [],
  });
  return line;
}

const cpu: Row = {
  metric: "cpu",
  label: "",
  digits: 0,
  target: { kind: "ratio-at-most", limit: 1.1 },
};

test("the ratio is that of the medians, whatever the extremes", () => {
  expect(lineOf(cpu, [10, 11, 90], [12, 11, 1])).toMatchObject({
    naive: { median: 11 },
    ours: { median: 11 },
    ratio: 1,
    isMet: true,
  });
});

test("the median of an even number of runs is the mean of the middle two", () => {
  expect(lineOf(cpu, [1, 2, 4, 100], [6])).toMatchObject({ ratio: 2, isMet: false });
});

test("a ratio that must be at least something is judged the other way", () => {
  const rate: Row = { ...cpu, target: { kind: "ratio-at-least", limit: 0.9 } };
  expect(lineOf(rate, [100], [89])?.isMet).toBe(false);
  expect(lineOf(rate, [100], [90])?.isMet).toBe(true);
});

test("a figure that must be something by itself is judged without the other side", () => {
  const most: Row = { ...cpu, target: { kind: "at-most", limit: 100 } };
  expect(lineOf(most, [], [100])?.isMet).toBe(true);
  expect(lineOf(most, [1_000], [101])?.isMet).toBe(false);
  const least: Row = { ...cpu, target: { kind: "at-least", limit: 100 } };
  expect(lineOf(least, [], [100])?.isMet).toBe(true);
  expect(lineOf(least, [1], [99])?.isMet).toBe(false);
});

test("faults of all runs are added up, so that one bad run is not hidden", () => {
  const lost: Row = { metric: "lost", label: "", digits: 0, target: { kind: "zero" } };
  expect(lineOf(lost, [0, 0, 0], [0, 0, 3])).toMatchObject({
    ours: { median: 3 },
    ratio: undefined,
    isMet: false,
  });
});

test("without the other side nothing is judged", () => {
  expect(lineOf(cpu, [], [1])).toMatchObject({
    naive: undefined,
    ratio: undefined,
    isMet: undefined,
  });
});
