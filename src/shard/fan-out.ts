/**
 * Takes the room's batches in order, hands each message to the room class once, and gives what comes
 * back to the audience. Owns the shard's position. Knows nothing of sockets, subscriptions or links.
 */
import type { Clock } from "../core/ports.ts";
import type { BatchFrame, Position } from "../protocol/link.ts";
import {
  decodePayload,
  encodePayload,
  isRawMessage,
  toMessageData,
  type MessageData,
  type RawMessage,
} from "../protocol/payload.ts";
import type { Audience } from "./audience.ts";
import { splitBatch, type ShardBatch, type ShardMessage } from "./messages.ts";

/** A message as the room class gets it, once on every shard that has clients. */
export type BroadcastMessage = {
  readonly data: MessageData;
  /** The life of the room's order. */
  readonly epoch: string;
  /** Its number in that order; `null` for a volatile message, which has none. */
  readonly seq: number | null;
  readonly topic: string | null;
  /** When the room took it, epoch milliseconds. */
  readonly at: number;
  /**
   * The message is read again from the log: the hook must answer as it did, or would have, the first
   * time, and have no effects on the world.
   */
  readonly isReplay: boolean;
  /**
   * A replay that rebuilds the state of the class after `onRestore`: it must take the message into its
   * state, and what it returns is sent to nobody. Any other replay is for a client that comes back,
   * and the state must not take it in twice.
   */
  readonly isRestoring: boolean;
};

/** Text, bytes, or `null` for nothing. */
type Broadcast = RawMessage | null;

/** What the clients of this shard get for a message. */
export type BroadcastHook = (message: BroadcastMessage) => Broadcast | Promise<Broadcast>;

/** The state of the class, where it keeps one. */
export type Folding = {
  /** Before a batch is handed to the class: it must hold what comes before it. */
  prepare(): void | Promise<unknown>;
  /** The class has these messages in its state already. */
  throughOf(epoch: string): number;
  /** The class was handed what comes after `from`. */
  handed(epoch: string, from: number, through: number): void;
};

export type FanOutOwner = {
  readonly clock: Clock;
  /** Left out when the room class has none: clients get the data itself. */
  readonly onBroadcast?: BroadcastHook;
  readonly folding?: Folding;
  /** The hook threw or returned what cannot be sent; the message reaches no client of this shard. */
  readonly onHookError: (error: unknown) => void;
};

/** `stale`: of an earlier life. `gap`: messages between the position and this batch are missing. */
export type Applied = "applied" | "stale" | "gap";

export class FanOut {
  readonly #audience: Audience;
  readonly #owner: FanOutOwner;
  #position: Position | null = null;

  constructor(audience: Audience, owner: FanOutOwner) {
    this.#audience = audience;
    this.#owner = owner;
  }

  /** What the clients have been sent; `null` while nothing is known because there were none. */
  get position(): Position | null {
    return this.#position;
  }

  /** Moves the position forward, never back. What lies between was sent before, or to nobody. */
  advance(to: Position): void {
    if (this.#position !== null && !isBehind(this.#position, to)) return;
    this.#position = to;
    this.#audience.advance(to.seq);
  }

  /** Continuity is lost: clients are told, and the position is this one. */
  reset(to: Position): void {
    this.#position = to;
    this.#audience.reset(to.epoch, to.seq, this.#owner.clock.now());
  }

  /**
   * Sends what the clients lack of this batch. Without a hook, or with one that answers at once,
   * nothing else happens in between; else the caller must wait before it applies the next batch.
   */
  apply(batch: BatchFrame): Applied | Promise<Applied> {
    const { epoch, after } = batch;
    if (this.#position === null) this.advance({ epoch, seq: after });
    else if (epoch < this.#position.epoch) return "stale";
    else if (epoch > this.#position.epoch) this.reset({ epoch, seq: after });
    else if (after > this.#position.seq) return "gap";
    const preparing = this.#owner.folding?.prepare();
    if (preparing instanceof Promise) return preparing.then(() => this.#hand(batch));
    return this.#hand(batch);
  }

  /** Hands the class messages for its state alone. */
  async refold(batch: BatchFrame, after: number, through: number): Promise<void> {
    const messages = messagesOf(batch, after).filter(({ seq }) => seq !== null && seq <= through);
    await this.#transform(messages, batch, "restore");
  }

  /** The messages of a batch that lies in the past, as clients that come back are to get them. */
  async replay(batch: BatchFrame, before: number): Promise<ShardBatch[]> {
    const messages = messagesOf(batch, batch.after).filter(
      ({ seq }) => seq !== null && seq <= before,
    );
    const transformed = await this.#transform(messages, batch, "resume");
    return splitBatch(batch.after, Math.min(batch.through, before), batch.at, transformed);
  }

  #hand(batch: BatchFrame): Applied | Promise<Applied> {
    const known = this.#position?.seq ?? batch.after;
    const messages = this.#transform(messagesOf(batch, known), batch, "live");
    const deliver = (transformed: readonly ShardMessage[]): Applied => {
      this.#owner.folding?.handed(batch.epoch, known, batch.through);
      return this.#deliver(batch, transformed);
    };
    return messages instanceof Promise ? messages.then(deliver) : deliver(messages);
  }

  /** While the hook was at work everybody may have left, and others been welcomed further on. */
  #deliver(batch: BatchFrame, messages: readonly ShardMessage[]): Applied {
    const here = this.#position;
    if (here === null || here.epoch !== batch.epoch) return "stale";
    const lacking = messages.filter(({ seq }) => seq === null || seq > here.seq);
    const through = Math.max(here.seq, batch.through);
    const batches = splitBatch(here.seq, through, batch.at, lacking);
    this.#position = { epoch: batch.epoch, seq: through };
    this.#audience.deliver(lacking, batches, through, this.#owner.clock.now());
    return "applied";
  }

  /** What the room class makes of the messages; at once when it has no hook or needs no time. */
  #transform(
    messages: readonly ShardMessage[],
    batch: BatchFrame,
    purpose: "live" | "resume" | "restore",
  ): readonly ShardMessage[] | Promise<readonly ShardMessage[]> {
    const { onBroadcast, folding } = this.#owner;
    if (onBroadcast === undefined) return messages;
    const { epoch, at } = batch;
    const folded = folding?.throughOf(epoch) ?? 0;
    const isRestoring = purpose === "restore";
    const kept: ShardMessage[] = [];
    const keep = (message: ShardMessage, result: Broadcast): void => {
      if (result === null) return;
      // Bytes may have been changed in place.
      if (result === message.data && typeof result === "string") kept.push(message);
      else kept.push(withData(message, result));
    };
    const hand = (message: ShardMessage): void | Promise<void> => {
      const { data, seq, topic } = message;
      const isReplay = purpose !== "live" || (seq !== null && seq <= folded);
      try {
        const result = onBroadcast({ data, epoch, seq, topic, at, isReplay, isRestoring });
        if (!(result instanceof Promise)) return keep(message, result);
        return result.then((later) => keep(message, later)).catch(this.#owner.onHookError);
      } catch (error) {
        this.#owner.onHookError(error);
      }
    };
    const rest = async (pending: Promise<void>, from: number): Promise<readonly ShardMessage[]> => {
      await pending;
      for (const message of messages.slice(from)) await hand(message);
      return kept;
    };
    for (const [index, message] of messages.entries()) {
      const pending = hand(message);
      if (pending instanceof Promise) return rest(pending, index + 1);
    }
    return kept;
  }
}

/** Room classes need not be typed, so what a hook returned may be anything. */
function withData(message: ShardMessage, result: unknown): ShardMessage {
  if (!isRawMessage(result)) {
    const what = `${typeof result}${result instanceof Object ? ` (${result.constructor.name})` : ""}`;
    throw new TypeError(`onBroadcast must return text, bytes or null, not ${what}`);
  }
  const data = toMessageData(result);
  return { ...message, data, payload: encodePayload(data) };
}

/** The batch's messages that come after message `known`, and its volatile ones. */
function messagesOf(batch: BatchFrame, known: number): ShardMessage[] {
  const volatile = new Set(batch.volatile);
  const messages: ShardMessage[] = [];
  let last = batch.after;
  for (const [index, payload] of batch.entries.entries()) {
    const isVolatile = volatile.has(index);
    if (!isVolatile) last += 1;
    if (!isVolatile && last <= known) continue;
    const seq = isVolatile ? null : last;
    const topic = batch.topics?.[index] ?? null;
    messages.push({ seq, topic, payload, data: decodePayload(payload) });
  }
  return messages;
}

function isBehind(position: Position, other: Position): boolean {
  if (position.epoch !== other.epoch) return position.epoch < other.epoch;
  return position.seq < other.seq;
}
