/** A lock that is held, and what its owner may do with it. Knows nothing of what it protects. */
import type { LockGrant } from "../src/protocol/registry.ts";
import type { RegistryHttp } from "./registry-http.ts";
import { answerWith, isAnything, type RegistryResult } from "./registry-result.ts";

export const isLockGrant = answerWith<LockGrant>({
  key: "string",
  token: "number",
  expiresAt: "number",
});

export class RegistryLock {
  readonly key: string;
  /** Higher than the token of every earlier owner: what the lock protects can refuse lower ones. */
  readonly token: number;
  readonly #http: RegistryHttp;
  #expiresAt: number;

  constructor(http: RegistryHttp, { key, token, expiresAt }: LockGrant) {
    this.#http = http;
    this.key = key;
    this.token = token;
    this.#expiresAt = expiresAt;
  }

  /** By the registry's clock, epoch milliseconds. */
  get expiresAt(): number {
    return this.#expiresAt;
  }

  /** Held for `ttlMs` from now on; `lock-lost` when it is no longer this owner's. */
  async extend(ttlMs: number): Promise<RegistryResult<LockGrant>> {
    const body = { token: this.token, ttlMs };
    const extended = await this.#http.call("PUT", this.#path, isLockGrant, { body });
    if (extended.ok) this.#expiresAt = extended.value.expiresAt;
    return extended;
  }

  /** `lock-lost` when it was no longer this owner's. */
  release(): Promise<RegistryResult<unknown>> {
    // In the query: not everything on the way lets a DELETE have a body.
    const query = { token: String(this.token) };
    return this.#http.call("DELETE", this.#path, isAnything, { query });
  }

  get #path(): string {
    return `locks/${encodeURIComponent(this.key)}`;
  }
}

/**
 * Runs `work` while the lock is held, and extends it in time. The signal is aborted when the lock is
 * lost, or may be: it could not be extended before it ran out.
 */
export async function holding<Value>(
  lock: RegistryLock,
  ttlMs: number,
  work: (lock: RegistryLock, signal: AbortSignal) => Promise<Value>,
): Promise<Value> {
  const lost = new AbortController();
  let heldUntil = performance.now() + ttlMs;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const extendLater = (): void => {
    timer = setTimeout(() => void extend(), ttlMs / 3);
  };
  const extend = async (): Promise<void> => {
    const asked = performance.now();
    const extended = await lock.extend(ttlMs);
    if (extended.ok) heldUntil = asked + ttlMs;
    const isLost = !extended.ok && extended.problem.status === 409;
    if (isLost || performance.now() + ttlMs / 3 >= heldUntil) {
      lost.abort(new Error(`the lock ${lock.key} is lost`));
    } else if (timer !== undefined) {
      extendLater();
    }
  };
  extendLater();
  try {
    return await work(lock, lost.signal);
  } finally {
    if (timer !== undefined) clearTimeout(timer);
    timer = undefined;
    await lock.release();
  }
}
