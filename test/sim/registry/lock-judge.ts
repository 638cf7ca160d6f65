/** What must hold of locks: one owner at a time, and tokens that only rise. */
import type { RequestTo } from "../../../src/protocol/calls.ts";
import type { LockGrant } from "../../../src/protocol/registry.ts";
import type { Result } from "../../../src/protocol/result.ts";
import { Violation } from "../environment.ts";

type Owner = {
  readonly token: number;
  expiresAt: number;
  readonly grantedAt: number;
  isReleased: boolean;
};

export class LockJudge {
  readonly #changedAt: () => number;
  readonly #owners = new Map<string, Owner | null>();
  /** The latest time that each partition's clock has shown. */
  readonly #seen = new Map<string, number>();
  readonly #highest = new Map<string, number>();
  readonly #grantedAt = new Map<string, number>();
  /** Owners that there were, one after the other. */
  grants = 0;

  /** `changedAt`: when the number of partitions changed last. */
  constructor(changedAt: () => number) {
    this.#changedAt = changedAt;
  }

  /** Whoever releases a lock or asks for less time has less, whether or not the answer arrives. */
  decided(request: RequestTo<"registry">, reply: Result<unknown>): void {
    if (!reply.ok) return;
    if (request.type !== "release" && request.type !== "extend") return;
    const owner = this.#owners.get(request.key) ?? null;
    if (owner?.token !== request.token) return;
    if (request.type === "release") owner.isReleased = true;
    else owner.expiresAt = Math.min(owner.expiresAt, (reply.value as LockGrant).expiresAt);
  }

  /** A partition has seen this time: a lock that had run out by then is over, also if clocks go back. */
  observed(partition: string, at: number): void {
    this.#seen.set(partition, Math.max(at, this.#seen.get(partition) ?? 0));
  }

  /** A reply has left the partition. */
  answered(
    partition: string,
    request: RequestTo<"registry">,
    reply: Result<unknown>,
    now: number,
  ): void {
    if (!reply.ok) return;
    const at = this.#seen.get(partition) ?? 0;
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
    if (owner !== null && !owner.isReleased && owner.expiresAt > at && !isMoved) {
      throw new Violation("LO1", `"${key}" has the owners ${owner.token} and ${token}`);
    }
    this.grants += 1;
    this.#highest.set(key, token);
    this.#grantedAt.set(`${key} ${token}`, now);
    this.#owners.set(key, { token, expiresAt, grantedAt: now, isReleased: false });
  }

  #extended({ key, token, expiresAt }: LockGrant): void {
    const owner = this.#owners.get(key) ?? null;
    if (owner?.token === token) owner.expiresAt = expiresAt;
    else if (!this.#isMoved(key, token)) throw wrongOwner(key, token, owner);
  }

  #released({ key, token }: RequestTo<"registry"> & { type: "release" }): void {
    const owner = this.#owners.get(key) ?? null;
    if (owner?.token === token) this.#owners.set(key, null);
    else if (!this.#isMoved(key, token)) throw wrongOwner(key, token, owner);
  }

  /** A lock that was given before its row moved, while another was given for lack of it. */
  #isMoved(key: string, token: number): boolean {
    const grantedAt = this.#grantedAt.get(`${key} ${token}`);
    return grantedAt !== undefined && grantedAt <= this.#changedAt();
  }
}

function wrongOwner(key: string, token: number, owner: Owner | null): Violation {
  return new Violation(
    "LO2",
    `"${key}" is not that of ${token} but of ${owner?.token ?? "nobody"}`,
  );
}
