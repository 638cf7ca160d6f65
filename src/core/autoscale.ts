/**
 * How many shards a room is to have: more before they are full, fewer when the rest hold everybody
 * with room to spare. Pure; time comes in. Knows nothing of how shards are added or drained.
 */
import type { ShardId } from "../protocol/names.ts";
import type { Region } from "../protocol/registry.ts";

/** Used share of the shards' capacity, as a mean, above which shards are added. */
const growAbove = 0.7;
/** Shards are added until the mean is below this. */
const growTo = 0.5;
/** One is drained only while the others would be used no more than this: far below `growAbove`. */
const shrinkBelow = 0.4;
/** For so long it must have been so, so that a lull does not cost a wave of reconnects. */
export const calmMs = 60_000;

export type ScaledShard = {
  readonly id: ShardId;
  readonly isDraining: boolean;
  readonly connections: number;
  /** 0 of one that is offline: it is one of the room's shards, and takes nobody. */
  readonly capacity: number;
  readonly region?: Region;
};

export type ShardBounds = { readonly min: number; readonly max: number };

export type Scaling =
  | { readonly type: "stay" }
  /** So many shards more. */
  | { readonly type: "grow"; readonly by: number }
  | { readonly type: "drain"; readonly shard: ShardId };

export class Autoscale {
  /** Since when one shard could be spared; `null` while none can. */
  #calmSince: number | null = null;

  /** When to ask again though nothing was reported, or `null`. */
  nextDeadline(): number | null {
    return this.#calmSince === null ? null : this.#calmSince + calmMs;
  }

  /** `isRefusing`: a client found no place, whatever the reports say. */
  decide(
    shards: readonly ScaledShard[],
    { min, max }: ShardBounds,
    isRefusing: boolean,
    now: number,
  ): Scaling {
    const serving = shards.filter((shard) => !shard.isDraining);
    // Clients of a draining shard are about to come to the others.
    const clients = shards.reduce((sum, { connections }) => sum + connections, 0);
    const capacity = serving.reduce((sum, shard) => sum + shard.capacity, 0);
    const offline = serving.filter((shard) => shard.capacity === 0).length;
    const mean = capacity / Math.max(1, serving.length - offline);
    if (serving.length < max && (isRefusing || clients > growAbove * capacity)) {
      this.#calmSince = null;
      // Of a room without capacity nobody can say how many are enough.
      const enough = mean === 0 ? min : Math.ceil(clients / (growTo * mean)) + offline;
      const by = Math.min(max, Math.max(enough, min, serving.length + 1)) - serving.length;
      return { type: "grow", by };
    }
    if (serving.length < min) return { type: "grow", by: min - serving.length };
    return this.#shrink(serving, clients, capacity, min, now, serving.length < shards.length);
  }

  #shrink(
    serving: readonly ScaledShard[],
    clients: number,
    capacity: number,
    min: number,
    now: number,
    isDraining: boolean,
  ): Scaling {
    const emptiest = emptiestOf(serving);
    const isSpare =
      emptiest !== undefined &&
      !isDraining &&
      serving.length > min &&
      clients <= shrinkBelow * (capacity - emptiest.capacity);
    if (!isSpare) {
      this.#calmSince = null;
      return { type: "stay" };
    }
    this.#calmSince ??= now;
    if (now < this.#calmSince + calmMs) return { type: "stay" };
    this.#calmSince = null;
    return { type: "drain", shard: emptiest.id };
  }
}

/**
 * Which of these shards to let go first: one that takes nobody, else the emptiest. A region keeps its
 * last one as long as another region has several, so that the room stays near everybody.
 */
export function emptiestOf(serving: readonly ScaledShard[]): ScaledShard | undefined {
  const offline = serving.find(({ capacity }) => capacity === 0);
  if (offline !== undefined) return offline;
  const spare = serving.filter((shard) =>
    serving.some((other) => other !== shard && other.region === shard.region),
  );
  let emptiest: ScaledShard | undefined;
  for (const shard of spare.length > 0 ? spare : serving) {
    if (emptiest === undefined || shard.connections <= emptiest.connections) emptiest = shard;
  }
  return emptiest;
}
