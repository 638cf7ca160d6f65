/**
 * The clients of a shard that do not keep up: since when, and what that means for the others. Sends
 * and closes nothing.
 */
import type { ProtocolClient } from "./protocol-client.ts";

/** A client that has not kept up for so long is closed; it may come back and resume. */
export const behindMs = 30_000;

export class Laggards {
  readonly #clients = new Set<ProtocolClient>();

  has(client: ProtocolClient): boolean {
    return this.#clients.has(client);
  }

  /** False when the client lags already. New topics do not give it more time. */
  add(client: ProtocolClient, now: number): boolean {
    if (this.#clients.has(client)) return false;
    client.behindSince ??= now;
    this.#clients.add(client);
    return true;
  }

  delete(client: ProtocolClient): void {
    this.#clients.delete(client);
  }

  clear(): void {
    this.#clients.clear();
  }

  /** Who has lagged for too long. */
  overdue(now: number): ProtocolClient[] {
    return [...this.#clients].filter(({ behindSince }) => (behindSince ?? now) + behindMs <= now);
  }

  nextDeadline(): number | null {
    let earliest = Infinity;
    for (const { behindSince } of this.#clients) {
      if (behindSince !== null) earliest = Math.min(earliest, behindSince);
    }
    return earliest === Infinity ? null : earliest + behindMs;
  }

  /** Everything after this is lacked by one of them; `Infinity` when there are none. */
  lowest(): number {
    let lowest = Infinity;
    for (const { sent } of this.#clients) lowest = Math.min(lowest, sent);
    return lowest;
  }

  /**
   * Whether more than half of the clients that make progress lag, when there are `clients` in all. Who
   * takes nothing, or too little, is not worth waiting for.
   */
  areMost(clients: number, now: number): boolean {
    let keepUp = clients - this.#clients.size;
    if (this.#clients.size <= keepUp) return false;
    for (const client of this.#clients) {
      if (client.makesProgress(now)) keepUp -= 1;
      if (keepUp < 0) return true;
    }
    return false;
  }
}
