/** A client inside workerd: a socket that records what it gets, and requests to the Worker under test. */
import { exports } from "cloudflare:workers";

const origin = "http://worker.test";

export class TestClient {
  readonly received: (string | Uint8Array)[] = [];
  readonly closed: Promise<number>;
  readonly #socket: WebSocket;
  #waiting: { readonly count: number; readonly resolve: () => void }[] = [];

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    this.closed = new Promise((resolve) => {
      socket.addEventListener("close", ({ code }) => resolve(code));
    });
    socket.addEventListener("message", ({ data }) => {
      this.received.push(typeof data === "string" ? data : new Uint8Array(data as ArrayBuffer));
      this.#waiting = this.#waiting.filter(({ count, resolve }) => {
        if (this.received.length < count) return true;
        resolve();
        return false;
      });
    });
    socket.accept();
  }

  static async connect(room: string, query = ""): Promise<TestClient> {
    const url = `${origin}/parties/router/${room}${query}`;
    const response = await exports.default.fetch(url, { headers: { Upgrade: "websocket" } });
    if (response.webSocket === null) throw new Error(`no socket: ${response.status}`);
    return new TestClient(response.webSocket);
  }

  static async connectMany(room: string, count: number): Promise<TestClient[]> {
    return Promise.all(Array.from({ length: count }, () => TestClient.connect(room)));
  }

  /** Resolves once so many messages have come; the test's timeout is the deadline. */
  receives(count: number): Promise<void> {
    if (this.received.length >= count) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ count, resolve }));
  }

  send(data: string): void {
    this.#socket.send(data);
  }

  close(): void {
    this.#socket.close(1000, "done");
  }
}

export type PublishAnswer = {
  readonly epoch: string;
  readonly seq: number;
  readonly shards: { readonly delivered: number; readonly pending: number };
};

export async function publish(
  room: string,
  body: string,
  options: { query?: string; headers?: Record<string, string> } = {},
): Promise<PublishAnswer> {
  const url = `${origin}/parties/router/${room}${options.query ?? ""}`;
  const response = await exports.default.fetch(url, {
    method: "POST",
    body,
    headers: options.headers ?? {},
  });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  return response.json();
}

/** Publishes and waits until every shard has it, so that all clients' frames are on their way. */
export function publishDelivered(room: string, body: string): Promise<PublishAnswer> {
  return publish(room, body, { query: "?wait=delivered" });
}

let rooms = 0;

/** A room that no other test of this file uses, of a type with so many shards. */
export function freshRoom(type: "default" | "wide" | "game"): string {
  rooms += 1;
  return `${type}:test-${rooms}`;
}
