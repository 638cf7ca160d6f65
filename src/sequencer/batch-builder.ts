/** One batch being put together: numbers, entries, and the keys of its writes. Writes nothing. */
import type { KeyUse } from "../core/idempotency.ts";
import { encodeFrame } from "../protocol/link.ts";
import type { Payload } from "../protocol/payload.ts";

/** What became of a write: its place in the order. */
export type Committed = { readonly first: number; readonly seq: number };

export type VolatileMessage = { readonly message: Payload; readonly topic: string | null };

export type WriteKey = Pick<KeyUse, "key" | "fingerprint" | "series">;

type BuildableWrite = {
  readonly messages: readonly Payload[];
  readonly topic: string | null;
  readonly isVolatile: boolean;
  readonly key: WriteKey | null;
};

export class BatchBuilder {
  readonly after: number;
  readonly keys: KeyUse[] = [];
  readonly #epoch: string;
  readonly #at: number;
  readonly #entries: Payload[] = [];
  readonly #topics: (string | null)[] = [];
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
      this.#topics.push(write.topic);
    }
    if (!write.isVolatile) this.#through += write.messages.length;
    const place = { first, seq: this.#through };
    if (write.key !== null) this.keys.push({ ...write.key, ...place, at: this.#at });
    return place;
  }

  get volatile(): VolatileMessage[] {
    return this.#volatile.map((index) => ({
      message: this.#entries[index] ?? "",
      topic: this.#topics[index] ?? null,
    }));
  }

  /** The frames of the batch: for the log, and for links that are current. */
  encode(): { readonly logged: string; readonly sent: string } {
    if (this.#volatile.length === 0) {
      const frame = this.#encode(this.#entries, this.#topics);
      return { logged: frame, sent: frame };
    }
    const volatile = new Set(this.#volatile);
    const isLogged = (_: unknown, index: number): boolean => !volatile.has(index);
    return {
      logged: this.#encode(this.#entries.filter(isLogged), this.#topics.filter(isLogged)),
      sent: this.#encode(this.#entries, this.#topics, this.#volatile),
    };
  }

  #encode(entries: Payload[], topics: (string | null)[], volatile?: number[]): string {
    const { after, through } = this;
    const hasTopics = topics.some((topic) => topic !== null);
    return encodeFrame({
      ...({ type: "batch", epoch: this.#epoch, after, through, at: this.#at, entries } as const),
      ...(volatile === undefined ? {} : { volatile }),
      ...(hasTopics ? { topics } : {}),
    });
  }
}
