/**
 * What one client lacks of a batch of the recent log. The log keeps frames alone, since messages
 * beside them would double and more what it holds; a frame is read again when a client wants a part
 * of it. Knows nothing of who wants what when.
 */
import { parseServerFrame } from "../protocol/client.ts";
import type { Payload } from "../protocol/payload.ts";
import { encodeMessages, type ShardBatch } from "./messages.ts";
import type { ProtocolClient } from "./protocol-client.ts";

/** Clients that come back at once read the same batches: so many units of frames stay read. */
const readUnits = 512 * 1024;

type NumberedMessage = { readonly seq: number; readonly payload: Payload };

export class Replay {
  readonly #read = new Map<ShardBatch, readonly NumberedMessage[]>();
  #units = 0;

  /** The frame that gives the client what it wants of the batch, or `null` when that is nothing. */
  frameFor(
    batch: ShardBatch,
    { sent, told, filters }: Pick<ProtocolClient, "sent" | "told" | "filters">,
  ): { frame: string; count: number } | null {
    const { topics, count, after, through } = batch;
    const isWanted = topics?.map((topic) => filters.lets(topic)) ?? null;
    if (count === 0 || isWanted?.every((each) => !each) === true) return null;
    const wantsAll = sent === after && (isWanted === null || isWanted.every(Boolean));
    if (wantsAll && told === after) return { frame: batch.frame, count };
    const wanted = this.#messagesOf(batch).filter(
      ({ seq }, index) => seq > sent && isWanted?.[index] !== false,
    );
    if (wanted.length === 0) return null;
    return { frame: encodeMessages(told, through, wanted), count: wanted.length };
  }

  /** What was read is not needed any more. */
  forget(): void {
    if (this.#units === 0) return;
    this.#read.clear();
    this.#units = 0;
  }

  #messagesOf(batch: ShardBatch): readonly NumberedMessage[] {
    const known = this.#read.get(batch);
    if (known !== undefined) return known;
    const messages = messagesIn(batch);
    if (this.#units > readUnits) this.forget();
    this.#read.set(batch, messages);
    this.#units += batch.frame.length;
    return messages;
  }
}

function messagesIn({ frame, after }: ShardBatch): NumberedMessage[] {
  const parsed = parseServerFrame(frame);
  if (!parsed.ok || parsed.value.type !== "messages") throw new Error("a frame of another making");
  const { data, seq } = parsed.value;
  return data.map((payload, index) => ({ seq: seq?.[index] ?? after + 1 + index, payload }));
}
