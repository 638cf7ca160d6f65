/**
 * What the registry tells of the shard that the demo kills: found dead, replaced, and when, counted from
 * the kill. Knows nothing of clients.
 */
import { RegistryClient } from "../../client/registry-client.ts";
import type { RegistryEvent } from "../../src/protocol/registry.ts";
import { Recording } from "../../test/support/recording.ts";

/** Lease and probes, and some more: then the demo has failed. */
const patienceMs = 30_000;

export class Reassignment {
  readonly #events = new Recording<RegistryEvent>((event) => JSON.stringify(event));
  readonly #following: AsyncIterable<RegistryEvent> & { close: () => void };
  #killedAt = 0;

  private constructor(following: AsyncIterable<RegistryEvent> & { close: () => void }) {
    this.#following = following;
  }

  /** Resolves once nothing will be missed. */
  static async follow(port: number, token: string): Promise<Reassignment> {
    const url = `http://127.0.0.1:${port}`;
    const events = new RegistryClient({ url, token }).events("server:*,room:migrated");
    const reassignment = new Reassignment(events);
    void reassignment.#listen();
    if (!(await events.subscribed)) throw new Error("the registry tells no events");
    return reassignment;
  }

  /** The shard dies now. */
  begin(): void {
    this.#killedAt = Date.now();
  }

  msSinceKill(at = Date.now()): number {
    return at - this.#killedAt;
  }

  /** Resolves with the object that has taken the shard's place, once both events have come. */
  async replacementOf(shard: string): Promise<string> {
    const migrated = (): string | undefined => {
      for (const event of this.#events.items) {
        if (event.type === "room:migrated" && event.from === shard) return event.to;
      }
      return undefined;
    };
    await this.#events.until(() => migrated() !== undefined, `the end of ${shard}`, patienceMs);
    return migrated() ?? "";
  }

  /** A row for each event since the kill: when it was, and what it says. */
  rows(): string[][] {
    return this.#events.items
      .filter(({ at }) => at >= this.#killedAt)
      .map((event) => [event.type, `${this.msSinceKill(event.at)} ms`, describe(event)]);
  }

  end(): void {
    this.#following.close();
  }

  async #listen(): Promise<void> {
    for await (const event of this.#following) this.#events.add(event);
    this.#events.end();
  }
}

function describe(event: RegistryEvent): string {
  if (event.type === "room:migrated") return `${event.from} to ${event.to}`;
  if (event.type === "server:offline") return `${event.serverId}, ${event.reason}`;
  return "serverId" in event ? event.serverId : "";
}
