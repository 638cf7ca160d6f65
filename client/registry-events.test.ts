import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { RegistryClient, type RegistryEvent } from "./registry-client.ts";
import type { TextSocket } from "./socket-texts.ts";

beforeEach(() => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
});

const subscribed = { type: "subscribed", pattern: "*", seq: 0 };
const event = (seq: number) => ({ type: "room:message", roomId: "a", data: seq, seq, at: seq });

async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}

/** Takes events until the test is over, and says which came. */
function taken(client: RegistryClient): number[] {
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const seqs: number[] = [];
  const take = async (events: AsyncIterable<RegistryEvent>): Promise<void> => {
    for await (const { seq } of events) seqs.push(seq);
  };
  void take(client.events("*", { signal: stop.signal }));
  return seqs;
}

class Line implements TextSocket {
  readonly pings: number[] = [];
  isClosed = false;
  answersPings = false;
  #onMessage = (_event: { data: unknown }): void => {};

  addEventListener(type: string, listener: (event: { data: unknown }) => void): void {
    if (type === "message") this.#onMessage = listener;
  }

  send(text: string): void {
    if (text !== "ping") return;
    this.pings.push(Date.now());
    if (this.answersPings) this.#onMessage({ data: "pong" });
  }

  close(): void {
    this.isClosed = true;
  }

  bring(value: unknown): void {
    this.#onMessage({ data: JSON.stringify(value) });
  }
}

/** A client over sockets that say nothing by themselves. */
function overSockets(): { client: RegistryClient; lines: Line[] } {
  const lines: Line[] = [];
  const client = new RegistryClient({
    fetch: async () => new Response(null, { status: 503 }),
    openWebSocket: () => {
      const line = new Line();
      lines.push(line);
      return line;
    },
  });
  return { client, lines };
}

test("GS5 a socket on which nothing came for 60 seconds, in spite of pings, is given up for another", async () => {
  const { client, lines } = overSockets();
  const seqs = taken(client);
  await pass(0);
  const [line] = lines;
  line?.bring(subscribed);
  await pass(10_000);
  line?.bring(event(1));
  const heardAt = Date.now();
  await pass(59_999);
  expect(line?.pings.map((at) => at - heardAt)).toEqual([20_000, 40_000]);
  expect([lines.length, line?.isClosed]).toEqual([1, false]);
  await pass(1);
  expect(line?.isClosed).toBe(true);
  await pass(500);
  expect(lines.length).toBe(2);
  lines[1]?.bring(event(2));
  await pass(0);
  expect(seqs).toEqual([1, 2]);
});

test("GS5 a socket whose other end answers pings is kept, and the answers are nothing to the application", async () => {
  const { client, lines } = overSockets();
  const seqs = taken(client);
  await pass(0);
  const [line] = lines;
  if (line !== undefined) line.answersPings = true;
  line?.bring(subscribed);
  await pass(600_000);
  expect(line?.pings.length).toBe(30);
  line?.bring(event(1));
  await pass(0);
  expect([seqs, lines.length, line?.isClosed]).toEqual([[1], 1, false]);
});

test("GS5 a socket that never opens is sent nothing, and given up after 60 seconds", async () => {
  const { client, lines } = overSockets();
  taken(client);
  await pass(60_000);
  expect([lines[0]?.isClosed, lines[0]?.pings]).toEqual([true, []]);
  await pass(500);
  expect(lines.length).toBe(2);
});

test("GS5 what came before a socket went silent is handed over, however late it is taken", async () => {
  const { client, lines } = overSockets();
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const iterator = client.events("*", { signal: stop.signal })[Symbol.asyncIterator]();
  const first = iterator.next();
  await pass(0);
  for (const seq of [1, 2]) lines[0]?.bring(event(seq));
  expect(await first).toMatchObject({ value: { seq: 1 } });
  await pass(600_000);
  expect(await iterator.next()).toMatchObject({ value: { seq: 2 } });
  expect(lines.length).toBe(1);
});

test("GS5 a stream without a word or a comment for 60 seconds is given up for another", async () => {
  const streams: ReadableStreamDefaultController<Uint8Array>[] = [];
  let cancelled = 0;
  const client = new RegistryClient({
    fetch: async () =>
      new Response(
        new ReadableStream<Uint8Array>({
          start: (controller) => void streams.push(controller),
          cancel: () => void (cancelled += 1),
        }),
      ),
  });
  const bring = (text: string): void => streams.at(-1)?.enqueue(new TextEncoder().encode(text));
  const seqs = taken(client);
  await pass(0);
  bring(`data: ${JSON.stringify(subscribed)}\n\n`);
  for (let times = 0; times < 10; times += 1) {
    await pass(50_000);
    bring(": ping\n\n");
  }
  await pass(59_999);
  expect([streams.length, cancelled]).toEqual([1, 0]);
  await pass(1);
  expect(cancelled).toBe(1);
  await pass(500);
  expect(streams.length).toBe(2);
  bring(`data: ${JSON.stringify(event(7))}\n\n`);
  await pass(0);
  expect(seqs).toEqual([7]);
});
