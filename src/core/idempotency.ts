/**
 * Idempotency keys of one room: what each key was used for, for at least five minutes (Centrifugo's
 * default window). Pure and in memory; rows are the journal's. Time comes in.
 */
import type { Payload } from "../protocol/payload.ts";
import { maxUnanswered, parseNumberedId } from "../protocol/publish-id.ts";

/** How long a key is remembered after its write, ms. */
export const keyLifetimeMs = 300_000;
/** Keys remembered at a time; past it, writes with a new key are refused until old ones expire. */
export const maxKeys = 250_000;

/**
 * Keys remembered of one client that publishes over its socket. It sends a publish only when all that
 * are so many before it are answered (`maxUnanswered`), so a stream of any length takes little memory.
 */
const maxSeriesKeys = maxUnanswered;

/** One key's use: the write's fingerprint and the messages that it became. */
export type KeyUse = {
  readonly key: string;
  readonly fingerprint: string;
  readonly first: number;
  readonly seq: number;
  /** When the write was taken, epoch milliseconds. */
  readonly at: number;
  /** Of a client that published over its socket: see `seriesOf`. */
  readonly series?: string;
};

type Series = { newest: number; keys: string[] };

export class IdempotencyWindow {
  /** In the order of use, which is also that of expiry. */
  readonly #uses = new Map<string, KeyUse>();
  readonly #series = new Map<string, Series>();

  find(key: string): KeyUse | undefined {
    return this.#uses.get(key);
  }

  add(use: KeyUse): void {
    this.#uses.delete(use.key);
    this.#uses.set(use.key, use);
    if (use.series !== undefined) this.#addToSeries(use.series, use.key);
  }

  /**
   * Whether the key is one that its client has long had the answer to: a write that comes now is a
   * repetition that was long on its way, and must have no second effect.
   */
  isForgotten(key: string, series: string | undefined): boolean {
    if (series === undefined || this.#uses.has(key)) return false;
    const newest = this.#series.get(series)?.newest ?? 0;
    return (numberIn(series, key) ?? Infinity) <= newest - maxSeriesKeys;
  }

  clear(): void {
    this.#uses.clear();
    this.#series.clear();
  }

  get isFull(): boolean {
    return this.#uses.size >= maxKeys;
  }

  /** Whether a write with this key would be found to be a repetition. */
  remembers(use: KeyUse, now: number): boolean {
    return isAlive(use, now) && this.#uses.get(use.key)?.seq === use.seq;
  }

  expire(now: number): void {
    for (const [key, use] of this.#uses) {
      if (isAlive(use, now)) return;
      this.#uses.delete(key);
      if (use.series !== undefined) this.#dropFromSeries(use.series, key);
    }
  }

  #addToSeries(name: string, key: string): void {
    const series = this.#series.get(name) ?? { newest: 0, keys: [] };
    this.#series.set(name, series);
    const number = numberIn(name, key);
    series.newest = Math.max(series.newest, number ?? 0);
    series.keys.push(key);
    if (series.keys.length <= maxSeriesKeys) return;
    // Keys without a number are forgotten in the order of use.
    const oldest = number === null ? series.keys[0] : undefined;
    series.keys = series.keys.filter((each) => {
      const isKept =
        each !== oldest && (numberIn(name, each) ?? Infinity) > series.newest - maxSeriesKeys;
      if (!isKept) this.#uses.delete(each);
      return isKept;
    });
  }

  #dropFromSeries(name: string, key: string): void {
    const series = this.#series.get(name);
    if (series === undefined) return;
    series.keys = series.keys.filter((each) => each !== key);
    if (series.keys.length === 0) this.#series.delete(name);
  }
}

/** The number of a key that counts up within this series. */
function numberIn(series: string, key: string): number | null {
  const numbered = parseNumberedId(key);
  return numbered !== null && numbered.name === series ? numbered.number : null;
}

/**
 * The series that a client's key belongs to: the name in `~name:17`, which the client alone knows, or
 * `~` and the connection for keys of another form. No name begins with `~`.
 */
export function seriesOf(key: string, connection: string): string {
  return parseNumberedId(key)?.name ?? `~${connection}`;
}

function isAlive(use: KeyUse, now: number): boolean {
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
