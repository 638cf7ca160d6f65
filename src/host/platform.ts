/** What both hosts have in common: the clock, chance, timers, and internal addresses. */
import { nanoid } from "nanoid";
import type { Clock, Entropy } from "../core/ports.ts";
import { parseSeatClaim, type Role, type SeatClaim } from "../protocol/calls.ts";
import { closeCodes } from "../protocol/close-codes.ts";
import { failure, success, type Failure, type Result } from "../protocol/result.ts";

export const clock: Clock = { now: () => Date.now() };

export const entropy: Entropy = { random: () => Math.random(), id: () => nanoid() };

/**
 * Path of a shard at which it takes a link. Nothing from outside reaches an object as it came, so
 * nobody else can name it.
 */
export const linkPath = "~link";

/** Environment variable that opens the admin API. */
export const adminTokenName = "PARTYSHARD_ADMIN_TOKEN";

/** Path of the registry's hub at which it takes subscribers; `pattern` is in the query. */
export const eventsPath = "~events";

/** Keys that one `put` or `delete` takes at most (Cloudflare, Durable Objects, limits, 2026). */
const maxKeys = 128;

/** Writes without an `await` between them become durable together, so slices are as good as one. */
export function inSlices<Item>(items: readonly Item[], write: (slice: Item[]) => void): void {
  for (let start = 0; start < items.length; start += maxKeys) {
    write(items.slice(start, start + maxKeys));
  }
}

/** A call that waits for delivery takes five seconds; what takes three times that hangs. */
const callDeadlineMs = 15_000;
/** A shard answers from memory, and whoever asks it is waited for: one that hangs is left out. */
const shardDeadlineMs = 5_000;

/** Hooks of the room class and up to 32 Mi characters of text, in parts. */
const snapshotDeadlineMs = 60_000;

/** How long the answer to a call is waited for. */
function deadlineOf(role: Role, type: string): number {
  if (type === "takeSnapshot" || type === "restoreSnapshot") return snapshotDeadlineMs;
  return role === "shard" ? shardDeadlineMs : callDeadlineMs;
}

/**
 * What an error of the platform says. An object that is `overloaded` lives, and must not be tried again
 * (Cloudflare, "Error handling" of Durable Objects, 2026).
 */
export function callFailure(error: unknown): Failure {
  const isError = typeof error === "object" && error !== null;
  const isOverloaded = isError && "overloaded" in error && error.overloaded === true;
  const detail = error instanceof Error ? error.message : String(error);
  return failure(isOverloaded ? "overloaded" : "unreachable", detail);
}

/** Rejects when a call to another object has no answer in time, so that nothing waits for ever. */
export async function withDeadline<Value>(
  role: Role,
  type: string,
  call: Promise<Value>,
): Promise<Value> {
  const ms = deadlineOf(role, type);
  const answer = await within(ms, async () => ({ value: await call }));
  if (answer === null) throw new Error(`no answer within ${ms} ms`);
  return answer.value;
}

/** What comes of `work`, or `null` after `ms`; its signal is aborted before that. */
export async function within<Value>(
  ms: number,
  work: (signal: AbortSignal) => Promise<Value>,
): Promise<Value | null> {
  const controller = new AbortController();
  let timer: ReturnType<typeof setTimeout> | null = null;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => {
      controller.abort();
      resolve(null);
    }, ms);
  });
  try {
    return await Promise.race([work(controller.signal), late]);
  } finally {
    if (timer !== null) clearTimeout(timer);
  }
}

type RawUpgrade = {
  readonly webSocket?: {
    accept(): void;
    close(code: number, reason: string): void;
  } | null;
};

/** Closes the socket of an upgrade that nobody waits for any more. */
export function discardUpgrade({ webSocket }: RawUpgrade): void {
  webSocket?.accept();
  webSocket?.close(closeCodes.unavailable, "the client waits no longer");
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

/** Header of an upgrade with a ticket that the gate has checked: the claim as JSON. */
export const seatHeader = "x-partyshard-seat";

/** What the client's ticket says, if it brought one. */
export function seatClaimOf(text: string | null): Result<SeatClaim | null, "malformed-call"> {
  return text === null ? success(null) : parseSeatClaim(text);
}

/** The id of the connection that an upgrade asks for; the gate has made sure that there is one. */
export function connectionOf(url: string): string {
  return new URL(url).searchParams.get("_pk") ?? "";
}
