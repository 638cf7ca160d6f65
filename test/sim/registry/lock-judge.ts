/** What must hold of locks: one owner at a time, and tokens that only rise. */
import type { RequestTo } from "../../../src/protocol/calls.ts";
import type { LockGrant } from "../../../src/protocol/registry.ts";
import type { Result } from "../../../src/protocol/result.ts";
import { Violation } from "../environment.ts";

type Owner = { readonly token: number; expiresAt: number; readonly grantedAt: number };

export class LockJudge {
  readonly #changedAt: () => number;
  readonly #owners = new Map<string, Owner | null>();
  readonly #highest = new Map<string, number>();
  /** Owners that there were, one after the other. */
  grants = 0;

  /** `changedAt`: when the number of partitions changed last. */
  constructor(changedAt: () => number) {
    this.#changedAt = changedAt;
  }

  /** A reply has left the registry, which decided on it at `at` by its own clock. */
  answered(request: RequestTo<"registry">, reply: Result<unknown>, at: number, now: number): void {
    if (!reply.ok) return;
    if (request.type === "lock") this.#granted(reply.value as LockGrant, at, now);
    if (request.type === "extend") this.#extended(reply.value as LockGrant);
    if (request.type === "release") this.#released(request);
  }

  #granted({ key, token, expiresAt }: LockGrant, at: number, now: number): void {
    const highest = this.#highest.get(key) ?? 0;
    if (token <= highest) {
      throw new Violation("LO3", `"${key}" was given with ${token} after ${highest}`);
    }
    const owner = this.#owners.get(key) ?? null;
    // While rows move to another partition, that one does not know of the lock: the token fences.
    const isMoved = owner !== null && owner.grantedAt <= this.#changedAt();
    if (owner !== null && owner.expiresAt > at && !isMoved) {
      throw new Violation("LO1", `"${key}" has the owners ${owner.token} and ${token}`);
    }
    this.grants += 1;
    this.#highest.set(key, token);
    this.#owners.set(key, { token, expiresAt, grantedAt: now });
  }

  #extended({ key, token, expiresAt }: LockGrant): void {
    const owner = this.#owners.get(key) ?? null;
    if (owner === null || owner.token !== token) {
      throw new Violation("LO2", `"${key}" was extended with ${token}, not ${owner?.token}`);
    }
    owner.expiresAt = expiresAt;
  }

  #released({ key, token }: RequestTo<"registry"> & { type: "release" }): void {
    const owner = this.#owners.get(key) ?? null;
    if (owner === null || owner.token !== token) {
      throw new Violation("LO2", `"${key}" was released with ${token}, not ${owner?.token}`);
    }
    this.#owners.set(key, null);
  }
}
