/** One batch being put together: numbers, entries, and the keys of its writes. Writes nothing. */
import type { KeyUse } from "../core/idempotency.ts";
import { encodeFrame } from "../protocol/link.ts";
import type { Payload } from "../protocol/payload.ts";

/** What became of a write: its place in the order. */
export type Committed = { readonly first: number; readonly seq: number };

type BuildableWrite = {
  readonly messages: readonly Payload[];
  readonly isVolatile: boolean;
  readonly key: { readonly key: string; readonly fingerprint: string } | null;
};

export class BatchBuilder {
  readonly after: number;
  readonly keys: KeyUse[] = [];
  readonly #epoch: string;
  readonly #at: number;
  readonly #entries: Payload[] = [];
  readonly #volatile: number[] = [];
  #through: number;

  constructor(epoch: string, after: number, at: number) {
    this.#epoch = epoch;
    this.#at = at;
    this.after = after;
    this.#through = after;
  }

  get through(): number {
    return this.#through;
  }

  add(write: BuildableWrite): Committed {
    const first = this.#through + 1;
    for (const message of write.messages) {
      if (write.isVolatile) this.#volatile.push(this.#entries.length);
      this.#entries.push(message);
    }
    if (!write.isVolatile) this.#through += write.messages.length;
    const place = { first, seq: this.#through };
    if (write.key !== null) this.keys.push({ ...write.key, ...place, at: this.#at });
    return place;
  }

  get volatile(): Payload[] {
    return this.#volatile.map((index) => this.#entries[index] ?? "");
  }

  /** The frames of the batch: for the log, and for links that are current. */
  encode(): { readonly logged: string; readonly sent: string } {
    if (this.#volatile.length === 0) {
      const frame = this.#encode(this.#entries);
      return { logged: frame, sent: frame };
    }
    const volatile = new Set(this.#volatile);
    const logged = this.#entries.filter((_, index) => !volatile.has(index));
    return { logged: this.#encode(logged), sent: this.#encode(this.#entries, this.#volatile) };
  }

  #encode(entries: Payload[], volatile?: number[]): string {
    const { after, through } = this;
    const frame = { type: "batch", epoch: this.#epoch, after, through, at: this.#at } as const;
    return encodeFrame({ ...frame, entries, ...(volatile === undefined ? {} : { volatile }) });
  }
}
