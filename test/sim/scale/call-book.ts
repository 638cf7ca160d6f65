/** Counts calls between objects: by second, by type, and in bytes. Knows nothing of what they do. */
import { hub } from "../../../src/core/partitions.ts";

export class CallBook {
  readonly #startedAt: number;
  /** Calls by partition, one number a second. */
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
    const seconds = this.#secondsOf(id);
    const second = Math.floor((now - this.#startedAt) / 1_000);
    while (seconds.length <= second) seconds.push(0);
    seconds[second] = (seconds[second] ?? 0) + 1;
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
    return this.#secondsOf(partition);
  }

  /** Calls of partitions that do not keep the room: what is counted goes to the hub. */
  get hubTotal(): number {
    return this.#secondsOf(hub).reduce((sum, calls) => sum + calls, 0);
  }

  #secondsOf(partition: string): number[] {
    const known = this.#partitions.get(partition);
    if (known !== undefined) return known;
    const seconds: number[] = [];
    this.#partitions.set(partition, seconds);
    return seconds;
  }
}
