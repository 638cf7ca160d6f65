/** W3: from the start of a POST to the arrival at each of a thousand plain sockets, at 20 POSTs/s. */
import { Histogram } from "../load/histogram.ts";
import type { Job, Measurement } from "../load/job.ts";
import { Publisher } from "../load/publisher.ts";
import { loadRoom } from "../load/room-load.ts";
import { deliveryRows, roomMetrics, type Workload } from "./workload.ts";

const sockets = 1_000;
const intervalMs = 50;
/** More than are ever in flight, so that a late answer does not delay the next POST. */
const lanes = 10;

export const latency: Workload = {
  id: "W3",
  title: "latency, 1,000 sockets, 20 POSTs/s, publish to receive",
  rows: [
    {
      metric: "p50Ms",
      label: "p50, ms",
      digits: 2,
      target: { kind: "ratio-at-most", limit: 1.05 },
    },
    { metric: "p99Ms", label: "p99, ms", digits: 2, target: { kind: "ratio-at-most", limit: 1.1 } },
    { metric: "cpuPerDeliveryUs", label: "server CPU per delivery, µs", digits: 2 },
    ...deliveryRows,
  ],
  measure,
};

async function measure({ port, serverPid, room, isQuick }: Job): Promise<Measurement> {
  const histogram = new Histogram();
  const result = await loadRoom({
    port,
    serverPid,
    room,
    sockets,
    publisher: new Publisher({ port, room, lanes, messagesPerPost: 1 }),
    warmUp: (publisher) => publisher.publishEvery(intervalMs, isQuick ? 20 : 60),
    measured: (publisher, receipts) => {
      receipts.onArrival = (number, atMs) => {
        histogram.add(atMs - (publisher.sentAtMs[number] ?? atMs));
      };
      return publisher.publishEvery(intervalMs, isQuick ? 60 : 200);
    },
  });
  return {
    metrics: {
      p50Ms: histogram.percentile(0.5),
      p99Ms: histogram.percentile(0.99),
      cpuPerDeliveryUs: (result.usage.serverCpuMs * 1_000) / result.deliveries,
      ...roomMetrics(result),
    },
    complaints: result.complaints,
  };
}
