/**
 * Owns the course of every workload that publishes into a room: audience, warm-up, the measured
 * stretch, the wait for the last delivery, the verdict. What is published when is the workload's.
 */
import { openAudience } from "./audience.ts";
import { Publisher } from "./publisher.ts";
import { Receipts, type Verdict } from "./receipts.ts";
import { type Usage, UsageWindow } from "./usage-window.ts";

export interface RoomLoadOptions {
  readonly port: number;
  readonly serverPid: number;
  readonly room: string;
  readonly sockets: number;
  readonly lanes: number;
  readonly messagesPerPost: number;
  readonly warmUp: (publisher: Publisher) => Promise<void>;
  readonly measured: (publisher: Publisher, receipts: Receipts) => Promise<void>;
}

export interface RoomLoadResult {
  readonly usage: Usage;
  /** Within the measured stretch. */
  readonly posts: number;
  readonly messages: number;
  readonly deliveries: number;
  /** Messages that were answered but not yet delivered, per socket, when the last POST was answered. */
  readonly backlogMessages: number;
  readonly verdict: Verdict;
  readonly refused: number;
  readonly complaints: readonly string[];
}

const connectConcurrency = 64;
/** After connecting, both sides get time for what they put off, e.g. reports and timers. */
const settleMs = 1_000;
const drainLimitMs = 30_000;
const drainPollMs = 2;

export async function loadRoom(options: RoomLoadOptions): Promise<RoomLoadResult> {
  const { port, room, sockets, serverPid } = options;
  const receipts = new Receipts(sockets);
  const publisher = new Publisher(options);
  const audience = await openAudience({
    port,
    room,
    count: sockets,
    concurrency: connectConcurrency,
    sink: receipts,
  });
  try {
    await sleep(settleMs);
    await options.warmUp(publisher);
    await drain(publisher, receipts, sockets);

    const before = { ...counted(publisher), deliveries: receipts.delivered };
    const window = new UsageWindow(serverPid);
    await options.measured(publisher, receipts);
    const answeredMs = performance.now();
    const accepted = publisher.published - publisher.refused.size;
    const backlogMessages = accepted - receipts.delivered / sockets;
    await drain(publisher, receipts, sockets);
    const usage = window.read(Math.max(answeredMs, receipts.lastArrivalMs));

    const after = counted(publisher);
    return {
      usage,
      posts: after.posts - before.posts,
      messages: after.messages - before.messages,
      deliveries: receipts.delivered - before.deliveries,
      backlogMessages,
      verdict: receipts.verdict(publisher.published, publisher.refused),
      refused: publisher.refused.size,
      complaints: [...publisher.refusals, ...receipts.strayReasons],
    };
  } finally {
    publisher.close();
    await audience.close();
  }
}

function counted(publisher: Publisher): { posts: number; messages: number } {
  return {
    posts: publisher.answered,
    messages: publisher.published - publisher.refused.size,
  };
}

/** Waits until every socket can have got everything, or until nothing more comes in time. */
async function drain(publisher: Publisher, receipts: Receipts, sockets: number): Promise<void> {
  const endMs = performance.now() + drainLimitMs;
  const expected = (publisher.published - publisher.refused.size) * sockets;
  while (receipts.delivered < expected && performance.now() < endMs) {
    await sleep(drainPollMs);
  }
}

export async function sleep(durationMs: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, durationMs));
}
