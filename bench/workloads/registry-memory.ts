/**
 * What 99,000 rooms add to the memory of a registry that holds a thousand: on the JavaScript heap, by
 * the inspector after a full collection, and of the process in all. Rooms as bench/registry/worker.ts
 * makes them, each with three values of metadata, of which one is its own.
 */
import { join } from "node:path";
import { Inspector } from "../load/inspector.ts";
import type { Job, Measurement } from "../load/job.ts";
import { RegistryLane } from "../load/registry-lane.ts";
import { sleep } from "../load/room-load.ts";
import { UsageWindow } from "../load/usage-window.ts";
import { residentBytesOf } from "../process-usage.ts";
import type { Workload } from "./workload.ts";

const fewRooms = 1_000;
const manyRooms = 100_000;
const settleMs = 3_000;

export const registryMemory: Workload = {
  id: "registry-memory",
  title: "memory of 100,000 rooms in one partition",
  sides: ["ours"],
  configPath: join(import.meta.dirname, "..", "registry", "wrangler.jsonc"),
  isInspected: true,
  rows: [
    { metric: "heapBytesPerRoom", label: "heap bytes per room", digits: 0 },
    { metric: "residentBytesPerRoom", label: "resident bytes per room", digits: 0 },
    { metric: "heapMegabytes", label: "heap MB with 100,000 rooms", digits: 1 },
    { metric: "residentMegabytes", label: "resident MB with 100,000 rooms", digits: 1 },
  ],
  measure,
};

async function measure({ port, serverPid, inspectorPort }: Job): Promise<Measurement> {
  if (inspectorPort === null) {
    throw new Error("the server has no inspector");
  }
  const registry = new RegistryLane(port);
  const inspector = await Inspector.open(inspectorPort);
  const read = async () => {
    await sleep(settleMs);
    const heap = await inspector.usedHeapBytes(() => registry.calls());
    return { heap, resident: residentBytesOf(serverPid) };
  };
  await registry.fill(0, fewRooms);
  const before = await read();
  const window = new UsageWindow(serverPid);
  await registry.fill(fewRooms, manyRooms);
  const after = await read();
  const { serverShare, generatorShare, othersShare } = window.read();
  inspector.close();
  registry.close();
  const rooms = manyRooms - fewRooms;
  return {
    metrics: {
      heapBytesPerRoom: (after.heap - before.heap) / rooms,
      residentBytesPerRoom: (after.resident - before.resident) / rooms,
      heapMegabytes: after.heap / 1e6,
      residentMegabytes: after.resident / 1e6,
      serverShare,
      generatorShare,
      othersShare,
    },
    complaints: [],
  };
}
