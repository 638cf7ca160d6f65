/**
 * W2: how much a room takes in, with twenty sockets listening. (a) POSTs of one message; (c) POSTs of
 * a hundred, which naive cannot take: there it gets POSTs of one, and messages are compared.
 */
import type { Job, Measurement } from "../load/job.ts";
import { loadRoom } from "../load/room-load.ts";
import { deliveryRows, roomMetrics, type Workload } from "./workload.ts";

const sockets = 20;
const postsInFlight = 32;
const batchMessages = 100;

export const ingestPosts: Workload = {
  id: "W2a",
  title: "ingest, 20 sockets, 32 POSTs in flight",
  rows: [
    {
      metric: "postsPerSecond",
      label: "POSTs/s",
      digits: 0,
      target: { kind: "ratio-at-least", limit: 1 },
    },
    { metric: "cpuPerPostUs", label: "server CPU per POST, µs", digits: 0 },
    ...deliveryRows,
  ],
  measure: (job) => measure(job, 1),
};

export const ingestBatches: Workload = {
  id: "W2c",
  title: "ingest, 20 sockets, POSTs of 100 messages (naive: of 1)",
  rows: [
    {
      metric: "messagesPerSecond",
      label: "messages/s",
      digits: 0,
      target: { kind: "ratio-at-least", limit: 20 },
    },
    { metric: "cpuPerMessageUs", label: "server CPU per message, µs", digits: 1 },
    { metric: "cpuPerDeliveryUs", label: "server CPU per delivery, µs", digits: 2 },
    ...deliveryRows,
  ],
  measure: (job) => measure(job, job.side === "ours" ? batchMessages : 1),
};

async function measure(job: Job, messagesPerPost: number): Promise<Measurement> {
  const { port, serverPid, room, isQuick } = job;
  const result = await loadRoom({
    port,
    serverPid,
    room,
    sockets,
    lanes: postsInFlight,
    messagesPerPost,
    warmUp: (publisher) => publisher.publishFor(isQuick ? 1_000 : 1_500),
    measured: (publisher) => publisher.publishFor(isQuick ? 2_500 : 4_000),
  });
  const { usage, posts, messages, deliveries } = result;
  return {
    metrics: {
      postsPerSecond: (posts * 1_000) / usage.elapsedMs,
      messagesPerSecond: (messages * 1_000) / usage.elapsedMs,
      cpuPerPostUs: (usage.serverCpuMs * 1_000) / posts,
      cpuPerMessageUs: (usage.serverCpuMs * 1_000) / messages,
      cpuPerDeliveryUs: (usage.serverCpuMs * 1_000) / deliveries,
      ...roomMetrics(result),
    },
    complaints: result.complaints,
  };
}
