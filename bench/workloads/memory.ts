/**
 * W6: resident memory of the server per idle plain socket: what two thousand sockets add to a
 * server that is warm and already holds some.
 */
import { openAudience } from "../load/audience.ts";
import type { Job, Measurement } from "../load/job.ts";
import { Receipts } from "../load/receipts.ts";
import { sleep } from "../load/room-load.ts";
import { UsageWindow } from "../load/usage-window.ts";
import { residentBytesOf } from "../process-usage.ts";
import type { Workload } from "./workload.ts";

const warmUpSockets = 500;
const sockets = 2_000;
const concurrency = 64;
const idleMs = 3_000;

export const memory: Workload = {
  id: "W6",
  title: "memory, 2,000 idle sockets",
  rows: [
    {
      metric: "kilobytesPerSocket",
      label: "server kB per idle socket",
      digits: 1,
      target: { kind: "ratio-at-most", limit: 1.1 },
    },
    { metric: "faults", label: "strays", digits: 0, target: { kind: "zero" } },
  ],
  measure,
};

async function measure({ port, serverPid, room }: Job): Promise<Measurement> {
  const receipts = new Receipts(warmUpSockets + sockets, 0);
  const options = { port, room, concurrency, sink: receipts };
  const first = await openAudience({ ...options, count: warmUpSockets });
  await sleep(idleMs);
  const baselineBytes = residentBytesOf(serverPid);

  const window = new UsageWindow(serverPid);
  const rest = await openAudience({ ...options, count: sockets, firstIndex: warmUpSockets });
  await sleep(idleMs);
  const residentBytes = residentBytesOf(serverPid);
  const { serverShare, generatorShare, othersShare } = window.read();

  await Promise.all([first.close(), rest.close()]);
  return {
    metrics: {
      kilobytesPerSocket: (residentBytes - baselineBytes) / sockets / 1_000,
      baselineMegabytes: baselineBytes / 1e6,
      residentMegabytes: residentBytes / 1e6,
      faults: receipts.verdict(0, new Set()).strays,
      serverShare,
      generatorShare,
      othersShare,
    },
    complaints: receipts.strayReasons,
  };
}
