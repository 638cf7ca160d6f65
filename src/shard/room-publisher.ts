/**
 * What a shard's room class publishes to its whole room, on its way to the sequencer: checked like a
 * POST, in the order in which it was published. Knows nothing of the class or of the shard's clients.
 */
import type { Caller } from "../core/ports.ts";
import type { RoomType } from "../core/rooms.ts";
import { callPublish, wrongKey, wrongTopic } from "../core/writes.ts";
import type { DeliveryCount, Published, PublishRequest } from "../protocol/calls.ts";
import { roomOfShard, type RoomId, type ShardId } from "../protocol/names.ts";
import {
  encodePayload,
  isRawMessage,
  payloadBytes,
  toMessageData,
  type Payload,
  type RawMessage,
} from "../protocol/payload.ts";
import type { ProblemCode } from "../protocol/problems.ts";
import { failure, success, type Failure, type Result } from "../protocol/result.ts";

export type RoomPublishOptions = {
  /** Only sockets with this topic get it. Default: everyone. */
  readonly topic?: string;
  /** Two writes with one key within five minutes have one effect and get one answer. */
  readonly idempotencyKey?: string;
  /** Not logged, without a number of its own, at most once. Default false. */
  readonly volatile?: boolean;
};

/** The answer to a write, as a POST gets it. */
export type RoomPublished = {
  readonly room: string;
  readonly epoch: string;
  /** The message's number in the room's order; of a volatile one, that of the last logged. */
  readonly seq: number;
  /** Shards that have it already, and shards that do not yet. */
  readonly shards: DeliveryCount;
};

export type RoomPublishResult = Result<RoomPublished, ProblemCode>;

type Write = Pick<PublishRequest, "topic" | "key" | "volatile"> & {
  readonly message: Payload;
  readonly bytes: number;
};
type Waiting = Write & { readonly resolve: (result: RoomPublishResult) => void };

/** Writes of one class that wait, and their size; past either they are refused. */
const maxWaiting = 10_000;
const maxWaitingBytes = 16 * 1024 * 1024;

export class RoomPublisher {
  readonly #shard: ShardId;
  readonly #room: RoomId;
  readonly #type: RoomType;
  readonly #calls: Caller;
  #queue: Waiting[] = [];
  #waitingBytes = 0;
  #isCalling = false;

  constructor(shard: ShardId, type: RoomType, calls: Caller) {
    this.#shard = shard;
    this.#room = roomOfShard(shard);
    this.#type = type;
    this.#calls = calls;
  }

  /** Resolves when the message is durable and has its place in the room's order, or with a problem. */
  publish(data: RawMessage, options: RoomPublishOptions = {}): Promise<RoomPublishResult> {
    const write = this.#check(data, options);
    if (!write.ok) return Promise.resolve(write);
    const { bytes } = write.value;
    if (this.#queue.length >= maxWaiting || this.#waitingBytes + bytes > maxWaitingBytes) {
      return Promise.resolve(failure("overloaded", "too many messages of this class wait"));
    }
    const { promise, resolve } = Promise.withResolvers<RoomPublishResult>();
    this.#queue.push({ ...write.value, resolve });
    this.#waitingBytes += bytes;
    void this.#sendNext();
    return promise;
  }

  #check(data: unknown, options: RoomPublishOptions): Result<Write, ProblemCode> {
    const { topic, idempotencyKey: key, volatile = false } = options;
    if (!isRawMessage(data)) return failure("malformed-body", "a message must be text or bytes");
    const badTopic = topic === undefined ? null : wrongTopic(topic);
    if (badTopic !== null) return failure("malformed-query", badTopic);
    const badKey = key === undefined ? null : wrongKey("idempotencyKey", key);
    if (badKey !== null) return failure("malformed-header", badKey);
    if (volatile && key !== undefined) {
      return failure("malformed-header", "a volatile message cannot have an idempotencyKey");
    }
    const { maxMessageBytes } = this.#type;
    const size = typeof data === "string" ? data.length : data.byteLength;
    if (size > maxMessageBytes) return tooLarge(maxMessageBytes);
    const message = encodePayload(toMessageData(data));
    const bytes = payloadBytes(message);
    if (bytes > maxMessageBytes) return tooLarge(maxMessageBytes);
    return success({
      message,
      bytes,
      volatile,
      ...(topic === undefined ? {} : { topic }),
      ...(key === undefined ? {} : { key }),
    });
  }

  /** One call after the other, since calls overtake each other; what waits meanwhile shares the next. */
  async #sendNext(): Promise<void> {
    const writes = this.#isCalling ? [] : this.#takeAlike();
    const [first] = writes;
    if (first === undefined) return;
    this.#isCalling = true;
    const { topic, key, volatile } = first;
    const result = await callPublish(this.#calls, this.#room, {
      ...({ type: "publish", waitDelivered: false } as const),
      messages: writes.map(({ message }) => message),
      volatile,
      shard: this.#shard,
      ...(topic === undefined ? {} : { topic }),
      ...(key === undefined ? {} : { key }),
    });
    this.#isCalling = false;
    for (const [index, write] of writes.entries()) {
      write.resolve(result.ok ? success(this.#place(result.value, write, index)) : result);
    }
    void this.#sendNext();
  }

  /** The first writes of the queue that one call can carry. */
  #takeAlike(): Waiting[] {
    const [first] = this.#queue;
    if (first === undefined) return [];
    let bytes = first.bytes;
    let count = 1;
    for (const next of this.#queue.slice(1)) {
      bytes += next.bytes;
      if (!isAlike(first, next) || bytes > this.#type.maxMessageBytes) break;
      count += 1;
    }
    const writes = this.#queue.splice(0, count);
    for (const write of writes) this.#waitingBytes -= write.bytes;
    return writes;
  }

  #place({ epoch, first, seq, shards }: Published, write: Write, index: number): RoomPublished {
    return { room: this.#room, epoch, seq: write.volatile ? seq : first + index, shards };
  }
}

function isAlike(one: Write, other: Write): boolean {
  const hasKey = one.key !== undefined || other.key !== undefined;
  return !hasKey && one.topic === other.topic && one.volatile === other.volatile;
}

function tooLarge(maxBytes: number): Failure<"payload-too-large"> {
  return failure("payload-too-large", `a message must not exceed ${maxBytes} bytes`);
}
