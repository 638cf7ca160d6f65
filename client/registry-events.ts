/**
 * The registry's events as an async iterable: over a WebSocket, with acknowledgements of what was
 * taken, or as `text/event-stream`; connects again after every break, and after a silence in which the
 * registry would have said something. Knows nothing of what the events mean. Events of the time between
 * two connections are lost, which a gap in `seq` tells.
 */
import { acknowledgeEvery } from "../src/protocol/event-bounds.ts";
import type { RegistryEvent } from "../src/protocol/registry.ts";
import { mayRetry, type RegistryHttp } from "./registry-http.ts";
import type { RegistryProblem } from "./registry-result.ts";
import { eventTexts } from "./event-stream.ts";
import { isObject } from "./server-frame.ts";
import { socketTexts, type OpenWebSocket } from "./socket-texts.ts";

const pauses = { firstMs: 500, maxMs: 30_000 };
const path = "events";

export type EventOptions = {
  /** Ends the iteration. */
  readonly signal?: AbortSignal;
};

export class RegistryEvents implements AsyncIterable<RegistryEvent> {
  readonly #http: RegistryHttp;
  readonly #pattern: string;
  readonly #openWebSocket: OpenWebSocket | undefined;
  readonly #ended = new AbortController();
  #problem: RegistryProblem | null = null;
  readonly #subscribed = Promise.withResolvers<boolean>();
  #failures = 0;

  constructor(
    http: RegistryHttp,
    pattern: string,
    openWebSocket: OpenWebSocket | undefined,
    { signal }: EventOptions,
  ) {
    this.#http = http;
    this.#pattern = pattern;
    this.#openWebSocket = openWebSocket;
    if (signal?.aborted === true) this.close();
    signal?.addEventListener("abort", () => this.close(), { once: true });
  }

  /** Why the iteration ended by itself: the registry refuses, and would again. */
  get problem(): RegistryProblem | null {
    return this.#problem;
  }

  /**
   * Resolves once events arrive from now on (true), or will never (false). Somebody must iterate
   * meanwhile.
   */
  get subscribed(): Promise<boolean> {
    return this.#subscribed.promise;
  }

  close(): void {
    this.#ended.abort();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<RegistryEvent, void, void> {
    try {
      while (!this.#ended.signal.aborted) {
        yield* this.#connection();
        if (this.#problem !== null) return;
        this.#failures += 1;
        await pause(this.#failures, this.#ended.signal);
      }
    } finally {
      this.close();
      this.#subscribed.resolve(false);
    }
  }

  /** What one connection brings; ends with it. */
  async *#connection(): AsyncGenerator<RegistryEvent, void, void> {
    const connection = new AbortController();
    const stop = (): void => connection.abort();
    this.#ended.signal.addEventListener("abort", stop, { once: true });
    try {
      yield* this.#openWebSocket === undefined
        ? this.#overHttp(connection.signal)
        : this.#overWebSocket(this.#openWebSocket, connection.signal);
    } finally {
      this.#ended.signal.removeEventListener("abort", stop);
      connection.abort();
    }
  }

  async *#overWebSocket(
    open: OpenWebSocket,
    signal: AbortSignal,
  ): AsyncGenerator<RegistryEvent, void, void> {
    const url = this.#http.address(path, { pattern: this.#pattern }).replace(/^http/, "ws");
    const socket = open(url, this.#http.headers);
    let taken = 0;
    let hasOpened = false;
    for await (const text of socketTexts(socket, signal)) {
      hasOpened = true;
      const event = this.#read(text);
      if (event === null) continue;
      yield event;
      taken += 1;
      if (taken % acknowledgeEvery === 0)
        socket.send(JSON.stringify({ type: "ack", seq: event.seq }));
    }
    // A refused upgrade looks like any other failure; the stream of the same address tells why.
    if (!hasOpened && !signal.aborted) await this.#askWhy(signal);
  }

  async *#overHttp(signal: AbortSignal): AsyncGenerator<RegistryEvent, void, void> {
    const response = await this.#open(signal);
    if (response === null) return;
    for await (const text of eventTexts(response, signal)) {
      const event = this.#read(text);
      if (event !== null) yield event;
    }
  }

  async #askWhy(signal: AbortSignal): Promise<void> {
    const response = await this.#open(signal);
    await response?.body?.cancel();
  }

  async #open(signal: AbortSignal): Promise<Response | null> {
    const query = { pattern: this.#pattern };
    const opened = await this.#http.open(path, query, "text/event-stream", signal);
    if (opened.ok) return opened.value;
    if (!mayRetry(opened.problem)) this.#problem = opened.problem;
    return null;
  }

  #read(text: string): RegistryEvent | null {
    const frame = parse(text);
    if (isEvent(frame)) return frame;
    if (isObject(frame) && frame["type"] === "subscribed") {
      this.#failures = 0;
      this.#subscribed.resolve(true);
    }
    return null;
  }
}

function isEvent(value: unknown): value is RegistryEvent {
  return (
    isObject(value) &&
    typeof value["seq"] === "number" &&
    typeof value["at"] === "number" &&
    typeof value["type"] === "string" &&
    value["type"] !== "subscribed"
  );
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** A random share of a bound that doubles with every failure; at least 1 ms. */
async function pause(failures: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const bound = Math.min(pauses.maxMs, pauses.firstMs * 2 ** Math.min(failures - 1, 30));
  const { promise, resolve } = Promise.withResolvers<null>();
  const done = (): void => resolve(null);
  const timer = setTimeout(done, Math.ceil(Math.random() * bound));
  signal.addEventListener("abort", done, { once: true });
  await promise;
  clearTimeout(timer);
  signal.removeEventListener("abort", done);
}
