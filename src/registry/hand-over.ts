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
import { namedByRow } from "./room-store.ts";
import type { Snapshots } from "./snapshots.ts";

const stateKey = "partitions";
/** Rows of one call. */
const rowsPerCall = 100;
const retryBounds = { baseMs: 1_000, maxMs: 60_000 };

/** `former`: the most partitions there have been whose rows may not be where they belong. */
const stateSchema = v.object({ count: v.number(), former: v.nullable(v.number()) });

type Rows = {
  /** Prefixes of the rows that go with what the rest of their key names. */
  readonly prefixes: readonly string[];
  /** Rows that every partition takes into account. */
  readonly shared: readonly string[];
  readonly snapshots: Snapshots;
};

export class HandOver {
  readonly #owner: RegistryOwner;
  readonly #rows: Rows;
  /** Only at the hub. */
  #former: number | null = null;
  #nextAt: number | null = null;
  #failures = 0;
  #handing: Promise<Result<null>> | null = null;

  private constructor(owner: RegistryOwner, rows: Rows) {
    this.#owner = owner;
    this.#rows = rows;
  }

  static async start(owner: RegistryOwner, rows: Rows): Promise<HandOver> {
    const handOver = new HandOver(owner, rows);
    if (owner.name === hub) await handOver.#remember();
    else handOver.#nextAt = owner.ports.clock.now();
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
    if (this.#nextAt === null || this.#nextAt > now) return;
    this.#nextAt = null;
    if (this.#former !== null) void this.#askFormer(this.#former);
    else void this.#wakeHub();
  }

  /** The hub must have run with this number of partitions, or it will not know what to ask for. */
  async #wakeHub(): Promise<void> {
    const heard = await this.#owner.ask(hub, { type: "count", counters: {} });
    if (!heard.ok) this.#retryLater();
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
    const { storage } = this.#owner.ports;
    if (replies.every((reply) => reply.ok)) {
      this.#former = null;
      const count = this.#owner.rooms.deployment.partitions;
      storage.put({ [stateKey]: { count, former: null } });
      return;
    }
    this.#retryLater();
  }

  #retryLater(): void {
    const { clock, entropy } = this.#owner.ports;
    this.#failures += 1;
    const delay = backoffMs(this.#failures, entropy.random(), retryBounds);
    this.#nextAt = clock.now() + delay;
    this.#owner.rearm();
  }

  async #handAll(): Promise<Result<null>> {
    const shared = await this.#share();
    if (!shared.ok) return shared;
    for (const prefix of this.#rows.prefixes) {
      const foreign = new Map<string, [key: string, value: unknown][]>();
      for (const row of await this.#owner.ports.storage.list(prefix)) {
        const { partitions } = this.#owner.rooms.deployment;
        const to = partitionOf(namedByRow(row[0], prefix), partitions);
        if (to === this.#owner.name) continue;
        const rows = foreign.get(to);
        if (rows === undefined) foreign.set(to, [row]);
        else rows.push(row);
      }
      for (const [to, rows] of foreign) {
        const handed = await this.#hand(to, rows);
        if (!handed.ok) return handed;
      }
    }
    return this.#handSnapshots();
  }

  /** One after the other and in pieces, since all of them may not fit into memory. */
  async #handSnapshots(): Promise<Result<null>> {
    const { snapshots } = this.#rows;
    const { partitions } = this.#owner.rooms.deployment;
    for (const room of snapshots.rooms()) {
      const to = partitionOf(room, partitions);
      if (to === this.#owner.name) continue;
      for await (const rows of snapshots.export(room)) {
        const adopted = await this.#owner.ask(to, { type: "adopt", rows });
        if (!adopted.ok) return failure("unavailable", asProblem(adopted).detail);
      }
      snapshots.drop(room);
    }
    return success(null);
  }

  /** Tells all what none may fall behind; it stays here too. */
  async #share(): Promise<Result<null>> {
    const { ports, rooms, name } = this.#owner;
    for (const key of this.#rows.shared) {
      const value = (await ports.storage.list(key)).get(key);
      if (value === undefined) continue;
      for (const to of partitionNames(rooms.deployment.partitions)) {
        if (to === name) continue;
        const adopted = await this.#owner.ask(to, { type: "adopt", rows: { [key]: value } });
        if (!adopted.ok) return failure("unavailable", asProblem(adopted).detail);
      }
    }
    return success(null);
  }

  async #hand(to: string, rows: readonly [key: string, value: unknown][]): Promise<Result<null>> {
    for (let start = 0; start < rows.length; start += rowsPerCall) {
      const chunk = rows.slice(start, start + rowsPerCall);
      const adopted = await this.#owner.ask(to, {
        type: "adopt",
        rows: Object.fromEntries(chunk),
      });
      if (!adopted.ok) return failure("unavailable", asProblem(adopted).detail);
      this.#owner.ports.storage.delete(chunk.map(([key]) => key));
    }
    return success(null);
  }
}
