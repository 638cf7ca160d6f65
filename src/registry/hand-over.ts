/**
 * What happens when the number of partitions changes. The hub remembers the number before, and asks
 * every former partition to hand over until all have; a partition hands over each row that belongs
 * elsewhere, and deletes it only when the other has it. Knows rows by their prefix and key.
 */
import * as v from "valibot";
import { backoffMs } from "../core/backoff.ts";
import { hub, partitionNames, partitionOf } from "../core/partitions.ts";
import { failure, success, type Result } from "../protocol/result.ts";
import { asProblem, type RegistryOwner } from "./part.ts";

const stateKey = "partitions";
/** Rows of one call. */
const rowsPerCall = 100;
const retryBounds = { baseMs: 1_000, maxMs: 60_000 };

/** `former`: the most partitions there have been whose rows may not be where they belong. */
const stateSchema = v.object({ count: v.number(), former: v.nullable(v.number()) });

type Row = [key: string, value: unknown];

/** Rows that go with what their key names after the prefix. */
export type HandedRows = {
  readonly prefix: string;
  /** Another row, which goes along with each call and stays. */
  readonly along: string | null;
  /** Another partition has the rows with these keys. */
  readonly release: (keys: readonly string[]) => void;
};

export class HandOver {
  readonly #owner: RegistryOwner;
  readonly #kinds: readonly HandedRows[];
  /** Only at the hub. */
  #former: number | null = null;
  #nextAt: number | null = null;
  #failures = 0;
  #handing: Promise<Result<null>> | null = null;

  private constructor(owner: RegistryOwner, kinds: readonly HandedRows[]) {
    this.#owner = owner;
    this.#kinds = kinds;
  }

  static async start(owner: RegistryOwner, kinds: readonly HandedRows[]): Promise<HandOver> {
    const handOver = new HandOver(owner, kinds);
    if (owner.name === hub) await handOver.#remember();
    return handOver;
  }

  /** Hands over all that belongs elsewhere; succeeds when nothing is left. */
  handOver(): Promise<Result<null>> {
    this.#handing ??= this.#handAll().finally(() => {
      this.#handing = null;
    });
    return this.#handing;
  }

  nextDeadline(): number | null {
    return this.#nextAt;
  }

  wake(now: number): void {
    if (this.#nextAt === null || this.#nextAt > now || this.#former === null) return;
    this.#nextAt = null;
    void this.#askFormer(this.#former);
  }

  async #remember(): Promise<void> {
    const { storage } = this.#owner.ports;
    const { partitions } = this.#owner.rooms.deployment;
    const stored = (await storage.list(stateKey)).get(stateKey);
    const parsed = v.safeParse(stateSchema, stored);
    // A hub that has never written it was the only partition, and may have rows.
    const { count, former } = parsed.success ? parsed.output : { count: 1, former: null };
    const isChanged = count !== partitions;
    const still = isChanged ? Math.max(count, partitions, former ?? 0) : former;
    if (isChanged || !parsed.success) {
      storage.put({ [stateKey]: { count: partitions, former: still } });
    }
    if (still === null) return;
    this.#former = still;
    this.#nextAt = this.#owner.ports.clock.now();
  }

  async #askFormer(former: number): Promise<void> {
    const replies = await Promise.all(
      partitionNames(former).map((name) => this.#owner.ask(name, { type: "handOver" })),
    );
    const { clock, entropy, storage } = this.#owner.ports;
    if (replies.every((reply) => reply.ok)) {
      this.#former = null;
      const count = this.#owner.rooms.deployment.partitions;
      storage.put({ [stateKey]: { count, former: null } });
      return;
    }
    this.#failures += 1;
    const delay = backoffMs(this.#failures, entropy.random(), retryBounds);
    this.#nextAt = clock.now() + delay;
    this.#owner.rearm();
  }

  async #handAll(): Promise<Result<null>> {
    for (const kind of this.#kinds) {
      for (const [to, rows] of await this.#foreign(kind.prefix)) {
        const handed = await this.#hand(to, rows, kind);
        if (!handed.ok) return handed;
      }
    }
    return success(null);
  }

  /** Rows with the prefix that belong to other partitions, by partition. */
  async #foreign(prefix: string): Promise<Map<string, Row[]>> {
    const foreign = new Map<string, Row[]>();
    const { partitions } = this.#owner.rooms.deployment;
    for (const row of await this.#owner.ports.storage.list(prefix)) {
      const to = partitionOf(row[0].slice(prefix.length), partitions);
      if (to === this.#owner.name) continue;
      const rows = foreign.get(to);
      if (rows === undefined) foreign.set(to, [row]);
      else rows.push(row);
    }
    return foreign;
  }

  async #hand(to: string, rows: readonly Row[], kind: HandedRows): Promise<Result<null>> {
    const { storage } = this.#owner.ports;
    const { along } = kind;
    const more = along === null ? [] : await storage.list(along);
    for (let start = 0; start < rows.length; start += rowsPerCall) {
      const chunk = rows.slice(start, start + rowsPerCall);
      const sent = Object.fromEntries([...chunk, ...more]);
      const adopted = await this.#owner.ask(to, { type: "adopt", rows: sent });
      if (!adopted.ok) return failure("unavailable", asProblem(adopted).detail);
      kind.release(chunk.map(([key]) => key));
    }
    return success(null);
  }
}
