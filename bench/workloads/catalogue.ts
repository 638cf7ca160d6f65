/** Lists the workloads in the order in which they are run and reported. */
import { connects } from "./connects.ts";
import { fanOut } from "./fan-out.ts";
import { ingestBatches, ingestPosts } from "./ingest.ts";
import { latency } from "./latency.ts";
import { memory } from "./memory.ts";
import type { Workload } from "./workload.ts";

export const workloads: readonly Workload[] = [
  fanOut,
  ingestPosts,
  ingestBatches,
  latency,
  connects,
  memory,
];
