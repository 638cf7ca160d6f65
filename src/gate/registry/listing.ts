/** Lists over several partitions: one page out of a page of each. Pure. */

/** What one partition says: what it found in order of ids, and how far it looked. */
type Part<Item> = {
  readonly items: readonly Item[];
  /** The last id looked at when there may be more, else `null`. */
  readonly through: string | null;
};

export type Page<Item> = { readonly items: readonly Item[]; readonly cursor: string | null };

/**
 * The first items of all parts, at most `limit`, in order of ids. Nothing beyond what every partition
 * has looked at is in it, so that the cursor, an id, means the same in each: no item is left out or
 * comes twice, however the ids are spread. An id that two partitions have, while rooms move between
 * them, comes once.
 */
export function mergePages<Item>(
  parts: readonly Part<Item>[],
  idOf: (item: Item) => string,
  limit: number,
): Page<Item> {
  const ends = parts.map(({ through }) => through).filter((end) => end !== null);
  const end = ends.length === 0 ? null : ends.reduce((one, other) => (other < one ? other : one));
  const byId = new Map<string, Item>();
  for (const { items } of parts) {
    for (const item of items) {
      const id = idOf(item);
      if ((end === null || id <= end) && !byId.has(id)) byId.set(id, item);
    }
  }
  const ids = [...byId.keys()].toSorted((one, other) => (one < other ? -1 : 1));
  const items = ids.slice(0, limit).flatMap((id) => byId.get(id) ?? []);
  if (ids.length > limit) return { items, cursor: ids[limit - 1] ?? null };
  return { items, cursor: end };
}
