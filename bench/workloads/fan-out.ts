/** W1: a thousand plain sockets, closed-loop publishers with eight POSTs in flight. */
import type { Job, Measurement } from "../load/job.ts";
import { loadRoom } from "../load/room-load.ts";
import { deliveryRows, roomMetrics, type Workload } from "./workload.ts";

const sockets = 1_000;
const postsInFlight = 8;

export const fanOut: Workload = {
  id: "W1",
  title: "fan-out, 1,000 sockets, 8 POSTs in flight",
  rows: [
    { metric: "deliveriesPerSecond", label: "deliveries/s", digits: 0 },
    {
      metric: "cpuPerDeliveryUs",
      label: "server CPU per delivery, µs",
      digits: 2,
      target: { kind: "ratio-at-most", limit: 1.1 },
    },
    ...deliveryRows,
  ],
  measure,
};

async function measure({ port, serverPid, room, isQuick }: Job): Promise<Measurement> {
  const result = await loadRoom({
    port,
    serverPid,
    room,
    sockets,
    lanes: postsInFlight,
    messagesPerPost: 1,
    warmUp: (publisher) => publisher.publishFor(isQuick ? 1_000 : 1_500),
    measured: (publisher) => publisher.publishFor(isQuick ? 2_500 : 4_000),
  });
  const { usage, deliveries } = result;
  return {
    metrics: {
      deliveriesPerSecond: (deliveries * 1_000) / usage.elapsedMs,
      cpuPerDeliveryUs: (usage.serverCpuMs * 1_000) / deliveries,
      ...roomMetrics(result),
    },
    complaints: result.complaints,
  };
}
