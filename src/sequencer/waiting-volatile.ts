/** Volatile messages that wait for a link to open; when there are too many the oldest are dropped. */
import { encodeFrame } from "../protocol/link.ts";
import { payloadUnits } from "../protocol/payload.ts";
import type { VolatileMessage } from "./batch-builder.ts";

const maxWaiting = 64;
/** UTF-16 units of them; JSON may write six times as many, which a frame of the link still holds. */
const maxUnits = 1024 * 1024;

export class WaitingVolatile {
  #waiting: VolatileMessage[] = [];
  #units = 0;

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  add(messages: readonly VolatileMessage[]): void {
    for (const each of messages) {
      this.#waiting.push(each);
      this.#units += payloadUnits(each.message);
    }
    let count = this.#waiting.length;
    let dropped = 0;
    for (const { message } of this.#waiting) {
      if (count <= 1 || (count <= maxWaiting && this.#units <= maxUnits)) break;
      this.#units -= payloadUnits(message);
      count -= 1;
      dropped += 1;
    }
    if (dropped > 0) this.#waiting.splice(0, dropped);
  }

  clear(): void {
    this.#waiting = [];
    this.#units = 0;
  }

  /** Takes them out, as the frame for a shard that has everything up to `seq`. */
  takeFrame(epoch: string, seq: number, at: number): string {
    const waiting = this.#waiting;
    this.clear();
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
