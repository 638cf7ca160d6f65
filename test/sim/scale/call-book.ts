/** Counts calls between objects: by time, by type, and in bytes. Knows nothing of what they do. */
import { hub } from "../../../src/core/partitions.ts";

const tenthsInSecond = 10;

export class CallBook {
  readonly #startedAt: number;
  /** Calls by partition, one number for each tenth of a second. */
  readonly #partitions = new Map<string, number[]>();
  /** By role and type. */
  readonly #types = new Map<string, number>();
  /** Characters of requests and replies as JSON, by role and type, of those that were measured. */
  readonly #lengths = new Map<string, { characters: number; times: number }>();

  constructor(startedAt: number) {
    this.#startedAt = startedAt;
  }

  called(role: string, id: string, type: string, now: number): void {
    const name = `${role} ${type}`;
    this.#types.set(name, (this.#types.get(name) ?? 0) + 1);
    if (role !== "registry") return;
    const tenths = this.#tenthsOf(id);
    const tenth = Math.floor((now - this.#startedAt) / 100);
    while (tenths.length <= tenth) tenths.push(0);
    tenths[tenth] = (tenths[tenth] ?? 0) + 1;
  }

  answered(role: string, type: string, reply: unknown): void {
    const name = `${role} ${type}`;
    const length = this.#lengths.get(name) ?? { characters: 0, times: 0 };
    this.#lengths.set(name, length);
    // Large replies take long to measure and differ little.
    if (length.times >= 20 && (this.#types.get(name) ?? 0) % 1_000 !== 0) return;
    length.characters += JSON.stringify(reply).length;
    length.times += 1;
  }

  count(name: string): number {
    return this.#types.get(name) ?? 0;
  }

  get counts(): Record<string, number> {
    return Object.fromEntries([...this.#types].toSorted(([one], [two]) => (one < two ? -1 : 1)));
  }

  /** Mean length of a reply. */
  replyLength(name: string): number {
    const length = this.#lengths.get(name);
    return length === undefined ? 0 : Math.round(length.characters / length.times);
  }

  /** Calls in each whole second, of one partition. */
  perSecond(partition: string): readonly number[] {
    const tenths = this.#tenthsOf(partition);
    const seconds = Math.ceil(tenths.length / tenthsInSecond);
    return Array.from({ length: seconds }, (_, second) =>
      secondFrom(tenths, second * tenthsInSecond),
    );
  }

  /** Calls in the busiest second, in whichever tenth it begins. */
  mostInSecond(partition: string): number {
    const tenths = this.#tenthsOf(partition);
    return Math.max(0, ...tenths.map((_, from) => secondFrom(tenths, from)));
  }

  /** Calls of partitions that do not keep the room: what is counted goes to the hub. */
  get hubTotal(): number {
    return this.#tenthsOf(hub).reduce((sum, calls) => sum + calls, 0);
  }

  #tenthsOf(partition: string): number[] {
    const known = this.#partitions.get(partition);
    if (known !== undefined) return known;
    const tenths: number[] = [];
    this.#partitions.set(partition, tenths);
    return tenths;
  }
}

function secondFrom(tenths: readonly number[], from: number): number {
  return tenths.slice(from, from + tenthsInSecond).reduce((sum, calls) => sum + calls, 0);
}
