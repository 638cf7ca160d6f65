/**
 * Partitions of the registry: which of its objects keeps a room, a lock or a snapshot. Pure; knows
 * nothing of what is kept.
 */

/** The partition that is always there. It also keeps servers outside and subscribers of events. */
export const hub = "default";

export const maxPartitions = 64;

/** Names of a deployment's partitions: `default`, `default-1`, …. */
export function partitionNames(count: number): string[] {
  return Array.from({ length: count }, (_, index) => (index === 0 ? hub : `${hub}-${index}`));
}

/** Whether a deployment may have such a partition, or may have had it when it had more of them. */
export function isPartitionName(name: string): boolean {
  return partitionNames(maxPartitions).includes(name);
}

/**
 * The partition of a key: the one with the highest score for it (rendezvous hashing; Thaler and
 * Ravishankar, "Using name-based mappings to increase hit rates", 1998). One more partition takes over
 * its share of the keys and moves no others.
 */
export function partitionOf(key: string, count: number): string {
  let best = hub;
  let highest = -1;
  for (const name of partitionNames(count)) {
    const score = rendezvousScore(key, name);
    if (score <= highest) continue;
    highest = score;
    best = name;
  }
  return best;
}

/** A whole number from 0 to 2³² − 1 that depends on both texts: FNV-1a, then MurmurHash3's finalizer. */
export function rendezvousScore(key: string, name: string): number {
  let hash = 0x811c9dc5;
  const text = `${name}\n${key}`;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
