/**
 * Fan-out: takes batches in order, hands each message to the room class once, and sends what comes
 * back to every client of this shard. Owns the shard's position and its clients' sockets. Knows
 * nothing of subscriptions, links or other shards.
 */
import type { Socket } from "../core/ports.ts";
import { closeCodes } from "../protocol/close-codes.ts";
import type { BatchFrame, Position } from "../protocol/link.ts";
import { decodePayload, type MessageData } from "../protocol/payload.ts";

/** A message as the room class gets it, once on every shard that has clients. */
export type BroadcastMessage = {
  readonly data: MessageData;
  /** The life of the room's order. */
  readonly epoch: string;
  /** Its number in that order; `null` for a volatile message, which has none. */
  readonly seq: number | null;
  /** When the room took it, epoch milliseconds. */
  readonly at: number;
};

/** What the clients of this shard get for a message; `null` for nothing. */
export type BroadcastHook = (
  message: BroadcastMessage,
) => MessageData | null | Promise<MessageData | null>;

export type FanOutOwner = {
  /** Left out when the room class has none: clients get the data itself. */
  readonly onBroadcast?: BroadcastHook;
  /** The hook threw; the message reaches no client of this shard. */
  readonly onHookError: (error: unknown) => void;
};

/** `stale`: of an earlier life. `gap`: messages between the position and this batch are missing. */
export type Applied = "applied" | "stale" | "gap";

export class FanOut {
  readonly clients = new Set<Socket>();
  readonly #owner: FanOutOwner;
  #position: Position | null = null;

  constructor(owner: FanOutOwner) {
    this.#owner = owner;
  }

  /** What the clients have been sent; `null` while nothing is known because there were none. */
  get position(): Position | null {
    return this.#position;
  }

  /** Moves the position forward, never back: to what a new client is welcomed at. */
  advance(to: Position): void {
    if (this.#position === null || isBehind(this.#position, to)) this.#position = to;
  }

  /** Continuity is lost: clients are told to come back, and the position is this one. */
  reset(to: Position): void {
    for (const client of this.clients) {
      close(client, closeCodes.continuityLost, "messages were lost; connect again");
    }
    this.clients.clear();
    this.#position = to;
  }

  /**
   * Sends what the clients lack of this batch. Without a hook, or with one that answers at once,
   * nothing else happens in between; else the caller must wait before it applies the next batch.
   */
  apply(batch: BatchFrame): Applied | Promise<Applied> {
    const { epoch, after } = batch;
    const position = this.#position;
    if (position === null) this.#position = { epoch, seq: after };
    else if (epoch < position.epoch) return "stale";
    else if (epoch > position.epoch) this.reset({ epoch, seq: after });
    else if (after > position.seq) return "gap";
    const messages = this.#messagesOf(batch);
    if (this.#owner.onBroadcast !== undefined) {
      return this.#applyWith(this.#owner.onBroadcast, messages);
    }
    for (const client of this.clients) {
      for (const message of messages) send(client, message.data);
    }
    this.advance({ epoch, seq: batch.through });
    return "applied";
  }

  /** The batch's messages that the clients lack. */
  #messagesOf(batch: BatchFrame): BroadcastMessage[] {
    const { epoch, at } = batch;
    const volatile = new Set(batch.volatile);
    const known = this.#position?.seq ?? batch.after;
    const messages: BroadcastMessage[] = [];
    let last = batch.after;
    for (const [index, payload] of batch.entries.entries()) {
      const isVolatile = volatile.has(index);
      if (!isVolatile) last += 1;
      if (!isVolatile && last <= known) continue;
      const seq = isVolatile ? null : last;
      messages.push({ data: decodePayload(payload), epoch, seq, at });
    }
    return messages;
  }

  async #applyWith(hook: BroadcastHook, messages: readonly BroadcastMessage[]): Promise<Applied> {
    for (const message of messages) {
      if (this.#has(message)) continue;
      let data: MessageData | null = null;
      try {
        const result = hook(message);
        data = result instanceof Promise ? await result : result;
      } catch (error) {
        this.#owner.onHookError(error);
      }
      // While the hook was at work, everybody may have left and others been welcomed further on.
      if (this.#has(message)) continue;
      if (message.seq !== null) this.advance({ epoch: message.epoch, seq: message.seq });
      if (data === null) continue;
      for (const client of this.clients) send(client, data);
    }
    return "applied";
  }

  /** Whether the position is at this message or past it. */
  #has({ epoch, seq }: BroadcastMessage): boolean {
    return seq !== null && this.#position !== null && !isBehind(this.#position, { epoch, seq });
  }
}

function isBehind(position: Position, other: Position): boolean {
  if (position.epoch !== other.epoch) return position.epoch < other.epoch;
  return position.seq < other.seq;
}

/** A socket that is closing throws; its close event follows and takes it out. */
function send(client: Socket, data: MessageData): void {
  try {
    client.send(data);
  } catch {
    // The event is on its way.
  }
}

function close(client: Socket, code: number, reason: string): void {
  try {
    client.close(code, reason);
  } catch {
    // It has closed already.
  }
}
