/** A `WebSocket` whose other end is the test. */
import { CloseEvent } from "partysocket/ws";
import type { ClientFrame, ServerFrame } from "../../src/protocol/client.ts";

export class FakeWebSocket extends EventTarget {
  readonly url: string;
  binaryType: BinaryType = "blob";
  readyState = 0;
  bufferedAmount = 0;
  readonly sent: string[] = [];
  closedWith: { readonly code: number; readonly reason: string } | null = null;

  constructor(url: string) {
    super();
    this.url = url;
  }

  send(text: string): void {
    this.sent.push(text);
  }

  close(code = 1000, reason = ""): void {
    this.readyState = 3;
    this.closedWith ??= { code, reason };
  }

  /** What the client sent as JSON. */
  get frames(): ClientFrame[] {
    return this.sent.flatMap((text) => (text === "ping" ? [] : [JSON.parse(text) as ClientFrame]));
  }

  get query(): Record<string, string> {
    return Object.fromEntries(new URL(this.url).searchParams);
  }

  accept(): void {
    this.readyState = 1;
    this.dispatchEvent(new Event("open"));
  }

  say(frame: ServerFrame): void {
    this.dispatchEvent(new MessageEvent("message", { data: JSON.stringify(frame) }));
  }

  /** Accepts and welcomes; by default at position 5 of epoch e. */
  welcome(more: Partial<ServerFrame & { type: "welcome" }> = {}): void {
    this.accept();
    const names = { connection: "c", shard: "room-1" };
    const place = { epoch: "e", seq: 5, recovered: false };
    this.say({ type: "welcome", protocol: 1, ...names, ...place, ...more });
  }

  drop(code: number, reason = "lost"): void {
    this.readyState = 3;
    this.dispatchEvent(new CloseEvent(code, reason, {}));
  }
}

/** The sockets that a client opens, one after the other. */
export class FakeNetwork {
  readonly sockets: FakeWebSocket[] = [];
  readonly #waiting: ((socket: FakeWebSocket) => void)[] = [];
  #taken = 0;
  readonly WebSocket: typeof FakeWebSocket;

  constructor() {
    const opened = (socket: FakeWebSocket): void => {
      this.sockets.push(socket);
      this.#hand();
    };
    this.WebSocket = class extends FakeWebSocket {
      constructor(url: string) {
        super(url);
        opened(this);
      }
    };
  }

  /** The next socket that was not given yet, once the client opens it. */
  async next(): Promise<FakeWebSocket> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#hand();
    });
  }

  #hand(): void {
    while (this.#taken < this.sockets.length) {
      const socket = this.sockets[this.#taken];
      const give = this.#waiting[0];
      if (socket === undefined || give === undefined) return;
      this.#waiting.shift();
      this.#taken += 1;
      give(socket);
    }
  }
}
