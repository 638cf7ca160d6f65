/**
 * The clients of a shard by their topic filters: those with equal ones are a group, and a message
 * finds its groups by an index. Knows nothing of what is sent, or when.
 */
import type { Socket } from "../core/ports.ts";
import { TopicIndex, type TopicFilters } from "../core/topics.ts";
import type { ShardMessage } from "./messages.ts";
import type { ProtocolClient } from "./protocol-client.ts";

export type Group = {
  readonly filters: TopicFilters;
  readonly plain: Set<Socket>;
  /** Clients of protocol 1 that keep up. */
  readonly live: Set<ProtocolClient>;
  /** The last frame went up to here; what came after it was not for this group. */
  sent: number;
};

export class Groups {
  #groups = new Map<string, Group>();
  #index = new TopicIndex<Group>();

  /** The group of these filters, which was sent everything up to `sent` if it is new. */
  of(filters: TopicFilters, sent: number): Group {
    const known = this.#groups.get(filters.name);
    if (known !== undefined) return known;
    const group: Group = { filters, plain: new Set(), live: new Set(), sent };
    this.#groups.set(filters.name, group);
    this.#index.add(group, filters);
    return group;
  }

  find(filters: TopicFilters): Group | undefined {
    return this.#groups.get(filters.name);
  }

  dropIfEmpty(group: Group): void {
    if (group.plain.size > 0 || group.live.size > 0) return;
    this.#groups.delete(group.filters.name);
    this.#index.remove(group, group.filters);
  }

  clear(): void {
    this.#groups = new Map();
    this.#index = new TopicIndex();
  }

  [Symbol.iterator](): IterableIterator<Group> {
    return this.#groups.values();
  }

  /** The messages that each group wants, in order, for groups that want any. */
  divide(messages: readonly ShardMessage[]): Map<Group, ShardMessage[]> {
    const wanted = new Map<Group, ShardMessage[]>();
    for (const message of messages) {
      const groups = message.topic === null ? this : this.#index.find(message.topic);
      for (const group of groups) {
        const list = wanted.get(group);
        if (list === undefined) wanted.set(group, [message]);
        else list.push(message);
      }
    }
    return wanted;
  }
}
