/**
 * Owns one WebSocket client over a bare TCP socket. It exists because the generator shares the
 * machine with the server: a thousand of these cost a fraction of a thousand full clients. It does
 * what the benchmark needs and no more: no extensions, no fragmented messages, no back-pressure.
 */
import { createHash } from "node:crypto";
import { connect, type Socket } from "node:net";

/** Where an answer goes. */
export interface Sender {
  send(text: string): void;
}

/** Takes what a socket receives; `bytes` is reused after the call. */
export interface MessageSink {
  handleMessage(
    socket: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    sender: Sender,
  ): void;
  /** A frame that is no whole message, or an end that the client did not ask for. */
  handleStray(socket: number, reason: string): void;
}

export interface RawWebSocketOptions {
  readonly port: number;
  readonly path: string;
  /** The number under which the sink knows this socket. */
  readonly index: number;
  readonly sink: MessageSink;
}

const openLimitMs = 15_000;
const closeLimitMs = 3_000;
const key = "cGFydHlzaGFyZC1iZW5jaA==";
const acceptKey = createHash("sha1")
  .update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
  .digest("base64");
const opcode = { text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
/** One buffer serves all sockets: Node fills it and calls back before it reads another socket. */
const readBuffer = Buffer.allocUnsafe(256 * 1_024);
/** Masked with zeros, so that the payload stands as it is: 1000, "normal closure". */
const closeFrame = Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]);

export class RawWebSocket implements Sender {
  readonly #options: RawWebSocketOptions;
  readonly #opened = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<void>();
  readonly #socket: Socket;
  #phase: "opening" | "open" | "closing" = "opening";
  #carry: Buffer | undefined;

  constructor(options: RawWebSocketOptions) {
    this.#options = options;
    this.#socket = connect({
      host: "127.0.0.1",
      port: options.port,
      noDelay: true,
      onread: {
        buffer: readBuffer,
        callback: (length, bytes) => {
          this.#handleBytes(bytes, length);
          return true;
        },
      },
    });
    this.#socket.on("error", (error) => this.#opened.reject(error));
    this.#socket.on("close", () => this.#handleClosed());
    this.#socket.write(
      `GET ${options.path} HTTP/1.1\r\nHost: 127.0.0.1:${options.port}\r\n` +
        `Connection: Upgrade\r\nUpgrade: websocket\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
    );
  }

  /** Resolves when the handshake completed; rejects with the server's answer when it did not. */
  async opened(): Promise<void> {
    const limit = setTimeout(
      () => this.#opened.reject(new Error(`no handshake within ${openLimitMs} ms`)),
      openLimitMs,
    );
    try {
      await this.#opened.promise;
    } catch (error) {
      this.#phase = "closing";
      this.#socket.destroy();
      throw error;
    } finally {
      clearTimeout(limit);
    }
  }

  /** Sends one text of less than 64 KiB. */
  send(text: string): void {
    const length = Buffer.byteLength(text);
    const start = length < 126 ? 6 : 8;
    const frame = Buffer.allocUnsafe(start + length);
    frame[0] = 0x80 | opcode.text;
    if (length < 126) {
      frame[1] = 0x80 | length;
    } else {
      frame[1] = 0x80 | 126;
      frame.writeUInt16BE(length, 2);
    }
    // A mask of zeros: the text stands as it is.
    frame.fill(0, start - 4, start);
    frame.write(text, start);
    this.#socket.write(frame);
  }

  /** Reads no more from the connection, until it is resumed or closed. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Says goodbye and resolves when the server has closed the connection, or soon after. */
  async close(): Promise<void> {
    this.#phase = "closing";
    if (!this.#socket.destroyed) {
      this.#socket.write(closeFrame);
      this.#socket.resume();
    }
    const limit = setTimeout(() => this.#socket.destroy(), closeLimitMs);
    await this.#closed.promise;
    clearTimeout(limit);
  }

  #handleClosed(): void {
    if (this.#phase === "opening") {
      this.#opened.reject(new Error("the connection ended before the handshake"));
    } else if (this.#phase === "open") {
      this.#options.sink.handleStray(this.#options.index, "the server ended the connection");
    }
    this.#phase = "closing";
    this.#closed.resolve();
  }

  #handleBytes(chunk: Uint8Array, length: number): void {
    let bytes = chunk;
    let end = length;
    if (this.#carry !== undefined) {
      bytes = Buffer.concat([this.#carry, chunk.subarray(0, length)]);
      end = bytes.length;
      this.#carry = undefined;
    }
    const start = this.#phase === "opening" ? this.#readHandshake(bytes, end) : 0;
    const consumed = this.#phase === "opening" ? start : this.#readFrames(bytes, start, end);
    if (consumed < end) {
      this.#carry = Buffer.from(bytes.subarray(consumed, end));
    }
  }

  /** Returns where the frames begin; stays in phase "opening" until the whole head is there. */
  #readHandshake(bytes: Uint8Array, end: number): number {
    const head = Buffer.from(bytes.buffer, bytes.byteOffset, end).toString("latin1");
    const headEnd = head.indexOf("\r\n\r\n");
    if (headEnd < 0) {
      return 0;
    }
    if (!head.startsWith("HTTP/1.1 101 ") || !head.includes(acceptKey)) {
      this.#opened.reject(new Error(`the server answered ${head.slice(0, 300)}`));
      return end;
    }
    this.#phase = "open";
    this.#opened.resolve();
    return headEnd + 4;
  }

  /** Hands on every whole frame and returns where the first incomplete one begins. */
  #readFrames(bytes: Uint8Array, from: number, end: number): number {
    let at = from;
    while (end - at >= 2) {
      const first = bytes[at] ?? 0;
      let length = bytes[at + 1] ?? 0;
      let start = at + 2;
      if (length === 126) {
        start = at + 4;
        length = (bytes[at + 2] ?? 0) * 256 + (bytes[at + 3] ?? 0);
      } else if (length === 127) {
        start = at + 10;
        length = start > end ? 0 : readUint64(bytes, at + 2);
      }
      if (start + length > end) {
        return at;
      }
      this.#handleFrame(first, bytes, start, start + length);
      at = start + length;
    }
    return at;
  }

  #handleFrame(first: number, bytes: Uint8Array, start: number, end: number): void {
    const { sink, index } = this.#options;
    if (first === (0x80 | opcode.text) || first === (0x80 | opcode.binary)) {
      sink.handleMessage(index, bytes, start, end, this);
    } else if (first === (0x80 | opcode.close)) {
      if (this.#phase === "open") {
        const code = (bytes[start] ?? 0) * 256 + (bytes[start + 1] ?? 0);
        sink.handleStray(index, `the server closed with ${code}`);
      }
      this.#phase = "closing";
      this.#socket.end();
    } else if (first !== (0x80 | opcode.pong) && first !== (0x80 | opcode.ping)) {
      sink.handleStray(index, `an unexpected frame, 0x${first.toString(16)}`);
    }
  }
}

function readUint64(bytes: Uint8Array, at: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, 8);
  return Number(view.getBigUint64(0));
}
