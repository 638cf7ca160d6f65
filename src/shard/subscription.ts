/**
 * The shard's subscription at its room's sequencer: begun before the first client is welcomed,
 * renewed when a link broke, ended when the clients have left. Knows nothing of clients or links.
 */
import type { Caller } from "../core/ports.ts";
import type { Subscribed } from "../protocol/calls.ts";
import type { Position } from "../protocol/link.ts";
import { roomOfShard, type ShardId } from "../protocol/names.ts";
import type { Result } from "../protocol/result.ts";

type Phase =
  | { readonly name: "none" }
  | { readonly name: "subscribing"; readonly done: Promise<Result<Subscribed>> }
  | { readonly name: "subscribed"; readonly subscription: string }
  | { readonly name: "unsubscribing"; readonly done: Promise<void> };

/** A call whose reply was lost is made again at once; then the client that waits is told. */
const attempts = 2;

export class Subscription {
  readonly #shard: ShardId;
  readonly #calls: Caller;
  readonly #onSubscribed: (subscribed: Subscribed) => void;
  readonly #onFenced: () => void;
  #phase: Phase = { name: "none" };

  /**
   * `onSubscribed` runs before anybody who waits for the subscription goes on, and so does `onFenced`:
   * a later generation of the shard has its slot.
   */
  constructor(
    shard: ShardId,
    calls: Caller,
    onSubscribed: (subscribed: Subscribed) => void,
    onFenced: () => void,
  ) {
    this.#shard = shard;
    this.#calls = calls;
    this.#onSubscribed = onSubscribed;
    this.#onFenced = onFenced;
  }

  get isNone(): boolean {
    return this.#phase.name === "none";
  }

  /** The id of the subscription, once the sequencer has given one. */
  get id(): string | null {
    return this.#phase.name === "subscribed" ? this.#phase.subscription : null;
  }

  /** Resolves when the call under way that begins a subscription has come to something, if one is. */
  get beginning(): Promise<unknown> | null {
    return this.#phase.name === "subscribing" ? this.#phase.done : null;
  }

  /** Clients outlived the object's memory, and with them the subscription. */
  restore(subscription: string): void {
    this.#phase = { name: "subscribed", subscription };
  }

  /** Resolves when the sequencer owes this shard everything from now on; `null` when it did before. */
  async ensure(): Promise<Result<Subscribed | null>> {
    while (this.#phase.name === "unsubscribing") await this.#phase.done;
    if (this.#phase.name === "subscribed") return { ok: true, value: null };
    if (this.#phase.name === "subscribing") return this.#phase.done;
    const done = this.#subscribe();
    this.#phase = { name: "subscribing", done };
    return done;
  }

  /** The link broke: makes sure that the sequencer lives and still knows what this shard has. */
  async renew(position: Position | null): Promise<boolean> {
    const result = await this.#calls.call(this.#sequencer, {
      type: "subscribe",
      shard: this.#shard,
      position,
    });
    if (!result.ok && result.code === "fenced") this.#onFenced();
    if (!result.ok) return false;
    if (this.#phase.name === "subscribed") {
      this.#phase = { name: "subscribed", subscription: result.value.subscription };
      this.#onSubscribed(result.value);
    }
    return true;
  }

  /** Everybody left while the object slept: ends a former life's subscription, if it still is. */
  endFormer(subscription: string): void {
    const request = { type: "unsubscribe", shard: this.#shard, subscription } as const;
    void this.#calls.call(this.#sequencer, request);
  }

  /**
   * Ends the subscription. When the reply is lost the sequencer may go on for a while: its next
   * link is told that there are no clients.
   */
  end(): void {
    if (this.#phase.name !== "subscribed") return;
    const { subscription } = this.#phase;
    const done = this.#calls
      .call(this.#sequencer, { type: "unsubscribe", shard: this.#shard, subscription })
      .then(() => {
        this.#phase = { name: "none" };
      });
    this.#phase = { name: "unsubscribing", done };
  }

  get #sequencer() {
    return { role: "sequencer", id: roomOfShard(this.#shard) } as const;
  }

  async #subscribe(): Promise<Result<Subscribed>> {
    let attempt = 0;
    for (;;) {
      attempt += 1;
      const result = await this.#calls.call(this.#sequencer, {
        type: "subscribe",
        shard: this.#shard,
        position: null,
      });
      if (result.ok) {
        this.#phase = { name: "subscribed", subscription: result.value.subscription };
        this.#onSubscribed(result.value);
        return result;
      }
      if (attempt < attempts && result.code === "unreachable") continue;
      this.#phase = { name: "none" };
      if (result.code === "fenced") this.#onFenced();
      return result;
    }
  }
}
