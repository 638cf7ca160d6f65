/**
 * What clients cost that never acknowledge and never read: a shard full of them, stalled, while the
 * room is under full load and twenty good clients get everything. The first load is without them, so
 * that what the load itself makes the server hold is there before. The control is the same with the
 * 980 reading and acknowledging, which a memory figure is to be compared with.
 */
import { join } from "node:path";
import { openAudience } from "../load/audience.ts";
import type { Job, Measurement } from "../load/job.ts";
import { ProtocolSink } from "../load/protocol-sink.ts";
import { Publisher } from "../load/publisher.ts";
import { Receipts } from "../load/receipts.ts";
import { drain, sleep } from "../load/room-load.ts";
import { UsageWindow } from "../load/usage-window.ts";
import { residentBytesOf } from "../process-usage.ts";
import { closeCodes } from "../../src/protocol/close-codes.ts";
import { deliveryRows, type Row, type Workload } from "./workload.ts";

const goodSockets = 20;
/** All that a shard of a thousand admits beside the good ones. */
const otherSockets = 980;
const concurrency = 64;
/** As much as a client's window takes at a time, or the good clients would lag as well. */
const postsInFlight = 4;
const messagesPerPost = 50;
const settleMs = 2_000;
const sampleMs = 100;
const closedAsSlowReason = `the server closed with ${closeCodes.tooSlow}`;
/** Of the load, for each of which the peak is told: whether memory levels off. */
const parts = 4;
const ordinals = ["first", "second", "third", "last"] as const;

const memoryRows: readonly Row[] = [
  { metric: "beforeMegabytes", label: "server MB before the load", digits: 0 },
  ...Array.from({ length: parts }, (_, part) => ({
    metric: `part${part + 1}Megabytes`,
    label: `server MB at most, ${ordinals[part]} quarter of the load`,
    digits: 1,
  })),
  { metric: "afterMegabytes", label: "server MB at the end of the load", digits: 0 },
];

export const slowClients: Workload = {
  id: "slow",
  title: "one shard, 980 protocol-1 sockets that never read, POSTs of 50 messages, 20 good sockets",
  sides: ["ours"],
  configPath: join(import.meta.dirname, "..", "ours", "wrangler.jsonc"),
  rows: [
    ...memoryRows,
    {
      metric: "kilobytesPerSocket",
      label: "server kB per stalled socket, at most",
      digits: 1,
      target: { kind: "at-most", limit: 100 },
    },
    {
      metric: "sentKilobytesMost",
      label: "kB sent to a stalled socket, most",
      digits: 1,
      target: { kind: "at-most", limit: 100 },
    },
    { metric: "closedAsSlow", label: "stalled sockets closed as slow after 30 s", digits: 0 },
    { metric: "messagesPerSecond", label: "messages/s meanwhile", digits: 0 },
    ...deliveryRows,
  ],
  measure: (job) => measure(job, true),
};

export const readingClients: Workload = {
  id: "slow-control",
  title: "the same with the 980 sockets reading and acknowledging",
  sides: ["ours"],
  configPath: join(import.meta.dirname, "..", "ours", "wrangler.jsonc"),
  rows: [
    ...memoryRows,
    { metric: "kilobytesPerSocket", label: "server kB per socket, at most", digits: 1 },
    { metric: "messagesPerSecond", label: "messages/s meanwhile", digits: 0 },
    ...deliveryRows,
  ],
  measure: (job) => measure(job, false),
};

async function measure(
  { port, serverPid, isQuick, ...job }: Job,
  isStalled: boolean,
): Promise<Measurement> {
  // Of one shard, so that all sockets share one window and one log.
  const room = job.room.replace(/^[^:]*/, "narrow");
  const publisher = new Publisher({ port, room, lanes: postsInFlight, messagesPerPost });
  const receipts = new Receipts(goodSockets, postsInFlight);
  const sink = new ProtocolSink(receipts, goodSockets);
  const common = { port, room, concurrency, protocol: true };
  const good = await openAudience({ ...common, count: goodSockets, sink });
  await publisher.publishFor(isQuick ? 3_000 : 5_000);
  await drain(publisher, receipts, goodSockets);

  const othersReceipts = new SlowReceipts(goodSockets + otherSockets, postsInFlight);
  const othersSink = new ProtocolSink(othersReceipts, goodSockets + otherSockets, {
    acknowledges: !isStalled,
  });
  const others = await openAudience({
    ...common,
    count: otherSockets,
    firstIndex: goodSockets,
    sink: othersSink,
  });
  await sleep(settleMs);
  if (isStalled) {
    others.pause();
  }

  const beforeBytes = residentBytesOf(serverPid);
  const messagesBefore = publisher.published - publisher.refused.size;
  const window = new UsageWindow(serverPid);
  const loadMs = isQuick ? 10_000 : 40_000;
  const peaks: number[] = [];
  for (let part = 0; part < parts; part += 1) {
    peaks.push(await peakDuring(serverPid, () => publisher.publishFor(loadMs / parts)));
  }
  const usage = window.read();
  const messages = publisher.published - publisher.refused.size - messagesBefore;
  await drain(publisher, receipts, goodSockets);
  const afterBytes = residentBytesOf(serverPid);

  // What they were sent is still on the way; they read it now and acknowledge nothing.
  others.resume();
  await sleep(settleMs);
  let sentUnits = 0;
  for (let socket = goodSockets; socket < goodSockets + otherSockets; socket += 1) {
    sentUnits = Math.max(sentUnits, othersSink.unacknowledgedUnits(socket));
  }
  const verdict = receipts.verdict(publisher.published, publisher.refused);
  const othersVerdict = othersReceipts.verdict(0, new Set());
  await Promise.all([good.close(), others.close()]);
  publisher.close();
  return {
    metrics: {
      beforeMegabytes: beforeBytes / 1e6,
      ...Object.fromEntries(peaks.map((peak, part) => [`part${part + 1}Megabytes`, peak / 1e6])),
      afterMegabytes: afterBytes / 1e6,
      kilobytesPerSocket: (Math.max(...peaks) - beforeBytes) / otherSockets / 1e3,
      sentKilobytesMost: sentUnits / 1e3,
      closedAsSlow: othersReceipts.closedAsSlow,
      messagesPerSecond: (messages * 1_000) / usage.elapsedMs,
      lost: verdict.lost,
      repeated: verdict.repeated + othersVerdict.repeated,
      disagreeing: verdict.disagreeing,
      misordered: verdict.misordered + othersVerdict.misordered,
      faults: verdict.strays + othersVerdict.strays + publisher.refused.size,
      elapsedMs: usage.elapsedMs,
      serverCpuMs: usage.serverCpuMs,
      serverShare: usage.serverShare,
      generatorShare: usage.generatorShare,
      othersShare: usage.othersShare,
    },
    complaints: [
      ...publisher.refusals,
      ...receipts.strayReasons,
      ...othersReceipts.strayReasons.map((reason) => `of the 980: ${reason}`),
    ],
  };
}

/** A socket that was behind for thirty seconds is closed, and that is no fault. */
class SlowReceipts extends Receipts {
  closedAsSlow = 0;

  override handleStray(socket: number, reason: string): void {
    if (reason === closedAsSlowReason) {
      this.closedAsSlow += 1;
    } else {
      super.handleStray(socket, reason);
    }
  }
}

/** The server's resident memory at most while the work goes on. */
async function peakDuring(serverPid: number, work: () => Promise<void>): Promise<number> {
  let peak = 0;
  const sample = (): void => {
    peak = Math.max(peak, residentBytesOf(serverPid));
  };
  const sampling = setInterval(sample, sampleMs);
  try {
    await work();
    sample();
    return peak;
  } finally {
    clearInterval(sampling);
  }
}
