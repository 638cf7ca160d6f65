/**
 * Placement: which of several candidates takes the next socket or room. Pure; knows nothing of where
 * loads come from. A strategy is one function, so that users can pass their own.
 */
import type { Region } from "../protocol/registry.ts";
import { rendezvousScore } from "./partitions.ts";
import { fallbackOrder } from "./regions.ts";

/** What a strategy sees of a candidate, a shard or a server outside: its load, own choices included. */
export type Candidate = {
  readonly id: string;
  /** Sockets or players. */
  readonly connections: number;
  /** Sockets that a shard takes, rooms that a server outside takes. */
  readonly capacity: number;
  /** Rooms on a server outside; left out for a shard. */
  readonly rooms?: number;
  readonly region?: Region;
};

export type PlacementContext = {
  /** A number in [0, 1). */
  readonly random: () => number;
  /** How many have been placed here so far. */
  readonly placed: number;
  /** Who is placed: the connection, player or room. For strategies that keep somebody in one place. */
  readonly key: string;
  /** Where the request comes from, if that is known. */
  readonly region: Region | null;
  /** The candidate that asks, if one does. */
  readonly local: string | null;
};

/**
 * Chooses one of `candidates`, which is never empty, holds only those that are online and, unless
 * there is no other, have space, and is in a fixed order. Must not keep or change them.
 */
export type PlacementStrategy = <Each extends Candidate>(
  candidates: readonly [Each, ...Each[]],
  context: PlacementContext,
) => Each;

/**
 * The fewest connections (players); among equals a random one, so that gates which know the same
 * loads do not all choose the same shard.
 */
export const leastConnections: PlacementStrategy = (candidates, { random: draw }) =>
  lowest(candidates, (each) => each.connections, draw);

/** The fewest rooms, and the fewest connections among those; a shard counts as one room. */
export const leastRooms: PlacementStrategy = (candidates, { random: draw }) => {
  const fewest = Math.min(...candidates.map(({ rooms = 1 }) => rooms));
  return lowest(
    candidates,
    (each) => ((each.rooms ?? 1) === fewest ? each.connections : Infinity),
    draw,
  );
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

/** Each in turn, as this gate or registry counts. */
export const roundRobin: PlacementStrategy = (candidates, context) =>
  candidates[context.placed % candidates.length] ?? candidates[0];

/** Any, with equal chances. */
export const random: PlacementStrategy = (candidates, context) =>
  candidates[Math.floor(context.random() * candidates.length)] ?? candidates[0];

/** Any, with chances in proportion to free capacity; with equal ones when none has any. */
export const weighted: PlacementStrategy = (candidates, context) => {
  const total = candidates.reduce((sum, each) => sum + free(each), 0);
  if (total === 0) return random(candidates, context);
  let left = context.random() * total;
  for (const each of candidates) {
    left -= free(each);
    if (left < 0) return each;
  }
  return candidates[0];
};

/** The one with the least free capacity that has any, so that the others can be emptied. */
export const fillFirst: PlacementStrategy = (candidates) => {
  let best = candidates[0];
  for (const each of candidates) {
    const space = free(each);
    if (space > 0 && (space < free(best) || free(best) === 0)) best = each;
  }
  return best;
};

/**
 * The same one for the same key (rendezvous hashing, see partitions.ts): a candidate that comes or
 * goes moves only its own share of the keys.
 */
export const sticky: PlacementStrategy = (candidates, { key }) =>
  lowest(
    candidates,
    (each) => -rendezvousScore(key, each.id),
    () => 1,
  );

/**
 * The fewest connections in the nearest region that has a candidate, in the order of regions.ts;
 * candidates without a region come last. Without a region of the request, `least-connections`.
 */
export const nearest: PlacementStrategy = (candidates, context) => {
  const order = context.region === null ? [] : fallbackOrder(context.region);
  for (const region of order) {
    const [first, ...others] = candidates.filter((each) => each.region === region);
    if (first !== undefined) return leastConnections([first, ...others], context);
  }
  return leastConnections(candidates, context);
};

/**
 * The candidate that asks, while less than `threshold` (0 to 1, default 0.8) of its capacity is in
 * use; else what `otherwise` chooses. Throws a `TypeError` for another threshold.
 */
export function preferLocal(otherwise: PlacementStrategy, threshold = 0.8): PlacementStrategy {
  if (!(threshold >= 0 && threshold <= 1)) throw new TypeError("threshold must be from 0 to 1");
  return (candidates, context) => {
    const local = candidates.find(({ id }) => id === context.local);
    const isFree = local !== undefined && used(local) < threshold * local.capacity;
    return isFree ? local : otherwise(candidates, context);
  };
}

/** The strategies that a room type may name. */
export const strategies = {
  "least-connections": leastConnections,
  "least-players": leastConnections,
  "least-rooms": leastRooms,
  "power-of-two": powerOfTwo,
  "round-robin": roundRobin,
  random,
  weighted,
  "fill-first": fillFirst,
  sticky,
  nearest,
} as const satisfies Record<string, PlacementStrategy>;

export type StrategyName = keyof typeof strategies;

/** What of its capacity a candidate has in use: rooms of a server outside, sockets of a shard. */
function used({ rooms, connections }: Candidate): number {
  return rooms ?? connections;
}

function free(candidate: Candidate): number {
  return Math.max(0, candidate.capacity - used(candidate));
}

/** The candidate with the lowest cost, and a random one among equals. */
function lowest<Each extends Candidate>(
  candidates: readonly [Each, ...Each[]],
  cost: (candidate: Each) => number,
  draw: () => number,
): Each {
  let best = candidates[0];
  let least = cost(best);
  let equals = 1;
  for (const candidate of candidates) {
    const costs = cost(candidate);
    if (costs < least) {
      best = candidate;
      least = costs;
      equals = 1;
    } else if (costs === least && candidate !== candidates[0]) {
      equals += 1;
      if (draw() * equals < 1) best = candidate;
    }
  }
  return best;
}
