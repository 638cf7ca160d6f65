/**
 * Owns one keep-alive HTTP/1.1 connection that carries one request at a time. Bare for the same
 * reason as the WebSocket client: it costs the generator a tenth of a full HTTP client.
 */
import { connect, type Socket } from "node:net";

export interface Reply {
  readonly status: number;
  readonly body: string;
}

const replyLimitMs = 30_000;
/** workerd ends a connection that was idle for five seconds, perhaps just when it is used again. */
const idleLimitMs = 3_000;

export class HttpLane {
  readonly #port: number;
  #socket: Socket | undefined;
  #received = "";
  #usedAtMs = 0;
  #waiting: PromiseWithResolvers<Reply> | undefined;

  constructor(port: number) {
    this.#port = port;
  }

  /** Sends one POST and resolves with its answer; rejects when the connection ends before it. */
  post(path: string, contentType: string, body: string): Promise<Reply> {
    return this.#exchange(
      `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1:${this.#port}\r\nContent-Type: ${contentType}\r\n` +
        `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
  }

  /** Sends one GET, as `post` does. */
  get(path: string): Promise<Reply> {
    return this.#exchange(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${this.#port}\r\n\r\n`);
  }

  close(): void {
    this.#socket?.destroy();
  }

  async #exchange(request: string): Promise<Reply> {
    if (this.#waiting !== undefined) {
      throw new Error("a lane carries one request at a time");
    }
    const waiting = Promise.withResolvers<Reply>();
    this.#waiting = waiting;
    if (performance.now() - this.#usedAtMs > idleLimitMs) {
      this.#socket?.destroy();
      this.#socket = undefined;
    }
    this.#socket ??= this.#open();
    this.#socket.write(request);
    try {
      return await waiting.promise;
    } finally {
      this.#waiting = undefined;
      this.#received = "";
      this.#usedAtMs = performance.now();
    }
  }

  #open(): Socket {
    const socket = connect({ host: "127.0.0.1", port: this.#port, noDelay: true });
    const end = (error: Error): void => {
      if (this.#socket === socket) {
        this.#socket = undefined;
        this.#waiting?.reject(error);
      }
      socket.destroy();
    };
    socket.setEncoding("latin1").setTimeout(replyLimitMs);
    socket.on("data", (chunk) => this.#handleData(String(chunk)));
    socket.on("timeout", () => end(new Error(`no answer within ${replyLimitMs} ms`)));
    socket.on("error", end);
    socket.on("close", () => end(new Error("the server ended the connection")));
    return socket;
  }

  #handleData(chunk: string): void {
    this.#received += chunk;
    const reply = readReply(this.#received);
    if (reply !== undefined) {
      this.#waiting?.resolve(reply);
    }
  }
}

/** The reply when it is complete. */
function readReply(received: string): Reply | undefined {
  const headEnd = received.indexOf("\r\n\r\n");
  if (headEnd < 0) {
    return undefined;
  }
  const status = Number(received.slice("HTTP/1.1 ".length, "HTTP/1.1 200".length));
  const body = received.slice(headEnd + 4);
  const length = /\r\ncontent-length: *(\d+)/iu.exec(received.slice(0, headEnd))?.[1];
  if (length === undefined) {
    return body.endsWith("0\r\n\r\n") ? { status, body } : undefined;
  }
  return body.length >= Number(length) ? { status, body } : undefined;
}
