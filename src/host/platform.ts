/** What both hosts have in common: the clock, chance, timers, and internal addresses. */
import { nanoid } from "nanoid";
import type { Clock, Entropy } from "../core/ports.ts";

export const clock: Clock = { now: () => Date.now() };

export const entropy: Entropy = { random: () => Math.random(), id: () => nanoid() };

/**
 * Path of a shard at which it takes a link. Nothing from outside reaches an object as it came, so
 * nobody else can name it.
 */
export const linkPath = "~link";

/** Environment variable that opens the admin API. */
export const adminTokenName = "PARTYSHARD_ADMIN_TOKEN";

/** The registry object that keeps the deployment's rooms. */
export const registryName = "default";

/** Keys that one `put` or `delete` takes at most (Cloudflare, Durable Objects, limits, 2026). */
const maxKeys = 128;

/** Writes without an `await` between them become durable together, so slices are as good as one. */
export function inSlices<Item>(items: readonly Item[], write: (slice: Item[]) => void): void {
  for (let start = 0; start < items.length; start += maxKeys) {
    write(items.slice(start, start + maxKeys));
  }
}

/** Longest delay that a timer takes. */
const maxDelayMs = 2 ** 31 - 1;

/** One timer that can be set anew: the in-memory half of `Wakeups`. */
export class WakeTimer {
  readonly #wake: () => void;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #at: number | null = null;

  constructor(wake: () => void) {
    this.#wake = wake;
  }

  set(at: number | null): void {
    if (at === this.#at) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#at = at;
    if (at === null) return;
    const delay = Math.min(Math.max(0, at - Date.now()), maxDelayMs);
    this.#timer = setTimeout(() => {
      this.#at = null;
      this.#wake();
    }, delay);
  }
}

/**
 * A client's headers without those that objects or their framework trust: a client must not be able
 * to set `x-partykit-props`, for one, which partyserver hands to `onStart`.
 */
export function outsideHeaders(headers: Headers): Headers {
  const trusted = [...headers.keys()].filter(isTrusted);
  if (trusted.length === 0) return headers;
  const kept = new Headers(headers);
  for (const name of trusted) kept.delete(name);
  return kept;
}

function isTrusted(name: string): boolean {
  return name.startsWith("x-partykit-") || name.startsWith("x-partyshard-");
}

/** The write as a class with `onRequest` and no `onBroadcast` gets it. */
export function broadcastRequest(url: string, data: string | Uint8Array): Request {
  const type = typeof data === "string" ? "text/plain;charset=UTF-8" : "application/octet-stream";
  const body = data as string | Uint8Array<ArrayBuffer>;
  return new Request(url, { method: "POST", headers: { "content-type": type }, body });
}
