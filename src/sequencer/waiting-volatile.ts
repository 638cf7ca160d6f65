/** Volatile messages that wait for a link to open; when there are too many the oldest are dropped. */
import { encodeFrame } from "../protocol/link.ts";
import type { VolatileMessage } from "./batch-builder.ts";

const maxWaiting = 64;

export class WaitingVolatile {
  #waiting: VolatileMessage[] = [];

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  add(messages: readonly VolatileMessage[]): void {
    this.#waiting.push(...messages);
    const extra = this.#waiting.length - maxWaiting;
    if (extra > 0) this.#waiting.splice(0, extra);
  }

  clear(): void {
    this.#waiting = [];
  }

  /** Takes them out, as the frame for a shard that has everything up to `seq`. */
  takeFrame(epoch: string, seq: number, at: number): string {
    const waiting = this.#waiting;
    this.#waiting = [];
    return encodeFrame({
      type: "batch",
      epoch,
      after: seq,
      through: seq,
      at,
      entries: waiting.map(({ message }) => message),
      topics: waiting.map(({ topic }) => topic),
      volatile: [...waiting.keys()],
    });
  }
}
