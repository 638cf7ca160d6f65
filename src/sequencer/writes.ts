/**
 * Writes on their way into the order: refused, found to be repetitions, or waiting for the next batch.
 * Owns the idempotency keys. Knows nothing of numbers but those that it is told.
 */
import { fingerprint, type IdempotencyWindow, type KeyUse } from "../core/idempotency.ts";
import type { PublishRequest } from "../protocol/calls.ts";
import { payloadUnits, type Payload } from "../protocol/payload.ts";
import { failure, success, type Result } from "../protocol/result.ts";
import type { Committed, WriteKey } from "./batch-builder.ts";
import { CommitQueue } from "./commit-queue.ts";

/** Units that a write costs beside its text: names, quotes, the key's record. */
const overheadUnits = 64;

export type Write = {
  readonly messages: readonly Payload[];
  readonly topic: string | null;
  readonly isVolatile: boolean;
  readonly units: number;
  readonly key: WriteKey | null;
  /** `null` when the room was disposed before. */
  readonly committed: Promise<Committed | null>;
  readonly commit: (committed: Committed | null) => void;
};

type Refusal = "overloaded" | "idempotency-key-reused";

/** The write's place, or its promise; `null` when the room was disposed before. */
type Placed = Promise<Committed | null> | Committed;

export class Writes {
  readonly queue = new CommitQueue<Write>();
  readonly #keys: IdempotencyWindow;
  readonly #waitingKeys = new Map<string, Write>();

  constructor(keys: IdempotencyWindow) {
    this.#keys = keys;
  }

  /** Has the write wait for the next batch, in this turn, unless it is a repetition or is refused. */
  async place(request: PublishRequest, now: number): Promise<Result<Committed | null, Refusal>> {
    const { messages, topic, key: name, series } = request;
    const print = topic === undefined ? fingerprint(messages) : `${fingerprint(messages)}/${topic}`;
    const ofSeries = series === undefined ? {} : { series };
    const key = name === undefined ? null : { key: name, fingerprint: print, ...ofSeries };
    const known = key === null ? null : this.#find(key, now);
    if (known !== null && !known.ok) {
      // The other write may be one that waits, and a crash would undo the reason for this answer.
      if (name !== undefined) await this.#waitingKeys.get(name)?.committed;
      return known;
    }
    const placed = known ?? this.#enqueue(request, key);
    return placed.ok ? success(await placed.value) : placed;
  }

  /** The write is in a batch, which is in the log if it has to be. */
  commit(write: Write, place: Committed): void {
    if (write.key !== null) this.#waitingKeys.delete(write.key.key);
    write.commit(place);
  }

  /** The keys of a batch, or of a former life, in the order of use. */
  remember(uses: readonly KeyUse[]): void {
    for (const use of uses) this.#keys.add(use);
  }

  /** The room ends: nothing that waits is committed. */
  clear(): void {
    for (const { commit } of this.queue.clear()) commit(null);
    this.#waitingKeys.clear();
    this.#keys.clear();
  }

  /** The place of the write that this key was used for, or `null` when it is new. */
  #find(used: WriteKey, now: number): Result<Placed, "idempotency-key-reused"> | null {
    this.#keys.expire(now);
    const past = this.#keys.find(used.key);
    const waiting = this.#waitingKeys.get(used.key);
    const known = past?.fingerprint ?? waiting?.key?.fingerprint;
    if (known === undefined) {
      if (!this.#keys.isForgotten(used.key, used.series)) return null;
      return failure("idempotency-key-reused", "newer keys of this client have long been used");
    }
    if (known !== used.fingerprint) {
      return failure("idempotency-key-reused", "the idempotency key was used for another message");
    }
    if (past !== undefined) return success({ first: past.first, seq: past.seq });
    return waiting === undefined ? null : success(waiting.committed);
  }

  #enqueue(request: PublishRequest, key: WriteKey | null): Result<Placed, "overloaded"> {
    const { messages, topic = null, volatile: isVolatile } = request;
    if (this.queue.isFull) return failure("overloaded", "too many writes wait in this room");
    if (key !== null && this.#keys.isFull) {
      return failure("overloaded", "too many idempotency keys were used within five minutes");
    }
    let units = overheadUnits + (key?.key.length ?? 0);
    for (const message of messages) units += payloadUnits(message);
    const { promise, resolve } = Promise.withResolvers<Committed | null>();
    const content = { messages, topic, isVolatile, units, key };
    const write: Write = { ...content, committed: promise, commit: resolve };
    if (key !== null) this.#waitingKeys.set(key.key, write);
    this.queue.add(write);
    return success(promise);
  }
}
