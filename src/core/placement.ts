/**
 * Placement: which of several candidates takes the next socket. Pure; knows nothing of where loads
 * come from. A strategy is one function, so that users can pass their own.
 */
import type { ShardLoad } from "../protocol/registry-calls.ts";

/** What a strategy sees of a candidate: its load, this gate's own choices included. */
export type Candidate = Pick<ShardLoad, "id" | "connections" | "capacity">;

export type PlacementContext = {
  /** A number in [0, 1). */
  readonly random: () => number;
  /** How many sockets this gate has placed in this room so far. */
  readonly placed: number;
};

/**
 * Chooses one of `candidates`, which is never empty, holds only shards that are online and is in
 * ascending order of shard number. Must not keep or change them.
 */
export type PlacementStrategy = (
  candidates: readonly [Candidate, ...Candidate[]],
  context: PlacementContext,
) => Candidate;

/**
 * The fewest connections; among equals a random one, so that gates which know the same loads do
 * not all choose the same shard.
 */
export const leastConnections: PlacementStrategy = (candidates, context) => {
  let best = candidates[0];
  let equals = 1;
  for (const candidate of candidates.slice(1)) {
    if (candidate.connections < best.connections) {
      best = candidate;
      equals = 1;
    } else if (candidate.connections === best.connections) {
      equals += 1;
      if (context.random() * equals < 1) best = candidate;
    }
  }
  return best;
};

/**
 * The less loaded of two random ones (Mitzenmacher, "The Power of Two Choices in Randomized Load
 * Balancing", 2001): near the balance of least-connections when gates know loads only roughly.
 */
export const powerOfTwo: PlacementStrategy = (candidates, context) => {
  const first = Math.floor(context.random() * candidates.length);
  const step = 1 + Math.floor(context.random() * (candidates.length - 1));
  const one = candidates[first] ?? candidates[0];
  const other = candidates[(first + step) % candidates.length] ?? one;
  return other.connections < one.connections ? other : one;
};

/** Each in turn, as this gate counts. */
export const roundRobin: PlacementStrategy = (candidates, context) =>
  candidates[context.placed % candidates.length] ?? candidates[0];

/** Any, with equal chances. */
export const random: PlacementStrategy = (candidates, context) =>
  candidates[Math.floor(context.random() * candidates.length)] ?? candidates[0];

/** The strategies that a room type may name. */
export const strategies = {
  "least-connections": leastConnections,
  "power-of-two": powerOfTwo,
  "round-robin": roundRobin,
  random,
} as const satisfies Record<string, PlacementStrategy>;

export type StrategyName = keyof typeof strategies;
