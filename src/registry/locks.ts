/**
 * Locks: who holds a key, until when, and the tokens that fence former owners off. Owns the rows
 * `lock/KEY` and `last-token`; knows nothing of what the keys stand for.
 *
 * A lock that has run out is free at once, whether or not its row is still there. A token is larger
 * than every one given before and at least the time in milliseconds, so it rises over all keys, over
 * restarts, and over partitions as far as their clocks agree or they have handed over.
 */
import * as v from "valibot";
import type { Clock, Storage } from "../core/ports.ts";
import type { RequestTo } from "../protocol/calls.ts";
import { isRegistryId, type LockGrant } from "../protocol/registry.ts";
import { failure, success, type Failure, type Result } from "../protocol/result.ts";

export const lockPrefix = "lock/";
export const lastTokenKey = "last-token";
/** Locks that one wake-up looks at. */
const sweepSize = 1_000;
const sweepIntervalMs = 1_000;

const lockSchema = v.object({ token: v.number(), expiresAt: v.number() });
type Lock = v.InferOutput<typeof lockSchema>;

export type LocksOwner = {
  readonly clock: Clock;
  readonly storage: Storage;
  readonly wakeAt: (at: number) => void;
};

export class Locks {
  readonly #owner: LocksOwner;
  readonly #locks = new Map<string, Lock>();
  #lastToken = 0;
  #nextAt: number | null = null;

  private constructor(owner: LocksOwner) {
    this.#owner = owner;
  }

  static async start(owner: LocksOwner): Promise<Locks> {
    const locks = new Locks(owner);
    const rows = await owner.storage.list(lockPrefix);
    const last = (await owner.storage.list(lastTokenKey)).get(lastTokenKey);
    if (typeof last === "number") locks.#lastToken = last;
    for (const [row, value] of rows) locks.#load(row, value);
    locks.#sweepAt(0);
    return locks;
  }

  lock({ key, ttlMs }: RequestTo<"registry"> & { type: "lock" }): Result<LockGrant> {
    if (!isRegistryId(key)) return malformedKey;
    const now = this.#owner.clock.now();
    const held = this.#locks.get(key);
    if (held !== undefined && held.expiresAt > now) return heldUntil(held.expiresAt, now);
    const token = Math.max(this.#lastToken + 1, now);
    this.#raise(token);
    return success(this.#keep(key, { token, expiresAt: now + ttlMs }));
  }

  extend({ key, token, ttlMs }: RequestTo<"registry"> & { type: "extend" }): Result<LockGrant> {
    const now = this.#owner.clock.now();
    const held = this.#locks.get(key);
    if (!isHeldWith(held, token, now)) return lost;
    return success(this.#keep(key, { token, expiresAt: now + ttlMs }));
  }

  release({ key, token }: RequestTo<"registry"> & { type: "release" }): Result<null> {
    const now = this.#owner.clock.now();
    const held = this.#locks.get(key);
    if (!isHeldWith(held, token, now)) return lost;
    this.#remove([key]);
    return success(null);
  }

  /**
   * Takes rows of a former partition, and leaves all others alone. Of two owners of one key, which
   * could come about while the number of partitions changed, the one with the larger token stays.
   */
  adopt(rows: Readonly<Record<string, unknown>>): void {
    const now = this.#owner.clock.now();
    for (const [row, value] of Object.entries(rows)) {
      if (row === lastTokenKey && typeof value === "number") this.#raise(value);
      if (!row.startsWith(lockPrefix)) continue;
      const lock = v.safeParse(lockSchema, value);
      const key = row.slice(lockPrefix.length);
      if (!lock.success) continue;
      this.#raise(lock.output.token);
      if (lock.output.expiresAt <= now) continue;
      const held = this.#locks.get(key);
      if (held !== undefined && held.expiresAt > now && held.token >= lock.output.token) continue;
      this.#keep(key, lock.output);
    }
  }

  nextDeadline(): number | null {
    return this.#nextAt;
  }

  /** Removes rows of locks that have run out, a bounded number at a time. */
  wake(now: number): void {
    if (this.#nextAt === null || this.#nextAt > now) return;
    this.#nextAt = null;
    const expired: string[] = [];
    let earliest = Infinity;
    let left = Math.min(sweepSize, this.#locks.size);
    const isAll = left === this.#locks.size;
    for (const [key, lock] of this.#locks) {
      if (left === 0) break;
      left -= 1;
      if (lock.expiresAt <= now) {
        expired.push(key);
        continue;
      }
      earliest = Math.min(earliest, lock.expiresAt);
      // Goes to the end, so that the next sweep begins with others.
      this.#locks.delete(key);
      this.#locks.set(key, lock);
    }
    this.#remove(expired);
    this.#sweepAt(isAll ? earliest : now);
  }

  #load(row: string, value: unknown): void {
    const lock = v.safeParse(lockSchema, value);
    if (!lock.success) return;
    this.#locks.set(row.slice(lockPrefix.length), lock.output);
    this.#lastToken = Math.max(this.#lastToken, lock.output.token);
  }

  #keep(key: string, lock: Lock): LockGrant {
    this.#locks.set(key, lock);
    this.#owner.storage.put({ [lockPrefix + key]: lock });
    this.#sweepAt(lock.expiresAt);
    return { key, ...lock };
  }

  #remove(keys: readonly string[]): void {
    if (keys.length === 0) return;
    for (const key of keys) this.#locks.delete(key);
    this.#owner.storage.delete(keys.map((key) => lockPrefix + key));
  }

  #raise(token: number): void {
    if (token <= this.#lastToken) return;
    this.#lastToken = token;
    this.#owner.storage.put({ [lastTokenKey]: token });
  }

  /** By then, or soon after: an object that holds locks for long need not stay awake for them. */
  #sweepAt(at: number): void {
    if (this.#locks.size === 0) return;
    const next = Math.max(at, this.#owner.clock.now() + sweepIntervalMs);
    if (this.#nextAt !== null && this.#nextAt <= next) return;
    this.#nextAt = next;
    this.#owner.wakeAt(next);
  }
}

const lost = failure("lock-lost", "the lock was released, has run out, or has another owner");
const malformedKey = failure(
  "malformed-name",
  "a lock's key is 1 to 128 printable ASCII characters without spaces",
);

function heldUntil(expiresAt: number, now: number): Failure {
  const detail = `another owner has the lock until ${new Date(expiresAt).toISOString()}`;
  return { ...failure("lock-held", detail), retryAfterMs: expiresAt - now };
}

function isHeldWith(held: Lock | undefined, token: number, now: number): boolean {
  return held !== undefined && held.token === token && held.expiresAt > now;
}
