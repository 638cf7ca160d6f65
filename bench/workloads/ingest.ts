/**
 * W2: how much a room takes in, with twenty sockets listening. (a) POSTs of one message; (b) messages
 * over the WebSockets of 32 clients; (c) POSTs of a hundred. Naive takes neither of the last two:
 * there it gets POSTs of one, as in (a), and messages are compared.
 */
import { join } from "node:path";
import type { Job, Measurement } from "../load/job.ts";
import { Publisher } from "../load/publisher.ts";
import { loadRoom, type RoomLoadResult } from "../load/room-load.ts";
import { SocketPublisher } from "../load/socket-publisher.ts";
import { deliveryRows, roomMetrics, type Row, type Workload } from "./workload.ts";

const sockets = 20;
const postsInFlight = 32;
const batchMessages = 100;
const publishingClients = 32;
const unanswered = 16;
const topic = "bench";

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
  measure: (job) => measurePosts(job, { protocol: false, messagesPerPost: 1 }),
};

const messageRows: readonly Row[] = [
  { metric: "cpuPerMessageUs", label: "server CPU per message, µs", digits: 1 },
  { metric: "cpuPerDeliveryUs", label: "server CPU per delivery, µs", digits: 2 },
  ...deliveryRows,
];

export const ingestOverSockets: Workload = {
  id: "W2b",
  title: "ingest over 32 WebSockets, 20 protocol-1 sockets (naive: W2a)",
  configPath: join(import.meta.dirname, "..", "ours", "wrangler.jsonc"),
  rows: [
    {
      metric: "messagesPerSecond",
      label: "messages/s",
      digits: 0,
      target: { kind: "ratio-at-least", limit: 5 },
    },
    ...messageRows,
  ],
  measure: (job) =>
    job.side === "ours"
      ? measureOverSockets(job)
      : measurePosts(job, { protocol: false, messagesPerPost: 1 }),
};

export const ingestBatches: Workload = {
  id: "W2c",
  title: "ingest, 20 protocol-1 sockets, POSTs of 100 messages (naive: W2a)",
  rows: [
    {
      metric: "messagesPerSecond",
      label: "messages/s",
      digits: 0,
      target: { kind: "ratio-at-least", limit: 20 },
    },
    ...messageRows,
  ],
  measure: (job) =>
    measurePosts(
      job,
      job.side === "ours"
        ? { protocol: true, messagesPerPost: batchMessages }
        : { protocol: false, messagesPerPost: 1 },
    ),
};

/** A plain socket costs a send a message, so that there is no target. */
export const ingestBatchesPlain: Workload = {
  id: "W2c-plain",
  title: "ingest, 20 plain sockets, POSTs of 100 messages",
  sides: ["ours"],
  rows: [{ metric: "messagesPerSecond", label: "messages/s", digits: 0 }, ...messageRows],
  measure: (job) => measurePosts(job, { protocol: false, messagesPerPost: batchMessages }),
};

interface Posts {
  readonly protocol: boolean;
  readonly messagesPerPost: number;
}

async function measurePosts(job: Job, { protocol, messagesPerPost }: Posts): Promise<Measurement> {
  const { port, serverPid, room, isQuick } = job;
  const result = await loadRoom({
    port,
    serverPid,
    room,
    sockets,
    protocol,
    publisher: new Publisher({ port, room, lanes: postsInFlight, messagesPerPost }),
    warmUp: (publisher) => publisher.publishFor(isQuick ? 1_000 : 1_500),
    measured: (publisher) => publisher.publishFor(isQuick ? 2_500 : 4_000),
  });
  return { metrics: metricsOf(result), complaints: result.complaints };
}

async function measureOverSockets(job: Job): Promise<Measurement> {
  const { port, serverPid, room, isQuick } = job;
  const clients = publishingClients;
  const socketPublisher = await SocketPublisher.open({ port, room, clients, unanswered, topic });
  const result = await loadRoom({
    port,
    serverPid,
    room,
    sockets,
    protocol: true,
    topics: topic,
    publisher: socketPublisher,
    warmUp: (publisher) => publisher.publishFor(isQuick ? 1_000 : 1_500),
    measured: (publisher) => publisher.publishFor(isQuick ? 2_500 : 4_000),
  });
  const metrics = metricsOf(result);
  return {
    metrics: { ...metrics, faults: (metrics["faults"] ?? 0) + socketPublisher.strays },
    complaints: result.complaints,
  };
}

function metricsOf(result: RoomLoadResult): Record<string, number> {
  const { usage, posts, messages, deliveries } = result;
  return {
    postsPerSecond: (posts * 1_000) / usage.elapsedMs,
    messagesPerSecond: (messages * 1_000) / usage.elapsedMs,
    cpuPerPostUs: (usage.serverCpuMs * 1_000) / posts,
    cpuPerMessageUs: (usage.serverCpuMs * 1_000) / messages,
    cpuPerDeliveryUs: (usage.serverCpuMs * 1_000) / deliveries,
    ...roomMetrics(result),
  };
}
