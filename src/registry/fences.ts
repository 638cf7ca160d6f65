/**
 * Sequencers that are to serve only the newer objects of a slot, told until they have heard and have told
 * the former ones, if need be by a later life of this object. Owns the rows `fence/SLOT`, which hold the
 * lowest shard that serves.
 */
import { backoffMs } from "../core/backoff.ts";
import { isShardId, roomOfShard, shardId, slotOf, type ShardId } from "../protocol/names.ts";
import type { CallSlots } from "./call-slots.ts";
import type { RegistryOwner } from "./part.ts";

const prefix = "fence/";
const retryBounds = { baseMs: 1_000, maxMs: 60_000 };

type Debt = { readonly shard: ShardId; failures: number; at: number; isUnderWay: boolean };

export class Fences {
  readonly #owner: RegistryOwner;
  readonly #slots: CallSlots;
  readonly #debts = new Map<string, Debt>();

  private constructor(owner: RegistryOwner, slots: CallSlots) {
    this.#owner = owner;
    this.#slots = slots;
  }

  static async start(owner: RegistryOwner, slots: CallSlots): Promise<Fences> {
    const fences = new Fences(owner, slots);
    const { storage, clock } = owner.ports;
    for (const [key, shard] of await storage.list(prefix)) {
      if (typeof shard !== "string" || !isShardId(shard)) continue;
      // The sequencer of a type that is no longer declared cannot hear: the row waits for the type.
      if (owner.rooms.typeOf(roomOfShard(shard)) === undefined) continue;
      fences.#debts.set(key, { shard, failures: 0, at: clock.now(), isUnderWay: false });
    }
    return fences;
  }

  get isEmpty(): boolean {
    return this.#debts.size === 0;
  }

  /** Of its slot this shard and later ones serve; said at once, and again until it is heard. */
  owe(shard: ShardId): void {
    const key = prefix + shardId(roomOfShard(shard), slotOf(shard));
    const known = this.#debts.get(key);
    if (known?.shard === shard && known.isUnderWay) return;
    const { storage, clock } = this.#owner.ports;
    storage.put({ [key]: shard });
    const debt = { shard, failures: 0, at: clock.now(), isUnderWay: false };
    this.#debts.set(key, debt);
    void this.#pay(key, debt);
  }

  nextDeadline(): number | null {
    let next: number | null = null;
    for (const { at, isUnderWay } of this.#debts.values()) {
      if (!isUnderWay && (next === null || at < next)) next = at;
    }
    return next;
  }

  nextDurableDeadline(): number | null {
    return this.nextDeadline();
  }

  wake(now: number): void {
    for (const [key, debt] of this.#debts) {
      if (!debt.isUnderWay && debt.at <= now) void this.#pay(key, debt);
    }
  }

  async #pay(key: string, debt: Debt): Promise<void> {
    debt.isUnderWay = true;
    const { calls, clock, entropy, storage } = this.#owner.ports;
    const to = { role: "sequencer", id: roomOfShard(debt.shard) } as const;
    const request = { type: "fence", shard: debt.shard } as const;
    const reply = await this.#slots.run(() => calls.call(to, request), true);
    debt.isUnderWay = false;
    // A later generation is owed meanwhile.
    if (this.#debts.get(key) !== debt) return;
    if (reply.ok) {
      this.#debts.delete(key);
      storage.delete([key]);
      return;
    }
    debt.failures += 1;
    debt.at = clock.now() + backoffMs(debt.failures, entropy.random(), retryBounds);
    this.#owner.rearm();
  }
}
