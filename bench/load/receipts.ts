/**
 * Owns the proof of delivery: for every socket which messages arrived, how often and in which
 * order. Knows numbers only, neither sockets' connections nor who published.
 */
import { maxLanes, messageBytes, readLane, readNumber } from "./payload.ts";
import type { MessageSink } from "./raw-web-socket.ts";

export interface Verdict {
  /** Messages that were answered as published and that a socket did not get, over all sockets. */
  readonly lost: number;
  readonly repeated: number;
  /** Sockets whose order of arrival differs from the commonest one. */
  readonly disagreeing: number;
  /** Messages that came before an earlier one of the same lane. */
  readonly misordered: number;
  /** Frames that are no message of this run, and ends nobody asked for. */
  readonly strays: number;
}

export class Receipts implements MessageSink {
  /** Messages that arrived, over all sockets, repetitions included. */
  delivered = 0;
  /** `performance.now()` of the newest arrival. */
  lastArrivalMs = 0;
  /** Called with each arrival where a workload wants to know, e.g. for latencies. */
  onArrival: ((number: number, atMs: number) => void) | undefined;

  readonly #seen: Uint8Array[];
  readonly #orders: Uint32Array;
  readonly #newestOfLane: Int32Array;
  readonly #lanes: number;
  readonly #strays: string[] = [];
  #repeated = 0;
  #misordered = 0;
  #strayCount = 0;

  /** `lanes` is how many publish: a message of any other is a stray. */
  constructor(socketCount: number, lanes: number) {
    if (lanes > maxLanes) {
      throw new RangeError(`a message can tell ${maxLanes} lanes apart, not ${lanes}`);
    }
    this.#seen = Array.from({ length: socketCount }, () => new Uint8Array(256));
    this.#orders = new Uint32Array(socketCount);
    this.#newestOfLane = new Int32Array(socketCount * lanes).fill(-1);
    this.#lanes = lanes;
  }

  /** The first few reasons of strays, to be shown. */
  get strayReasons(): readonly string[] {
    return this.#strays;
  }

  handleMessage(socket: number, bytes: Uint8Array, start: number, end: number): void {
    const number = end - start === messageBytes ? readNumber(bytes, start) : -1;
    const lane = number < 0 ? -1 : readLane(bytes, start);
    if (lane < 0) {
      this.handleStray(socket, Buffer.from(bytes.subarray(start, end)).toString("latin1", 0, 200));
      return;
    }
    this.record(socket, number, lane, performance.now());
  }

  /** One message has arrived at a socket. */
  record(socket: number, number: number, lane: number, atMs: number): void {
    if (lane >= this.#lanes) {
      this.handleStray(socket, `message ${number} came from lane ${lane}, which nobody uses`);
      return;
    }
    this.delivered += 1;
    this.lastArrivalMs = atMs;
    this.#markSeen(socket, number);
    this.#orders[socket] = Math.imul((this.#orders[socket] ?? 0) ^ (number + 1), 0x01000193);
    const laneSlot = socket * this.#lanes + lane;
    if (number < (this.#newestOfLane[laneSlot] ?? -1)) {
      this.#misordered += 1;
    } else {
      this.#newestOfLane[laneSlot] = number;
    }
    this.onArrival?.(number, atMs);
  }

  handleStray(_socket: number, reason: string): void {
    this.#strayCount += 1;
    if (this.#strays.length < 5) {
      this.#strays.push(reason);
    }
  }

  /** Judges all arrivals, given how many numbers were used and which of them were not accepted. */
  verdict(publishedCount: number, refused: ReadonlySet<number>): Verdict {
    let lost = 0;
    for (const seen of this.#seen) {
      for (let number = 0; number < publishedCount; number += 1) {
        const isSeen = ((seen[number >> 3] ?? 0) & (1 << (number & 7))) !== 0;
        lost += isSeen || refused.has(number) ? 0 : 1;
      }
    }
    return {
      lost,
      repeated: this.#repeated,
      disagreeing: this.#orders.length - commonestCount(this.#orders),
      misordered: this.#misordered,
      strays: this.#strayCount,
    };
  }

  #markSeen(socket: number, number: number): void {
    let seen = this.#seen[socket] ?? new Uint8Array(256);
    const index = number >> 3;
    if (index >= seen.length) {
      const grown = new Uint8Array(2 ** Math.ceil(Math.log2(index + 1)));
      grown.set(seen);
      this.#seen[socket] = grown;
      seen = grown;
    }
    const bit = 1 << (number & 7);
    if (((seen[index] ?? 0) & bit) !== 0) {
      this.#repeated += 1;
    }
    seen[index] = (seen[index] ?? 0) | bit;
  }
}

function commonestCount(values: Iterable<number>): number {
  const counts = new Map<number, number>();
  for (const value of values) {
    counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  return Math.max(0, ...counts.values());
}
