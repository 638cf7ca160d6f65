/**
 * The recent log of a shard, and its clients of protocol 1 that are behind: each is sent what it lacks of
 * the log as fast as it takes it, until it keeps up again or its time is over. Knows nothing of those who
 * keep up, nor of what is new.
 */
import { DeliveryLog, type LogBounds } from "../core/delivery-log.ts";
import { Holds } from "./holds.ts";
import { Laggards } from "./laggards.ts";
import type { ShardBatch } from "./messages.ts";
import type { ProtocolClient } from "./protocol-client.ts";
import { Replay } from "./replay.ts";

/** Why a client cannot be given what it lacks: the log has gone on without it, or its time is over. */
export type Loss = "outrun_clients_closed" | "stalled_clients_closed";

export type CatchUpOwner = {
  /** The client has all of the log, and gets what is new from now on. */
  readonly onCaughtUp: (client: ProtocolClient) => void;
  /** It may come back and resume elsewhere. */
  readonly onLost: (client: ProtocolClient, why: Loss) => void;
  /** Something happened that operators should know of. */
  readonly count: (what: string) => void;
};

export class CatchUp {
  readonly recent: DeliveryLog<ShardBatch>;
  /** What is kept of it for those who come. */
  readonly holds = new Holds();
  readonly #replay = new Replay();
  readonly #behind = new Laggards();
  readonly #owner: CatchUpOwner;

  constructor(bounds: LogBounds, owner: CatchUpOwner) {
    this.recent = new DeliveryLog(bounds);
    this.#owner = owner;
  }

  append(batches: readonly ShardBatch[]): void {
    this.#replay.forget();
    for (const batch of batches) this.recent.append(batch);
  }

  /** Forgets what is too old, but for those who are behind or on their way in. */
  trim(now: number): void {
    const { head } = this.recent;
    this.recent.trim(now, Math.min(head, this.holds.lowest(now), this.#behind.lowest()));
  }

  /** Sends what the client lacks while it has room; then it keeps up, or waits to acknowledge. */
  bring(client: ProtocolClient, now: number): void {
    const batches = this.recent.since(client.sent);
    if (batches === null) {
      this.#owner.onLost(client, "outrun_clients_closed");
      return;
    }
    for (const batch of batches) {
      if (!client.hasRoom) break;
      this.#resend(client, batch, now);
    }
    if (!client.hasRoom) {
      this.lag(client, now);
      return;
    }
    client.tellPosition();
    client.behindSince = null;
    this.#behind.delete(client);
    this.#owner.onCaughtUp(client);
  }

  /** The client has no room for what is new. */
  lag(client: ProtocolClient, now: number): void {
    if (this.#behind.add(client, now)) this.#owner.count("clients_lagged");
  }

  /** A client that is behind may have room again, when it has acknowledged more than `before`. */
  acknowledged(client: ProtocolClient, before: number, now: number): void {
    if (client.unacknowledged >= before || !this.#behind.has(client)) return;
    client.behindSince = now;
    this.bring(client, now);
  }

  /** The client is none any more, or begins anew. */
  drop(client: ProtocolClient): void {
    this.#behind.delete(client);
  }

  /** The room goes on from `seq`, and nobody is behind. */
  restart(seq: number): void {
    this.recent.restore([], seq);
    this.#behind.clear();
  }

  /** Whether the room is faster than its clients: of those that make progress more than half lag. */
  isOverrun(clients: number, now: number): boolean {
    return this.#behind.areMost(clients, now);
  }

  /** Gives up those who have been behind for too long. */
  expire(now: number): void {
    for (const client of this.#behind.takeOverdue(now)) {
      this.#owner.onLost(client, "stalled_clients_closed");
    }
  }

  nextDeadline(): number | null {
    return this.#behind.nextDeadline();
  }

  #resend(client: ProtocolClient, batch: ShardBatch, now: number): void {
    const wanted = this.#replay.frameFor(batch, client);
    if (wanted === null) client.skip(batch.through);
    else client.deliver(wanted.frame, batch.through, wanted.count, now);
  }
}
