/**
 * W5: a thousand connects, 64 handshakes at a time, several waves into one room. Only the connecting
 * is timed; between waves all sockets close and the server gets time to finish with them.
 */
import { openAudience } from "../load/audience.ts";
import type { Job, Measurement } from "../load/job.ts";
import { Receipts } from "../load/receipts.ts";
import { sleep } from "../load/room-load.ts";
import { UsageWindow } from "../load/usage-window.ts";
import type { Workload } from "./workload.ts";

const sockets = 1_000;
const concurrency = 64;
const settleMs = 700;

export const connects: Workload = {
  id: "W5",
  title: "connects, 1,000 sockets, 64 at a time",
  rows: [
    {
      metric: "connectsPerSecond",
      label: "connects/s",
      digits: 0,
      target: { kind: "ratio-at-least", limit: 0.9 },
    },
    { metric: "cpuPerConnectUs", label: "server CPU per connect, µs", digits: 0 },
    { metric: "faults", label: "strays", digits: 0, target: { kind: "zero" } },
  ],
  measure,
};

async function measure({ port, serverPid, room, isQuick }: Job): Promise<Measurement> {
  const waves = isQuick ? 3 : 6;
  const receipts = new Receipts(sockets * (waves + 1), 0);
  let elapsedMs = 0;
  let serverCpuMs = 0;
  let generatorMs = 0;
  let othersMs = 0;
  // The first wave warms up: it creates the objects and lets the runtime compile.
  for (let wave = 0; wave <= waves; wave += 1) {
    const window = new UsageWindow(serverPid);
    const audience = await openAudience({
      port,
      room,
      count: sockets,
      concurrency,
      sink: receipts,
      firstIndex: wave * sockets,
    });
    const usage = window.read();
    if (wave > 0) {
      elapsedMs += usage.elapsedMs;
      serverCpuMs += usage.serverCpuMs;
      generatorMs += usage.generatorShare * usage.elapsedMs;
      othersMs += usage.othersShare * usage.elapsedMs;
    }
    await audience.close();
    await sleep(settleMs);
  }
  const count = sockets * waves;
  return {
    metrics: {
      connectsPerSecond: (count * 1_000) / elapsedMs,
      cpuPerConnectUs: (serverCpuMs * 1_000) / count,
      faults: receipts.verdict(0, new Set()).strays,
      elapsedMs,
      serverCpuMs,
      serverShare: serverCpuMs / elapsedMs,
      generatorShare: generatorMs / elapsedMs,
      othersShare: othersMs / elapsedMs,
    },
    complaints: receipts.strayReasons,
  };
}
