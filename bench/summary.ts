/** Owns turning measurements into the lines of the report: medians, ratios, targets. Pure. */
import type { Measurement, Side } from "./load/job.ts";
import type { Row, Target, Workload } from "./workloads/workload.ts";

/** All measurements of one workload; a failed one is kept as its reason. */
export interface WorkloadRuns {
  readonly workload: Workload;
  readonly runs: Readonly<Record<Side, readonly Measurement[]>>;
  readonly failures: readonly string[];
}

export interface Figure {
  readonly median: number;
  /** Largest minus smallest, as a share of the median. */
  readonly spread: number;
}

export interface Line {
  readonly workload: string;
  readonly metric: string;
  readonly label: string;
  readonly digits: number;
  readonly naive: Figure | undefined;
  readonly ours: Figure | undefined;
  /** Ours divided by naive, of the medians. */
  readonly ratio: number | undefined;
  readonly target: Target | undefined;
  readonly isMet: boolean | undefined;
}

export function summarize({ workload, runs }: WorkloadRuns): readonly Line[] {
  return workload.rows.map((row) => {
    const isCount = row.target?.kind === "zero";
    const naive = figureOf(runs.naive, row.naiveMetric ?? row.metric, isCount);
    const ours = figureOf(runs.ours, row.metric, isCount);
    const ratio =
      isCount || naive === undefined || ours === undefined ? undefined : ours.median / naive.median;
    return {
      workload: workload.id,
      metric: row.metric,
      label: row.label,
      digits: row.digits,
      naive,
      ours,
      ratio,
      target: row.target,
      isMet: judge(row, ours, ratio),
    };
  });
}

/** A share of one core, median over the runs of a side. */
export function shareOf(runs: readonly Measurement[], metric: string): number | undefined {
  return figureOf(runs, metric, false)?.median;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const lower = sorted[Math.ceil(sorted.length / 2) - 1] ?? Number.NaN;
  return (lower + upper) / 2;
}

/** Faults are added up over all runs: a median would hide one bad run of three. */
function figureOf(
  runs: readonly Measurement[],
  metric: string,
  isCount: boolean,
): Figure | undefined {
  const values = runs.flatMap(({ metrics }) => metrics[metric] ?? []);
  if (values.length === 0) {
    return undefined;
  }
  if (isCount) {
    return { median: values.reduce((sum, value) => sum + value, 0), spread: 0 };
  }
  const middle = median(values);
  const range = Math.max(...values) - Math.min(...values);
  return { median: middle, spread: range === 0 ? 0 : range / middle };
}

function judge(
  { target }: Row,
  ours: Figure | undefined,
  ratio: number | undefined,
): boolean | undefined {
  switch (target?.kind) {
    case undefined:
      return undefined;
    case "zero":
      return ours === undefined ? undefined : ours.median === 0;
    case "at-most":
      return ours === undefined ? undefined : ours.median <= target.limit;
    case "at-least":
      return ours === undefined ? undefined : ours.median >= target.limit;
    case "ratio-at-most":
      return ratio === undefined ? undefined : ratio <= target.limit;
    case "ratio-at-least":
      return ratio === undefined ? undefined : ratio >= target.limit;
  }
}
