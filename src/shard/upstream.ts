/**
 * What clients of this shard publish, on its way to the sequencer: by the open link, many writes a
 * frame, else by a call for each. Knows nothing of clients.
 */
import type { Caller } from "../core/ports.ts";
import { fencedFailure } from "../protocol/calls.ts";
import {
  encodeFrame,
  type Position,
  type UpstreamResult,
  type UpstreamWrite,
} from "../protocol/link.ts";
import { roomOfShard, type ShardId } from "../protocol/names.ts";
import { payloadUnits, type Payload } from "../protocol/payload.ts";
import { failure, success, type Result } from "../protocol/result.ts";

export type ClientWrite = {
  readonly message: Payload;
  readonly key: string;
  /** See `seriesOf`; without one the key is remembered in full. */
  readonly series?: string;
  readonly topic: string | null;
};

type Waiting = ClientWrite & {
  readonly id: number;
  readonly resolve: (result: Result<Position>) => void;
};

/** Writes of one shard that wait for the sequencer, and UTF-16 units of them; past either they are refused. */
const maxWaiting = 10_000;
const maxWaitingUnits = 16 * 1024 * 1024;
/**
 * Writes in one frame of the link, and UTF-16 units of them; a larger write is a frame of its own. JSON
 * may write six times as many, which is still no more than the other end puts together.
 */
const maxFrameWrites = 500;
const maxFrameUnits = 512 * 1024;

export class Upstream {
  readonly #shard: ShardId;
  readonly #calls: Caller;
  /** Sends on the open link; false when there is none. */
  readonly #sendOnLink: (frame: string) => boolean;
  #nextId: number;
  #queue: Waiting[] = [];
  #isCalling = false;
  #isOver = false;
  /** What the link carries and has not answered. */
  readonly #onLink = new Map<number, Waiting>();
  /** Of all that wait. */
  #units = 0;
  readonly #onFenced: () => void;

  /**
   * `firstId` differs from life to life: results may come that a former one waited for. `onFenced`: a
   * later generation of the shard has its slot.
   */
  constructor(
    shard: ShardId,
    calls: Caller,
    sendOnLink: (frame: string) => boolean,
    firstId: number,
    onFenced: () => void,
  ) {
    this.#onFenced = onFenced;
    this.#shard = shard;
    this.#calls = calls;
    this.#sendOnLink = sendOnLink;
    this.#nextId = firstId;
  }

  /** Resolves when the write is durable, or with the refusal. */
  publish(write: ClientWrite): Promise<Result<Position>> {
    if (this.#isOver) return Promise.resolve(fencedFailure());
    const isFull = this.#queue.length + this.#onLink.size >= maxWaiting;
    if (isFull || this.#units >= maxWaitingUnits) {
      return Promise.resolve(failure("overloaded", "too many writes wait on this shard"));
    }
    const units = payloadUnits(write.message);
    this.#units += units;
    return new Promise((answer) => {
      const resolve = (result: Result<Position>): void => {
        this.#units -= units;
        answer(result);
      };
      this.#queue.push({ ...write, id: this.#nextId++, resolve });
      this.#sendNext();
    });
  }

  handleResults(epoch: string, results: readonly UpstreamResult[]): void {
    for (const result of results) {
      const waiting = this.#onLink.get(result.id);
      this.#onLink.delete(result.id);
      if ("seq" in result) waiting?.resolve(success({ epoch, seq: result.seq }));
      else waiting?.resolve(failure(result.code, result.detail));
    }
    this.#sendNext();
  }

  /** The link is gone: its key makes it safe to send a write again another way. */
  linkEnded(): void {
    const lost = [...this.#onLink.values()];
    this.#onLink.clear();
    this.#queue.unshift(...lost);
    this.#sendNext();
  }

  /** Nothing is sent any more. Clients send again, elsewhere, what was not answered. */
  end(): void {
    this.#isOver = true;
    const waiting = [...this.#onLink.values(), ...this.#queue];
    this.#onLink.clear();
    this.#queue = [];
    for (const { resolve } of waiting) resolve(fencedFailure());
  }

  /** One frame at a time is under way, so that what comes meanwhile shares the next one. */
  #sendNext(): void {
    if (this.#queue.length === 0 || this.#onLink.size > 0 || this.#isCalling) return;
    const writes = this.#nextFrame();
    const frame = encodeFrame({ type: "publish", writes: writes.map(encodeWrite) });
    if (this.#sendOnLink(frame)) {
      for (const write of writes) this.#onLink.set(write.id, write);
      this.#queue.splice(0, writes.length);
      return;
    }
    const [first] = this.#queue.splice(0, 1);
    if (first !== undefined) void this.#publishByCall(first);
  }

  #nextFrame(): Waiting[] {
    let units = 0;
    const end = this.#queue.findIndex(({ message }, index) => {
      units += payloadUnits(message);
      return index > 0 && (index === maxFrameWrites || units > maxFrameUnits);
    });
    return end === -1 ? [...this.#queue] : this.#queue.slice(0, end);
  }

  async #publishByCall({ message, key, series, topic, resolve }: Waiting): Promise<void> {
    const sequencer = { role: "sequencer", id: roomOfShard(this.#shard) } as const;
    // One after the other: calls overtake each other, and clients' writes are to keep their order.
    this.#isCalling = true;
    const result = await this.#calls.call(sequencer, {
      ...({ type: "publish", messages: [message], volatile: false } as const),
      key,
      ...(series === undefined ? {} : { series }),
      waitDelivered: false,
      shard: this.#shard,
      ...(topic === null ? {} : { topic }),
    });
    this.#isCalling = false;
    if (!result.ok && result.code === "fenced") this.#onFenced();
    resolve(result.ok ? success({ epoch: result.value.epoch, seq: result.value.seq }) : result);
    this.#sendNext();
  }
}

function encodeWrite({ id, message, key, series, topic }: Waiting): UpstreamWrite {
  return {
    id,
    message,
    key,
    ...(series === undefined ? {} : { series }),
    ...(topic === null ? {} : { topic }),
  };
}
