/**
 * Calls that must be made, if need be by a later life of this object: that a shard forgets a room's
 * own limit, and that the hub counts a room on a server outside no longer. A row a room.
 */
import * as v from "valibot";
import { backoffMs } from "../core/backoff.ts";
import { hub } from "../core/partitions.ts";
import {
  isRoomId,
  isShardId,
  roomOfShard,
  shardId,
  type RoomId,
  type ShardId,
} from "../protocol/names.ts";
import type { Result } from "../protocol/result.ts";
import type { CallSlots } from "./call-slots.ts";
import type { RegistryOwner } from "./part.ts";

const prefix = "owed/";
/** A call whose answer was lost has had its effect by then, or never will. */
export const underWayMs = 30_000;
const retryBounds = { baseMs: 1_000, maxMs: 60_000 };

const owedSchema = v.variant("type", [
  /** `null`: the type's own again. To the room's first shard where none is named. */
  v.object({
    type: v.literal("limit"),
    maxPlayers: v.nullable(v.number()),
    at: v.number(),
    shard: v.optional(v.custom<ShardId>((value) => typeof value === "string" && isShardId(value))),
  }),
  v.object({ type: v.literal("vacate"), server: v.string(), at: v.optional(v.number()) }),
]);
export type OwedCall = v.InferOutput<typeof owedSchema>;

type Debt = {
  readonly call: OwedCall;
  failures: number;
  at: number;
  /** It is paid then, and not before, for the last time. */
  readonly lastAt: number;
};

export class OwedCalls {
  readonly #owner: RegistryOwner;
  readonly #slots: CallSlots;
  readonly #debts = new Map<RoomId, Debt>();
  readonly #underWay = new Map<RoomId, Promise<void>>();
  #nextAt: number | null = null;

  private constructor(owner: RegistryOwner, slots: CallSlots) {
    this.#owner = owner;
    this.#slots = slots;
  }

  static async start(owner: RegistryOwner, slots: CallSlots): Promise<OwedCalls> {
    const calls = new OwedCalls(owner, slots);
    for (const [key, value] of await owner.ports.storage.list(prefix)) {
      const owed = v.safeParse(owedSchema, value);
      const room = key.slice(prefix.length);
      if (!owed.success || !isRoomId(room)) continue;
      // A limit that the former life sent may be under way yet: what takes it back comes after it.
      const isTakenBack = owed.output.type === "limit" && owed.output.maxPlayers === null;
      const delayMs = isTakenBack ? underWayMs : 0;
      calls.#add(room, owed.output, owner.ports.clock.now() + delayMs);
    }
    return calls;
  }

  get isEmpty(): boolean {
    return this.#debts.size === 0;
  }

  /** Whether the shard is still to be told its room's own limit. */
  owesLimit(shard: ShardId): boolean {
    const call = this.#debts.get(roomOfShard(shard))?.call;
    return call?.type === "limit" && call.maxPlayers !== null && call.shard === shard;
  }

  /** Resolves when no call for the room is under way: what is sent after it comes after it. */
  async idle(room: RoomId): Promise<void> {
    await this.#underWay.get(room);
  }

  /**
   * Owed from `at` on, and once more at `lastAt` if that is later; takes the place of what was owed for
   * the room before.
   */
  owe(room: RoomId, call: OwedCall, at: number, lastAt = at): void {
    this.#owner.ports.storage.put({ [prefix + room]: call });
    this.#add(room, call, at, lastAt);
  }

  /** It is owed no longer. */
  cancel(room: RoomId): void {
    if (this.#debts.delete(room)) this.#owner.ports.storage.delete([prefix + room]);
  }

  nextDeadline(): number | null {
    return this.#nextAt;
  }

  wake(now: number): void {
    if (this.#nextAt === null || this.#nextAt > now) return;
    this.#nextAt = null;
    for (const [room, debt] of this.#debts) {
      if (this.#underWay.has(room)) continue;
      if (debt.at > now) this.#wakeAt(debt.at);
      else this.#underWay.set(room, this.#pay(room, debt));
    }
  }

  #add(room: RoomId, call: OwedCall, at: number, lastAt = at): void {
    this.#debts.set(room, { call, failures: 0, at, lastAt });
    this.#wakeAt(at);
  }

  async #pay(room: RoomId, debt: Debt): Promise<void> {
    const reply = await this.#slots.run(() => this.#call(room, debt.call), false);
    this.#underWay.delete(room);
    const owed = this.#debts.get(room);
    if (owed !== debt) return owed === undefined ? undefined : this.#wakeAt(owed.at);
    const { clock, entropy } = this.#owner.ports;
    if (reply.ok || !isWorthAnotherTry(reply.code)) {
      if (debt.at >= debt.lastAt) return this.cancel(room);
      debt.at = debt.lastAt;
      return this.#wakeAt(debt.at);
    }
    debt.failures += 1;
    debt.at = clock.now() + 1_000 + backoffMs(debt.failures, entropy.random(), retryBounds);
    this.#wakeAt(debt.at);
  }

  #call(room: RoomId, call: OwedCall): Promise<Result<null>> {
    if (call.type === "vacate") {
      return this.#owner.ask(hub, { ...call, room });
    }
    const { shard = shardId(room, 1), ...limit } = call;
    return this.#owner.ports.calls.call({ role: "shard", id: shard }, limit);
  }

  #wakeAt(at: number): void {
    if (this.#nextAt !== null && this.#nextAt <= at) return;
    this.#nextAt = at;
    this.#owner.rearm();
  }
}

function isWorthAnotherTry(code: string): boolean {
  return code === "unreachable" || code === "overloaded" || code === "unavailable";
}
