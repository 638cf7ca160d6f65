/**
 * The clients of a shard that do not keep up: since when, and what that means for the others. Sends
 * and closes nothing.
 */
import type { ProtocolClient } from "./protocol-client.ts";

/** A client that has not kept up for so long is closed; it may come back and resume. */
export const behindMs = 30_000;

export class Laggards {
  readonly #clients = new Set<ProtocolClient>();
  /** Nobody has lagged for longer: looked up anew only when that would be too long. */
  #since = Infinity;

  has(client: ProtocolClient): boolean {
    return this.#clients.has(client);
  }

  /** False when the client lags already. New topics do not give it more time. */
  add(client: ProtocolClient, now: number): boolean {
    if (this.#clients.has(client)) return false;
    client.behindSince ??= now;
    this.#since = Math.min(this.#since, client.behindSince);
    this.#clients.add(client);
    return true;
  }

  delete(client: ProtocolClient): void {
    this.#clients.delete(client);
    if (this.#clients.size === 0) this.#since = Infinity;
  }

  clear(): void {
    this.#clients.clear();
    this.#since = Infinity;
  }

  /** Takes out who has lagged for too long. */
  takeOverdue(now: number): ProtocolClient[] {
    if (this.#since + behindMs > now) return [];
    const overdue: ProtocolClient[] = [];
    this.#since = Infinity;
    for (const client of this.#clients) {
      const since = client.behindSince ?? now;
      if (since + behindMs <= now) overdue.push(client);
      else this.#since = Math.min(this.#since, since);
    }
    for (const client of overdue) this.#clients.delete(client);
    return overdue;
  }

  /** By then somebody may have lagged for too long; not before. */
  nextDeadline(): number | null {
    return this.#clients.size === 0 ? null : this.#since + behindMs;
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
