/**
 * Owns publishing into one room: the numbers of messages, the lanes, and what was refused. Knows
 * nothing of who receives.
 */
import { roomPath } from "./audience.ts";
import { HttpLane } from "./http-lane.ts";
import { encodeMessage } from "./payload.ts";
import type { Publishing } from "./room-load.ts";

export interface PublisherOptions {
  readonly port: number;
  readonly room: string;
  /** POSTs in flight at a time. */
  readonly lanes: number;
  /** Messages a POST carries; more than one goes as NDJSON. */
  readonly messagesPerPost: number;
}

export class Publisher implements Publishing {
  readonly lanes: number;
  /** Numbers used so far: the next message's number. */
  published = 0;
  /** POSTs that were answered with 200 or 202. */
  answered = 0;
  /** `performance.now()` when a message's POST was sent, by its number. */
  readonly sentAtMs: number[] = [];
  /** Numbers of messages whose POST was refused or broke. */
  readonly refused = new Set<number>();
  /** The first few refusals, to be shown. */
  readonly refusals: string[] = [];

  readonly #options: PublisherOptions;
  readonly #lanes: readonly HttpLane[];

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.lanes = options.lanes;
    this.#lanes = Array.from({ length: options.lanes }, () => new HttpLane(options.port));
  }

  /** Keeps every lane busy for a time: each sends its next POST when the last one is answered. */
  async publishFor(durationMs: number): Promise<void> {
    const endMs = performance.now() + durationMs;
    await Promise.all(
      this.#lanes.map(async (_, lane) => {
        while (performance.now() < endMs) {
          await this.publish(lane);
        }
      }),
    );
  }

  /** Publishes at fixed times, whether or not earlier POSTs were answered; a lane for each in turn. */
  async publishEvery(intervalMs: number, count: number): Promise<void> {
    const startMs = performance.now();
    const pending: Promise<void>[] = [];
    const lastOfLane = this.#lanes.map(() => Promise.resolve());
    for (let index = 0; index < count; index += 1) {
      await sleepUntil(startMs + index * intervalMs);
      const lane = index % this.#lanes.length;
      const publishing = (lastOfLane[lane] ?? Promise.resolve()).then(() => this.publish(lane));
      lastOfLane[lane] = publishing;
      pending.push(publishing);
    }
    await Promise.all(pending);
  }

  /** One POST on a lane. Never rejects: what fails is counted as refused. */
  async publish(lane: number): Promise<void> {
    const { messagesPerPost } = this.#options;
    const first = this.published;
    this.published += messagesPerPost;
    const messages: string[] = [];
    for (let number = first; number < first + messagesPerPost; number += 1) {
      messages.push(encodeMessage(number, lane));
    }
    const contentType = messagesPerPost === 1 ? "text/plain" : "application/x-ndjson";
    const path = roomPath(this.#options.room);
    const sentAtMs = performance.now();
    for (let number = first; number < first + messagesPerPost; number += 1) {
      this.sentAtMs[number] = sentAtMs;
    }
    try {
      const reply = await this.#lanes[lane]?.post(path, contentType, messages.join("\n"));
      if (reply?.status === 200 || reply?.status === 202) {
        this.answered += 1;
        return;
      }
      this.#refuse(first, `${reply?.status} ${reply?.body.slice(0, 200)}`);
    } catch (error) {
      this.#refuse(first, String(error));
    }
  }

  close(): void {
    for (const lane of this.#lanes) {
      lane.close();
    }
  }

  #refuse(first: number, reason: string): void {
    for (let number = first; number < first + this.#options.messagesPerPost; number += 1) {
      this.refused.add(number);
    }
    if (this.refusals.length < 5) {
      this.refusals.push(reason);
    }
  }
}

async function sleepUntil(atMs: number): Promise<void> {
  const waitMs = atMs - performance.now();
  if (waitMs > 0) {
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
}
