/**
 * Owns publishing over protocol-1 sockets: clients that subscribe to nothing, each with a number of
 * publishes unanswered at a time. Knows nothing of who receives.
 */
import { roomPath } from "./audience.ts";
import { encodeMessage } from "./payload.ts";
import { parseRecord, textOf } from "./protocol-sink.ts";
import { type MessageSink, RawWebSocket } from "./raw-web-socket.ts";
import type { Publishing } from "./room-load.ts";

export interface SocketPublisherOptions {
  readonly port: number;
  readonly room: string;
  readonly clients: number;
  /** Publishes that a client has unanswered at a time. */
  readonly unanswered: number;
  readonly topic: string;
}

interface Client {
  readonly lane: number;
  readonly socket: RawWebSocket;
  connection: string;
  /** Publishes so far; the last one's id. */
  count: number;
  /** The message's number by its id's. */
  readonly waiting: Map<number, number>;
  newestSeq: number;
}

const answerLimitMs = 30_000;

export class SocketPublisher implements Publishing, MessageSink {
  readonly lanes: number;
  published = 0;
  answered = 0;
  readonly refused = new Set<number>();
  readonly refusals: string[] = [];
  /** Frames that are no answer, answers out of order, and ends nobody asked for. */
  strays = 0;

  readonly #options: SocketPublisherOptions;
  readonly #clients: Client[] = [];
  #untilMs = 0;
  #idle: (() => void) | undefined;

  private constructor(options: SocketPublisherOptions) {
    this.#options = options;
    this.lanes = options.clients;
  }

  static async open(options: SocketPublisherOptions): Promise<SocketPublisher> {
    const publisher = new SocketPublisher(options);
    try {
      await Promise.all(
        Array.from({ length: options.clients }, (_, lane) => publisher.#open(lane).opened()),
      );
    } catch (error) {
      await publisher.close();
      throw error;
    }
    return publisher;
  }

  /** Keeps every client busy for a time, and resolves when all its publishes are answered. */
  async publishFor(durationMs: number): Promise<void> {
    this.#untilMs = performance.now() + durationMs;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#idle = resolve;
    for (const client of this.#clients) {
      for (let count = 0; count < this.#options.unanswered; count += 1) {
        this.#publish(client);
      }
    }
    const limit = setTimeout(resolve, durationMs + answerLimitMs);
    await promise;
    clearTimeout(limit);
    for (const { waiting } of this.#clients) {
      for (const number of waiting.values()) {
        this.#refuse(number, "no answer");
      }
      waiting.clear();
    }
  }

  handleMessage(lane: number, bytes: Uint8Array, start: number, end: number): void {
    const client = this.#clients[lane];
    const text = textOf(bytes, start, end);
    const frame = parseRecord(text);
    if (client === undefined) {
      return;
    }
    if (frame["type"] === "welcome") {
      client.connection = String(frame["connection"]);
    } else if (frame["type"] === "published" || frame["type"] === "rejected") {
      this.#handleAnswer(client, frame, text);
    } else if (frame["type"] !== "messages" || !isEmpty(frame["data"])) {
      // Its topics leave everything out: it may only be told its position.
      this.handleStray(lane, text);
    }
  }

  handleStray(lane: number, reason: string): void {
    this.strays += 1;
    this.#complain(`client ${lane}: ${reason.slice(0, 200)}`);
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map(({ socket }) => socket.close()));
  }

  #open(lane: number): RawWebSocket {
    const socket = new RawWebSocket({
      port: this.#options.port,
      path: `${roomPath(this.#options.room)}?_pk=bench-p${lane}&protocol=1`,
      index: lane,
      sink: this,
    });
    const waiting = new Map<number, number>();
    this.#clients.push({ lane, socket, connection: "", count: 0, waiting, newestSeq: 0 });
    return socket;
  }

  #publish(client: Client): void {
    const number = this.published;
    this.published += 1;
    client.count += 1;
    client.waiting.set(client.count, number);
    const data = JSON.stringify(encodeMessage(number, client.lane));
    const id = `~${client.connection}:${client.count}`;
    client.socket.send(
      `{"type":"publish","id":"${id}","data":${data},"topic":"${this.#options.topic}"}`,
    );
  }

  #handleAnswer(client: Client, frame: Readonly<Record<string, unknown>>, text: string): void {
    const id = String(frame["id"]);
    const count = Number(id.slice(id.lastIndexOf(":") + 1));
    const number = client.waiting.get(count);
    const seq = Number(frame["seq"]);
    client.waiting.delete(count);
    if (number === undefined) {
      this.handleStray(client.lane, `an answer that nobody waits for: ${text}`);
    } else if (frame["type"] === "rejected") {
      this.#refuse(number, text.slice(0, 200));
    } else {
      this.answered += 1;
      if (!(seq > client.newestSeq)) {
        this.handleStray(client.lane, `out of the client's order: ${text}`);
      }
      client.newestSeq = seq;
    }
    if (performance.now() < this.#untilMs) {
      this.#publish(client);
    } else if (
      client.waiting.size === 0 &&
      this.#clients.every(({ waiting }) => waiting.size === 0)
    ) {
      this.#idle?.();
    }
  }

  #refuse(number: number, reason: string): void {
    this.refused.add(number);
    this.#complain(reason);
  }

  #complain(reason: string): void {
    if (this.refusals.length < 5) {
      this.refusals.push(reason);
    }
  }
}

function isEmpty(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}
