/**
 * The shards that a room's messages are owed to: who they are, durably, and how far each has got.
 * Knows nothing of writes.
 */
import {
  fencedFailure,
  type DeliveryCount,
  type LoadReply,
  type SequencerStatus,
  type Subscribed,
} from "../protocol/calls.ts";
import { closeCodes, type CloseCode } from "../protocol/close-codes.ts";
import type { Position } from "../protocol/link.ts";
import { slotOf, type ShardId } from "../protocol/names.ts";
import { success, type Result } from "../protocol/result.ts";
import { Delivery, type DeliveryOwner } from "./delivery.ts";
import { Farewells, type FarewellsOwner } from "./farewells.ts";
import { Fences } from "./fences.ts";
import type { Journal, JournalContents } from "./journal.ts";
import { LoadRelay } from "./load-relay.ts";

export type SubscribersOwner = Omit<DeliveryOwner, "onOver" | "onSuspect" | "onLoad"> &
  FarewellsOwner & {
    /** The registry object that keeps this room. */
    readonly registry: string;
    readonly journal: Journal;
    /** A shard is no subscriber any more: nobody need wait for it. */
    readonly onGone: () => void;
  };

export class Subscribers {
  readonly #deliveries = new Map<ShardId, Delivery>();
  readonly #owner: SubscribersOwner;
  readonly #deliveryOwner: DeliveryOwner;
  readonly #fences: Fences;
  readonly #farewells: Farewells;
  readonly #relay: LoadRelay;
  /** As written: a later life need not ask any shard about messages up to here. */
  #settled = 0;

  constructor(owner: SubscribersOwner) {
    this.#owner = owner;
    this.#relay = new LoadRelay(owner);
    this.#deliveryOwner = {
      ...owner,
      onLoad: (shard, load) => this.#relay.take(shard, load),
      onOver: (delivery) => this.#drop(delivery),
      onSuspect: (shard) => this.#suspect(shard),
    };
    this.#fences = new Fences(owner.journal);
    this.#farewells = new Farewells(owner);
  }

  [Symbol.iterator](): Iterator<Delivery> {
    return this.#deliveries.values();
  }

  /** Goes on with what a former life owed; messages up to `settled` every shard has. */
  restore({ subscribers, settled, fences, over }: JournalContents): void {
    this.#settled = settled;
    this.#fences.restore(fences);
    this.#farewells.restore(over);
    for (const [shard, row] of subscribers) {
      const acked = Math.min(Math.max(row.seq, settled), this.#owner.log.head);
      this.#add(shard, row.subscription, acked);
    }
    for (const delivery of this) delivery.pump();
  }

  /**
   * Everything after the answer's `seq` is owed from now on. `position` is what a shard with clients
   * has; without any it starts here. A shard that has taken its slot over fences those before it.
   */
  subscribe(shard: ShardId, position: Position | null): Result<Subscribed, "fenced"> {
    if (this.#fences.shutsOut(shard)) return fencedFailure();
    this.#raise(shard);
    const { log, journal, entropy } = this.#owner;
    const epoch = this.#owner.epoch();
    const subscription = entropy.id();
    const known = this.#deliveries.get(shard);
    const acked = known?.acked ?? this.#startOf(position);
    journal.writeSubscriber(shard, { subscription, seq: acked });
    if (acked < this.#settled) this.#writeSettled(acked);
    if (known === undefined) this.#add(shard, subscription, acked).pump();
    else known.resubscribe(subscription);
    return success({ epoch, seq: log.head, subscription });
  }

  /** Only if that subscription is still the shard's. */
  unsubscribe(shard: ShardId, subscription: string): void {
    const delivery = this.#deliveries.get(shard);
    if (delivery?.subscription === subscription) this.#drop(delivery);
  }

  /** From now on only this generation of the slot and later ones are served. */
  fence(shard: ShardId): Promise<Result<null, "unavailable">> {
    this.#raise(shard);
    return this.#farewells.areSaid(slotOf(shard));
  }

  /** Whether it is a shard whose slot was given to a later generation. */
  isFenced(shard: ShardId | undefined): boolean {
    return shard !== undefined && this.#fences.shutsOut(shard);
  }

  /** Time has passed. */
  wake(now: number): void {
    for (const delivery of this) delivery.wake(now);
    this.#farewells.wake(now);
    this.#relay.wake(now);
  }

  nextDeadline(): number | null {
    const times = Array.from(this, (delivery) => delivery.nextDeadline());
    const own = [this.#farewells.nextDeadline(), this.#relay.nextDeadline()];
    const known = [...times, ...own].filter((at) => at !== null);
    return known.length === 0 ? null : Math.min(...known);
  }

  get isEmpty(): boolean {
    return this.#deliveries.size === 0;
  }

  /** The room begins anew: whoever still has clients is told so. The rows before are gone. */
  restart(): void {
    this.#settled = 0;
    for (const delivery of this) {
      const { shard, subscription } = delivery;
      this.#owner.journal.writeSubscriber(shard, { subscription, seq: 0 });
      delivery.restart();
    }
  }

  /** Messages up to here every shard has that the log waits for. */
  settledThrough(now: number): number {
    let settled = this.#owner.log.head;
    for (const delivery of this) {
      if (delivery.acked < settled && delivery.holdsLog(now)) settled = delivery.acked;
    }
    return settled;
  }

  /** Once every shard has everything and every link is closed, a later life need not ask again. */
  settle(): void {
    const { head } = this.#owner.log;
    if (this.#settled === head) return;
    for (const delivery of this) if (!delivery.isSettled) return;
    this.#writeSettled(head);
  }

  /** Every shard has every message up to here; `Infinity` when there are none. */
  get lowest(): number {
    let lowest = Infinity;
    for (const { acked } of this) lowest = Math.min(lowest, acked);
    return lowest;
  }

  count(seq: number): DeliveryCount {
    let delivered = 0;
    for (const delivery of this) if (delivery.acked >= seq) delivered += 1;
    return { delivered, pending: this.#deliveries.size - delivered };
  }

  /** Asks every shard for the number of its clients. */
  status(
    ask: (shard: ShardId) => Promise<LoadReply | null>,
  ): Promise<SequencerStatus["subscribers"]> {
    return Promise.all(
      Array.from(this, async ({ shard, acked }) => {
        const { connections = null, stateError = null } = (await ask(shard)) ?? {};
        return { shard, acked, connections, stateError };
      }),
    );
  }

  #raise(shard: ShardId): void {
    if (!this.#fences.raise(shard)) return;
    const former = [...this].filter((each) => slotOf(each.shard) === slotOf(shard));
    for (const delivery of former.filter((each) => this.#fences.shutsOut(each.shard))) {
      this.#drop(delivery, closeCodes.fenced);
      this.#farewells.say(delivery.shard);
    }
  }

  #add(shard: ShardId, subscription: string, acked: number): Delivery {
    const delivery = new Delivery(shard, subscription, acked, this.#deliveryOwner);
    this.#deliveries.set(shard, delivery);
    return delivery;
  }

  #suspect(shard: ShardId): void {
    const { calls, registry } = this.#owner;
    void calls.call({ role: "registry", id: registry }, { type: "suspect", shard });
  }

  #writeSettled(seq: number): void {
    this.#settled = seq;
    this.#owner.journal.writeSettled(seq);
  }

  /** What a shard has of another life of the room is met by its link, which resets it. */
  #startOf(position: Position | null): number {
    const { head } = this.#owner.log;
    if (position === null) return head;
    return position.epoch === this.#owner.epoch() && position.seq <= head ? position.seq : 0;
  }

  /** Nothing is waited for from it any more. */
  #drop(delivery: Delivery, code?: CloseCode): void {
    if (this.#deliveries.get(delivery.shard) !== delivery) return;
    this.#deliveries.delete(delivery.shard);
    this.#owner.journal.deleteSubscriber(delivery.shard);
    delivery.end(code);
    this.#owner.onAcknowledged(delivery.acked, this.#owner.log.head);
    this.#owner.onGone();
  }
}
