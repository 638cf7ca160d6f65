/**
 * Idempotency keys of one room: what each key was used for, for at least five minutes (Centrifugo's
 * default window). Pure and in memory; rows are the journal's. Time comes in.
 */
import type { Payload } from "../protocol/payload.ts";

/** How long a key is remembered after its write, ms. */
export const keyLifetimeMs = 300_000;
/** Keys remembered at a time; past it, writes with a new key are refused until old ones expire. */
export const maxKeys = 250_000;

/** One key's use: the write's fingerprint and the messages that it became. */
export type KeyUse = {
  readonly key: string;
  readonly fingerprint: string;
  readonly first: number;
  readonly seq: number;
  /** When the write was taken, epoch milliseconds. */
  readonly at: number;
};

export class IdempotencyWindow {
  /** In the order of use, which is also that of expiry. */
  readonly #uses = new Map<string, KeyUse>();

  find(key: string): KeyUse | undefined {
    return this.#uses.get(key);
  }

  add(use: KeyUse): void {
    this.#uses.delete(use.key);
    this.#uses.set(use.key, use);
  }

  get isFull(): boolean {
    return this.#uses.size >= maxKeys;
  }

  expire(now: number): void {
    for (const [key, use] of this.#uses) {
      if (isAlive(use, now)) return;
      this.#uses.delete(key);
    }
  }
}

export function isAlive(use: KeyUse, now: number): boolean {
  return use.at + keyLifetimeMs > now;
}

/**
 * Tells two writes apart that came with one key: 64 bits in two FNV-1a runs (RFC draft
 * draft-eastlake-fnv) over every message and its length. Guards against mistakes, not attackers.
 */
export function fingerprint(messages: readonly Payload[]): string {
  let low = 0x811c9dc5;
  let high = 0x01000193;
  const mix = (unit: number): void => {
    low = Math.imul(low ^ unit, 0x01000193);
    high = Math.imul(high ^ unit, 0x85ebca6b);
  };
  for (const message of messages) {
    const text = typeof message === "string" ? message : message.base64;
    mix(typeof message === "string" ? 1 : 2);
    mix(text.length);
    for (let index = 0; index < text.length; index += 1) mix(text.charCodeAt(index));
  }
  return (low >>> 0).toString(36) + (high >>> 0).toString(36);
}
