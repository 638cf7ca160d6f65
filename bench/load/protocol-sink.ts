/**
 * Owns the receiving end of protocol-1 sockets: their position, the continuity of what they are
 * sent, and their acknowledgements. Gives every message to the receipts.
 *
 * Frames of benchmark messages have one layout, so that their numbers are read in place. The first
 * frames and some later ones are parsed as well, to prove that the reading is right; when it is not,
 * and for frames of any other layout, there is JSON.parse.
 */
import { ackEvery } from "../../src/protocol/client.ts";
import { messageBytes, quotedBytes, readLane, readNumber } from "./payload.ts";
import { readQuotedLane, readQuotedNumber } from "./payload.ts";
import type { MessageSink, Sender } from "./raw-web-socket.ts";
import type { Receipts } from "./receipts.ts";

const head = Buffer.from('{"type":"messages","after":');
const beforeThrough = Buffer.from(',"through":');
const beforeData = Buffer.from(',"data":[');
const tail = Buffer.from("]}");
const [zero, quote, comma] = [48, 34, 44];
/** Frames parsed to prove the reading in place: so many at first, and then one of so many. */
const provenFrames = 200;
const provenEvery = 1_000;

/** What a frame covers, and where its first message starts; reused for every frame. */
interface Layout {
  after: number;
  through: number;
  start: number;
}

export interface ProtocolSinkOptions {
  /** False for clients that let the server wait. Default true. */
  readonly acknowledges?: boolean;
}

export class ProtocolSink implements MessageSink {
  /** Frames with messages. */
  frames = 0;
  /** Those that had to be parsed because they have another layout. */
  parsedFrames = 0;
  readonly #receipts: Receipts;
  readonly #acknowledges: boolean;
  /** Every socket has all messages up to here; -1 before its welcome. */
  readonly #positions: Float64Array;
  readonly #messagesSinceAck: Uint32Array;
  readonly #unitsSinceAck: Uint32Array;
  readonly #layout: Layout = { after: 0, through: 0, start: 0 };
  #isLayoutProven = true;

  constructor(receipts: Receipts, socketCount: number, options: ProtocolSinkOptions = {}) {
    this.#receipts = receipts;
    this.#acknowledges = options.acknowledges ?? true;
    this.#positions = new Float64Array(socketCount).fill(-1);
    this.#messagesSinceAck = new Uint32Array(socketCount);
    this.#unitsSinceAck = new Uint32Array(socketCount);
  }

  /** UTF-16 units of frames that a socket has been sent and not acknowledged. */
  unacknowledgedUnits(socket: number): number {
    return this.#unitsSinceAck[socket] ?? 0;
  }

  handleMessage(
    socket: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    sender: Sender,
  ): void {
    const layout = this.#layout;
    if (!this.#isLayoutProven || !readLayout(bytes, start, end, layout)) {
      this.#handleParsed(socket, textOf(bytes, start, end), end - start, sender);
      return;
    }
    if (this.frames < provenFrames || this.frames % provenEvery === 0) {
      this.#isLayoutProven = isReadRight(bytes, start, end, layout);
      if (!this.#isLayoutProven) {
        this.#handleParsed(socket, textOf(bytes, start, end), end - start, sender);
        return;
      }
    }
    const atMs = performance.now();
    let at = layout.start;
    for (let seq = layout.after; seq < layout.through; seq += 1) {
      const number = readQuotedNumber(bytes, at);
      this.#receipts.record(socket, number, readQuotedLane(bytes, at), atMs);
      at += quotedBytes + 1;
    }
    const { after, through } = layout;
    this.#handleRun(socket, after, through, through - after, end - start, sender);
  }

  handleStray(socket: number, reason: string): void {
    this.#receipts.handleStray(socket, reason);
  }

  #handleParsed(socket: number, text: string, units: number, sender: Sender): void {
    const frame = parseRecord(text);
    if (frame["type"] === "welcome" && typeof frame["seq"] === "number") {
      this.#positions[socket] = frame["seq"];
      return;
    }
    const { after, through, data } = frame;
    if (
      frame["type"] !== "messages" ||
      typeof after !== "number" ||
      typeof through !== "number" ||
      !Array.isArray(data)
    ) {
      this.handleStray(socket, text.slice(0, 200));
      return;
    }
    // A frame without messages tells a position; one with them should have had the usual layout.
    this.parsedFrames += data.length > 0 ? 1 : 0;
    const atMs = performance.now();
    for (const message of data) {
      const bytes = Buffer.from(String(message));
      const number = bytes.length === messageBytes ? readNumber(bytes, 0) : -1;
      const lane = readLane(bytes, 0);
      if (number < 0 || lane < 0) {
        this.handleStray(socket, String(message).slice(0, 200));
      } else {
        this.#receipts.record(socket, number, lane, atMs);
      }
    }
    this.#handleRun(socket, after, through, data.length, units, sender);
  }

  /** A frame has brought messages; acknowledges by volume, as protocol 1 asks for. */
  #handleRun(
    socket: number,
    after: number,
    through: number,
    messages: number,
    units: number,
    sender: Sender,
  ): void {
    this.frames += 1;
    const position = this.#positions[socket] ?? -1;
    if (after !== position || through <= after) {
      this.handleStray(socket, `${after} to ${through} came to a client that was at ${position}`);
    }
    this.#positions[socket] = through;
    const messagesSinceAck = (this.#messagesSinceAck[socket] ?? 0) + messages;
    const unitsSinceAck = (this.#unitsSinceAck[socket] ?? 0) + units;
    const isDue = messagesSinceAck >= ackEvery.messages || unitsSinceAck >= ackEvery.units;
    if (isDue && this.#acknowledges) {
      sender.send(`{"type":"ack","seq":${through}}`);
      this.#messagesSinceAck[socket] = 0;
      this.#unitsSinceAck[socket] = 0;
    } else {
      this.#messagesSinceAck[socket] = messagesSinceAck;
      this.#unitsSinceAck[socket] = unitsSinceAck;
    }
  }
}

/** Whether this is a frame of benchmark messages alone, one for every number that it covers. */
function readLayout(bytes: Uint8Array, start: number, end: number, layout: Layout): boolean {
  let at = skip(bytes, start, head);
  if (at < 0) {
    return false;
  }
  let after = 0;
  for (; isDigit(bytes[at]); at += 1) {
    after = after * 10 + (bytes[at] ?? 0) - zero;
  }
  at = skip(bytes, at, beforeThrough);
  if (at < 0) {
    return false;
  }
  let through = 0;
  for (; isDigit(bytes[at]); at += 1) {
    through = through * 10 + (bytes[at] ?? 0) - zero;
  }
  at = skip(bytes, at, beforeData);
  const stride = quotedBytes + 1;
  const count = through - after;
  if (at < 0 || count < 1 || at + count * stride - 1 + tail.length !== end) {
    return false;
  }
  if (skip(bytes, end - tail.length, tail) !== end) {
    return false;
  }
  layout.after = after;
  layout.through = through;
  layout.start = at;
  for (let message = 0; message < count; message += 1, at += stride) {
    const isQuoted = bytes[at] === quote && bytes[at + quotedBytes - 1] === quote;
    const isFollowed = message === count - 1 || bytes[at + quotedBytes] === comma;
    if (!isQuoted || !isFollowed || readQuotedNumber(bytes, at) < 0) {
      return false;
    }
    if (readQuotedLane(bytes, at) < 0) {
      return false;
    }
  }
  return true;
}

/** Where `expected` ends when it stands at `start`, else -1. */
function skip(bytes: Uint8Array, start: number, expected: Uint8Array): number {
  for (let index = 0; index < expected.length; index += 1) {
    if (bytes[start + index] !== expected[index]) {
      return -1;
    }
  }
  return start + expected.length;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= zero && byte <= zero + 9;
}

/** Whether the numbers read in place are those that JSON.parse finds. */
function isReadRight(bytes: Uint8Array, start: number, end: number, layout: Layout): boolean {
  const { after, through, data, seq } = parseRecord(textOf(bytes, start, end));
  if (after !== layout.after || through !== layout.through || seq !== undefined) {
    return false;
  }
  if (!Array.isArray(data) || data.length !== layout.through - layout.after) {
    return false;
  }
  return data.every((message, index) => {
    const at = layout.start + index * (quotedBytes + 1);
    const plain = Buffer.from(String(message));
    return (
      plain.length === messageBytes &&
      readNumber(plain, 0) === readQuotedNumber(bytes, at) &&
      readLane(plain, 0) === readQuotedLane(bytes, at)
    );
  });
}

export function textOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString("utf8");
}

/** An empty record when the text is no object of JSON. */
export function parseRecord(text: string): Readonly<Record<string, unknown>> {
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === "object" && json !== null ? { ...json } : {};
  } catch {
    return {};
  }
}
