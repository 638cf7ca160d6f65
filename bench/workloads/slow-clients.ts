/**
 * What clients cost that never acknowledge and never read: a shard full of them, stalled, while the
 * room is under full load and twenty good clients get everything. The first load is without them, so
 * that what the load itself makes the server hold is there before.
 */
import { openAudience } from "../load/audience.ts";
import type { Job, Measurement } from "../load/job.ts";
import { ProtocolSink } from "../load/protocol-sink.ts";
import { Publisher } from "../load/publisher.ts";
import { Receipts } from "../load/receipts.ts";
import { drain, sleep } from "../load/room-load.ts";
import { UsageWindow } from "../load/usage-window.ts";
import { residentBytesOf } from "../process-usage.ts";
import { deliveryRows, type Workload } from "./workload.ts";

const goodSockets = 20;
/** All that a shard of a thousand admits beside the good ones. */
const stalledSockets = 980;
const concurrency = 64;
/** As much as a client's window takes at a time, or the good clients would lag as well. */
const postsInFlight = 4;
const messagesPerPost = 50;
const settleMs = 2_000;
const sampleMs = 100;

export const slowClients: Workload = {
  id: "slow",
  title: "one shard, 980 protocol-1 sockets that never read, POSTs of 50 messages, 20 good sockets",
  sides: ["ours"],
  rows: [
    { metric: "beforeMegabytes", label: "server MB before they stall", digits: 0 },
    { metric: "peakMegabytes", label: "server MB at most", digits: 0 },
    { metric: "afterMegabytes", label: "server MB at the end of the load", digits: 0 },
    {
      metric: "kilobytesPerStalled",
      label: "server kB per stalled socket, at most",
      digits: 1,
      target: { kind: "at-most", limit: 100 },
    },
    { metric: "secondHalfMegabytes", label: "MB more at most in the second half", digits: 1 },
    {
      metric: "sentKilobytesMost",
      label: "kB sent to a stalled socket, most",
      digits: 1,
      target: { kind: "at-most", limit: 100 },
    },
    { metric: "messagesPerSecond", label: "messages/s meanwhile", digits: 0 },
    ...deliveryRows,
  ],
  measure,
};

async function measure({ port, serverPid, isQuick, ...job }: Job): Promise<Measurement> {
  // Of one shard, so that all sockets share one window and one log.
  const room = job.room.replace(/^[^:]*/, "game");
  const publisher = new Publisher({ port, room, lanes: postsInFlight, messagesPerPost });
  const receipts = new Receipts(goodSockets, postsInFlight);
  const sink = new ProtocolSink(receipts, goodSockets);
  const common = { port, room, concurrency, protocol: true };
  const good = await openAudience({ ...common, count: goodSockets, sink });
  await publisher.publishFor(isQuick ? 3_000 : 5_000);
  await drain(publisher, receipts, goodSockets);

  const stalledReceipts = new Receipts(goodSockets + stalledSockets, postsInFlight);
  const stalledSink = new ProtocolSink(stalledReceipts, goodSockets + stalledSockets, {
    acknowledges: false,
  });
  const stalled = await openAudience({
    ...common,
    count: stalledSockets,
    firstIndex: goodSockets,
    sink: stalledSink,
  });
  await sleep(settleMs);
  stalled.pause();

  const beforeBytes = residentBytesOf(serverPid);
  const messagesBefore = publisher.published - publisher.refused.size;
  const window = new UsageWindow(serverPid);
  // Less than the thirty seconds after which the shards close them.
  const loadMs = isQuick ? 10_000 : 20_000;
  const peaks = [beforeBytes, beforeBytes];
  const sample = (half: number): void => {
    peaks[half] = Math.max(peaks[half] ?? 0, residentBytesOf(serverPid));
  };
  for (const half of [0, 1]) {
    const sampling = setInterval(sample, sampleMs, half);
    await publisher.publishFor(loadMs / 2);
    sample(half);
    clearInterval(sampling);
  }
  const usage = window.read();
  const messages = publisher.published - publisher.refused.size - messagesBefore;
  await drain(publisher, receipts, goodSockets);
  const afterBytes = residentBytesOf(serverPid);
  const [firstPeak = 0, secondPeak = 0] = peaks;

  // What they were sent is still on the way; they read it now and acknowledge nothing.
  stalled.resume();
  await sleep(settleMs);
  let sentUnits = 0;
  for (let socket = goodSockets; socket < goodSockets + stalledSockets; socket += 1) {
    sentUnits = Math.max(sentUnits, stalledSink.unacknowledgedUnits(socket));
  }
  const verdict = receipts.verdict(publisher.published, publisher.refused);
  const stalledVerdict = stalledReceipts.verdict(0, new Set());
  await Promise.all([good.close(), stalled.close()]);
  publisher.close();
  return {
    metrics: {
      beforeMegabytes: beforeBytes / 1e6,
      peakMegabytes: Math.max(firstPeak, secondPeak) / 1e6,
      afterMegabytes: afterBytes / 1e6,
      kilobytesPerStalled: (Math.max(firstPeak, secondPeak) - beforeBytes) / stalledSockets / 1e3,
      secondHalfMegabytes: (secondPeak - firstPeak) / 1e6,
      sentKilobytesMost: sentUnits / 1e3,
      messagesPerSecond: (messages * 1_000) / usage.elapsedMs,
      lost: verdict.lost,
      repeated: verdict.repeated + stalledVerdict.repeated,
      disagreeing: verdict.disagreeing,
      misordered: verdict.misordered + stalledVerdict.misordered,
      faults: verdict.strays + stalledVerdict.strays + publisher.refused.size,
      elapsedMs: usage.elapsedMs,
      serverCpuMs: usage.serverCpuMs,
      serverShare: usage.serverShare,
      generatorShare: usage.generatorShare,
      othersShare: usage.othersShare,
    },
    complaints: [
      ...publisher.refusals,
      ...receipts.strayReasons,
      ...stalledReceipts.strayReasons.map((reason) => `stalled: ${reason}`),
    ],
  };
}
