/**
 * What roles need of the world. Hosts implement these over the platform, the simulator over a
 * seeded one. The comments are the contract; `test/contract` checks the implementations against it.
 */
import type { ReplyTo, RequestTo, Role } from "../protocol/calls.ts";
import type { RoomId, ShardId } from "../protocol/names.ts";
import type { MessageData } from "../protocol/payload.ts";
import type { Result } from "../protocol/result.ts";

export interface Clock {
  /** Epoch milliseconds. */
  now(): number;
}

export interface Entropy {
  /** A number in [0, 1). */
  random(): number;
  /** An id that no other call on any object returns. */
  id(): string;
}

/**
 * One object's durable rows.
 *
 * Writes made without an `await` between them become durable together or not at all. Whatever the
 * object sends or answers after a write leaves only when that write is durable (the platform's
 * output gate); a write that fails ends the object, and nothing that waited for it ever leaves.
 */
export interface Storage {
  /** Rows whose key starts with `prefix`, in ascending order of keys. */
  list(prefix: string): Promise<Map<string, unknown>>;
  put(rows: Readonly<Record<string, unknown>>): void;
  delete(keys: readonly string[]): void;
  /** Resolves when every write made so far is durable. */
  sync(): Promise<void>;
  /** Largest text, in UTF-16 units, that one row may hold. */
  readonly maxTextUnits: number;
}

/** An open WebSocket. Sending on one that has closed does nothing; its owner learns by an event. */
export interface Socket {
  send(data: MessageData): void;
  close(code: number, reason: string): void;
}

/** The object asks its host to call the role's `wake()`. Each call replaces the one before it. */
export interface Wakeups {
  /** While the object stays in memory: at `at`, or never (`null`). */
  soon(at: number | null): void;
  /**
   * Even if the object is evicted or crashes: not before `at` and in bounded time after it. An
   * alarm on Workers; on PartyKit the cron sweep, which wakes every room that has clients.
   */
  durable(at: number): void;
}

/**
 * Calls to other objects. Nothing is retried underneath, and failures are values: `unreachable` when
 * the call or its answer was lost, `overloaded` when trying again would harm, or a code of the role.
 */
export interface Caller {
  call<R extends Role, Request extends RequestTo<R>>(
    to: Address<R>,
    request: Request,
  ): Promise<Result<ReplyTo<R, Request>>>;
}

export type Address<R extends Role> = {
  readonly role: R;
  readonly id: R extends "shard" ? ShardId : R extends "sequencer" ? RoomId : string;
};

export interface LinkEvents {
  message(text: string): void;
  /** Last event of a link; also after the own end closed it. */
  close(code: number): void;
}

/** Opens links from the sequencer to shards. */
export interface Dialer {
  /** Resolves with the open link, or a failure. Events come only after it has resolved. */
  dial(shard: ShardId, events: LinkEvents): Promise<Result<Socket>>;
}

/** Everything that a role with an object of its own is given. */
export interface ObjectPorts {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly storage: Storage;
  readonly wakeups: Wakeups;
  readonly calls: Caller;
}
