/** Owns what a workload is: how it is measured, which figures it reports, and what they must meet. */
import type { Job, Measurement, Side } from "../load/job.ts";
import type { RoomLoadResult } from "../load/room-load.ts";

/** What the product must reach; ratios are ours divided by naive, the others are ours alone. */
export type Target =
  | { readonly kind: "at-most"; readonly limit: number }
  | { readonly kind: "at-least"; readonly limit: number }
  | { readonly kind: "ratio-at-most"; readonly limit: number }
  | { readonly kind: "ratio-at-least"; readonly limit: number }
  | { readonly kind: "zero" };

/** One line of the report. */
export interface Row {
  readonly metric: string;
  readonly label: string;
  readonly digits: number;
  readonly target?: Target;
  /** The figure of the naive side to compare with, where it is not the same. */
  readonly naiveMetric?: string;
}

export interface Workload {
  readonly id: string;
  readonly title: string;
  readonly rows: readonly Row[];
  /** Which sides it measures. Default both. */
  readonly sides?: readonly Side[];
  /** Configuration of the Worker that serves our side, where it is not the product's own. */
  readonly configPath?: string;
  /** Whether the server has its inspector open, which costs a little. */
  readonly isInspected?: boolean;
  /** Runs in a generator process. Bounded in time by its own limits. */
  readonly measure: (job: Job) => Promise<Measurement>;
}

/** The lines that every workload with deliveries reports: nothing lost, nothing twice, one order. */
export const deliveryRows: readonly Row[] = [
  { metric: "lost", label: "lost", digits: 0, target: { kind: "zero" } },
  { metric: "repeated", label: "repeated", digits: 0, target: { kind: "zero" } },
  { metric: "disagreeing", label: "sockets that disagree", digits: 0, target: { kind: "zero" } },
  { metric: "misordered", label: "out of publisher's order", digits: 0, target: { kind: "zero" } },
  { metric: "faults", label: "refusals and strays", digits: 0, target: { kind: "zero" } },
];

/** The figures that every workload with deliveries has. */
export function roomMetrics(result: RoomLoadResult): Record<string, number> {
  const { usage, verdict } = result;
  return {
    elapsedMs: usage.elapsedMs,
    serverCpuMs: usage.serverCpuMs,
    serverShare: usage.serverShare,
    generatorShare: usage.generatorShare,
    othersShare: usage.othersShare,
    posts: result.posts,
    messages: result.messages,
    deliveries: result.deliveries,
    messagesPerFrame: result.messagesPerFrame,
    backlogMessages: result.backlogMessages,
    lost: verdict.lost,
    repeated: verdict.repeated,
    disagreeing: verdict.disagreeing,
    misordered: verdict.misordered,
    faults: verdict.strays + result.refused,
  };
}
