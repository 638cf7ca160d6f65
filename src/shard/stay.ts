/**
 * How long the shard stays in its room: subscribed from its first client until some seconds after the
 * last. Owns the row that a later life of the object goes on from. Knows nothing of links.
 *
 *   shard   the subscription and the position, written when a subscription begins and when a link ends
 */
import type { Caller, Clock, Storage } from "../core/ports.ts";
import type { Subscribed } from "../protocol/calls.ts";
import type { ShardId } from "../protocol/names.ts";
import type { Clients } from "./clients.ts";
import type { FanOut } from "./fan-out.ts";
import { Subscription } from "./subscription.ts";

/** After the last client has left for so long, the shard unsubscribes. */
const lingerMs = 5_000;

export type StayOwner = {
  readonly shard: ShardId;
  readonly clock: Clock;
  readonly storage: Storage;
  readonly calls: Caller;
  readonly clients: Clients;
  readonly fanOut: FanOut;
  /** A later generation has the slot, and nothing is kept any more. */
  readonly isOver: () => boolean;
  readonly onFenced: () => void;
  /** The deadline has changed. */
  readonly armWake: () => void;
};

export class Stay {
  readonly subscription: Subscription;
  readonly #owner: StayOwner;
  #lingerUntil: number | null = null;

  constructor(owner: StayOwner) {
    this.#owner = owner;
    this.subscription = new Subscription(
      owner.shard,
      owner.calls,
      (subscribed) => this.#handleSubscribed(subscribed),
      owner.onFenced,
    );
  }

  /** The link broke: the sequencer is to know what the shard has. */
  renew(): Promise<boolean> {
    return this.subscription.renew(this.#owner.fanOut.position);
  }

  store(): void {
    if (this.#owner.isOver()) return;
    const subscription = this.subscription.id;
    const { position } = this.#owner.fanOut;
    if (subscription === null || position === null) return;
    this.#owner.storage.put({ shard: { subscription, position } });
  }

  /** A later life has nothing to go on from. */
  forget(): void {
    this.#owner.storage.delete(["shard"]);
  }

  /** Nobody is waited for any more. */
  end(): void {
    this.#lingerUntil = null;
    this.forget();
    this.subscription.end();
  }

  welcomed(): void {
    this.#lingerUntil = null;
  }

  lingerIfEmpty(): void {
    if (!this.#owner.clients.isEmpty) return;
    this.#lingerUntil = this.#owner.clock.now() + lingerMs;
    this.#owner.armWake();
  }

  nextDeadline(): number | null {
    return this.#lingerUntil;
  }

  wake(now: number): void {
    if (this.#lingerUntil === null || this.#lingerUntil > now) return;
    this.#lingerUntil = null;
    if (this.#owner.clients.isEmpty) this.subscription.end();
  }

  #handleSubscribed({ epoch, seq }: Subscribed): void {
    const { clients, fanOut } = this.#owner;
    // Clients that were here before must get what they lack; without any, the shard starts here.
    if (clients.size === 0) fanOut.advance({ epoch, seq });
    this.store();
  }
}
