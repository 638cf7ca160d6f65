/**
 * Topics: which messages a set of filters lets through, and whom a topic reaches. A filter is a
 * topic, a prefix (`scores:*` for everything below `scores:`) or `*`. Pure; knows nothing of sockets.
 *
 * A message without a topic passes every filter set, the empty one too.
 */

const everything = "*";

/** The filters that let a topic through: itself, each of its prefixes, and `*`. */
function filtersFor(topic: string): string[] {
  const filters = [topic, everything];
  let colon = topic.indexOf(":");
  while (colon !== -1) {
    filters.push(`${topic.slice(0, colon + 1)}*`);
    colon = topic.indexOf(":", colon + 1);
  }
  return filters;
}

/** A set of filters, by a name that equal sets share. */
export class TopicFilters {
  readonly name: string;
  readonly #filters: ReadonlySet<string>;

  constructor(filters: Iterable<string>) {
    this.#filters = new Set(filters);
    this.name = [...this.#filters].toSorted().join(",");
  }

  lets(topic: string | null): boolean {
    if (topic === null) return true;
    return filtersFor(topic).some((filter) => this.#filters.has(filter));
  }

  [Symbol.iterator](): IterableIterator<string> {
    return this.#filters.values();
  }
}

/** Finds those who want a topic without looking at those who do not. */
export class TopicIndex<Subscriber> {
  readonly #byFilter = new Map<string, Set<Subscriber>>();

  add(subscriber: Subscriber, filters: Iterable<string>): void {
    for (const filter of filters) {
      const subscribers = this.#byFilter.get(filter);
      if (subscribers === undefined) this.#byFilter.set(filter, new Set([subscriber]));
      else subscribers.add(subscriber);
    }
  }

  remove(subscriber: Subscriber, filters: Iterable<string>): void {
    for (const filter of filters) {
      const subscribers = this.#byFilter.get(filter);
      subscribers?.delete(subscriber);
      if (subscribers?.size === 0) this.#byFilter.delete(filter);
    }
  }

  /** Everybody with a filter that lets the topic through, each once. */
  find(topic: string): Set<Subscriber> {
    const found = new Set<Subscriber>();
    for (const filter of filtersFor(topic)) {
      for (const subscriber of this.#byFilter.get(filter) ?? []) found.add(subscriber);
    }
    return found;
  }
}
