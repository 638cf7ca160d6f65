/**
 * Owns the course of every workload that publishes into a room: audience, warm-up, the measured
 * stretch, the wait for the last delivery, the verdict. What is published when is the workload's.
 */
import { openAudience } from "./audience.ts";
import { ProtocolSink } from "./protocol-sink.ts";
import { Receipts, type Verdict } from "./receipts.ts";
import { type Usage, UsageWindow } from "./usage-window.ts";

/** What is known of publishing, however it is done. */
export interface Publishing {
  /** Lanes that messages come from: 0 up to this. */
  readonly lanes: number;
  /** Numbers used so far. */
  readonly published: number;
  /** Requests that were answered with success. */
  readonly answered: number;
  /** Numbers of messages that were refused. */
  readonly refused: ReadonlySet<number>;
  /** The first few reasons, to be shown. */
  readonly refusals: readonly string[];
  readonly close: () => void | Promise<void>;
}

export interface RoomLoadOptions<Publisher extends Publishing> {
  readonly port: number;
  readonly serverPid: number;
  readonly room: string;
  readonly sockets: number;
  /** Sockets of protocol 1, not plain ones. */
  readonly protocol?: boolean;
  /** Their topic filters. */
  readonly topics?: string;
  /** Closed at the end. */
  readonly publisher: Publisher;
  readonly warmUp: (publisher: Publisher) => Promise<void>;
  readonly measured: (publisher: Publisher, receipts: Receipts) => Promise<void>;
}

export interface RoomLoadResult {
  readonly usage: Usage;
  /** Within the measured stretch. */
  readonly posts: number;
  readonly messages: number;
  readonly deliveries: number;
  /** A frame of protocol 1 carried on average; 1 for plain sockets. */
  readonly messagesPerFrame: number;
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
/** Nothing has arrived for so long: nothing more will. */
const drainIdleMs = 10_000;

export async function loadRoom<Publisher extends Publishing>(
  options: RoomLoadOptions<Publisher>,
): Promise<RoomLoadResult> {
  const { port, room, sockets, serverPid, publisher, protocol = false, topics } = options;
  const receipts = new Receipts(sockets, publisher.lanes);
  const protocolSink = protocol ? new ProtocolSink(receipts, sockets) : undefined;
  const audience = await openAudience({
    port,
    room,
    count: sockets,
    concurrency: connectConcurrency,
    sink: protocolSink ?? receipts,
    protocol,
    ...(topics === undefined ? {} : { topics }),
  });
  try {
    await sleep(settleMs);
    await options.warmUp(publisher);
    await drain(publisher, receipts, sockets);

    const before = { ...counted(publisher), deliveries: receipts.delivered };
    const framesBefore = protocolSink?.frames ?? 0;
    const window = new UsageWindow(serverPid);
    await options.measured(publisher, receipts);
    const answeredMs = performance.now();
    const accepted = publisher.published - publisher.refused.size;
    const backlogMessages = accepted - receipts.delivered / sockets;
    await drain(publisher, receipts, sockets);
    const usage = window.read(Math.max(answeredMs, receipts.lastArrivalMs));

    const after = counted(publisher);
    const deliveries = receipts.delivered - before.deliveries;
    const frames = protocolSink === undefined ? deliveries : protocolSink.frames - framesBefore;
    return {
      usage,
      posts: after.posts - before.posts,
      messages: after.messages - before.messages,
      deliveries,
      messagesPerFrame: deliveries / Math.max(1, frames),
      backlogMessages,
      verdict: receipts.verdict(publisher.published, publisher.refused),
      refused: publisher.refused.size,
      complaints: [...publisher.refusals, ...receipts.strayReasons],
    };
  } finally {
    await publisher.close();
    await audience.close();
  }
}

function counted(publisher: Publishing): { posts: number; messages: number } {
  return {
    posts: publisher.answered,
    messages: publisher.published - publisher.refused.size,
  };
}

/** Waits until every socket can have got everything, or until nothing more comes in time. */
export async function drain(
  publisher: Publishing,
  receipts: Receipts,
  sockets: number,
): Promise<void> {
  const startMs = performance.now();
  const expected = (publisher.published - publisher.refused.size) * sockets;
  while (receipts.delivered < expected) {
    const nowMs = performance.now();
    const idleSinceMs = Math.max(startMs, receipts.lastArrivalMs);
    if (nowMs > startMs + drainLimitMs || nowMs > idleSinceMs + drainIdleMs) {
      return;
    }
    await sleep(drainPollMs);
  }
}

export async function sleep(durationMs: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, durationMs));
}
