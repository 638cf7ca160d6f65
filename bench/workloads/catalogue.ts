/** Lists the workloads in the order in which they are run and reported. */
import { connects } from "./connects.ts";
import { batchedFanOut, fanOut } from "./fan-out.ts";
import { ingestBatches, ingestBatchesPlain, ingestOverSockets, ingestPosts } from "./ingest.ts";
import { latency } from "./latency.ts";
import { memory } from "./memory.ts";
import { registryCalls } from "./registry-calls.ts";
import { registryMemory } from "./registry-memory.ts";
import { registry } from "./registry.ts";
import { readingClients, slowClients } from "./slow-clients.ts";
import type { Workload } from "./workload.ts";

export const workloads: readonly Workload[] = [
  fanOut,
  ingestPosts,
  ingestOverSockets,
  ingestBatches,
  ingestBatchesPlain,
  latency,
  batchedFanOut,
  connects,
  registryCalls,
  memory,
  slowClients,
  readingClients,
  registry,
  registryMemory,
];
