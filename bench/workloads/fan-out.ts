/**
 * W1: a thousand plain sockets, closed-loop publishers with eight POSTs in flight. W4: a thousand
 * sockets of protocol 1 and 128 POSTs in flight, compared with naive's W1: it knows no frames that
 * carry more than one message, and more POSTs in flight only make its sockets wait longer.
 */
import type { Job, Measurement } from "../load/job.ts";
import { Publisher } from "../load/publisher.ts";
import { loadRoom } from "../load/room-load.ts";
import { deliveryRows, roomMetrics, type Workload } from "./workload.ts";

const sockets = 1_000;
const postsInFlight = 8;
const batchedPostsInFlight = 128;

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
  measure: (job) => measure(job, { protocol: false, lanes: postsInFlight }),
};

export const batchedFanOut: Workload = {
  id: "W4",
  title: "batched fan-out, 1,000 protocol-1 sockets, 128 POSTs in flight (naive: W1)",
  rows: [
    {
      metric: "deliveriesPerSecond",
      label: "deliveries/s",
      digits: 0,
      target: { kind: "ratio-at-least", limit: 8 },
    },
    {
      metric: "deliveriesPerCpuSecond",
      label: "deliveries per second of server CPU",
      digits: 0,
      target: { kind: "at-least", limit: 1_000_000 },
    },
    { metric: "cpuPerDeliveryUs", label: "server CPU per delivery, µs", digits: 2 },
    { metric: "messagesPerSecond", label: "messages/s", digits: 0 },
    ...deliveryRows,
  ],
  measure: (job) =>
    measure(
      job,
      job.side === "ours"
        ? { protocol: true, lanes: batchedPostsInFlight }
        : { protocol: false, lanes: postsInFlight },
    ),
};

interface FanOut {
  readonly protocol: boolean;
  readonly lanes: number;
}

async function measure(job: Job, { protocol, lanes }: FanOut): Promise<Measurement> {
  const { port, serverPid, room, isQuick } = job;
  const result = await loadRoom({
    port,
    serverPid,
    room,
    sockets,
    protocol,
    publisher: new Publisher({ port, room, lanes, messagesPerPost: 1 }),
    warmUp: (publisher) => publisher.publishFor(isQuick ? 1_000 : 1_500),
    measured: (publisher) => publisher.publishFor(isQuick ? 2_500 : 4_000),
  });
  const { usage, deliveries, messages } = result;
  return {
    metrics: {
      deliveriesPerSecond: (deliveries * 1_000) / usage.elapsedMs,
      deliveriesPerCpuSecond: (deliveries * 1_000) / usage.serverCpuMs,
      cpuPerDeliveryUs: (usage.serverCpuMs * 1_000) / deliveries,
      messagesPerSecond: (messages * 1_000) / usage.elapsedMs,
      ...roomMetrics(result),
    },
    complaints: result.complaints,
  };
}
