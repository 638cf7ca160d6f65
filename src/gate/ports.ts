/** What the gate needs of its host. It is stateless, so it gets these anew with every request. */
import type { Caller, Clock, Entropy } from "../core/ports.ts";
import type { ShardId } from "../protocol/names.ts";

export type GatePorts = {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly calls: Caller;
  /** The registry object that keeps rooms. */
  readonly registry: string;
  /** Token of the admin API; without one it is closed. */
  readonly adminToken: string | undefined;
  /** Longest query that a shard can keep with its socket. */
  readonly maxQueryLength: number;
  /** Whether a shard that is full can answer an upgrade with a refusal. */
  readonly canRefuseUpgrades: boolean;
  /**
   * Hands an upgrade to a shard, without the headers that objects trust. Once `signal` is aborted
   * nobody waits any more: a socket that comes after that is closed.
   */
  readonly connect: (
    shard: ShardId,
    request: Request,
    query: string,
    connection: string,
    signal: AbortSignal,
  ) => Promise<Response | { readonly ok: false; readonly code: string }>;
  /** What comes of `work`, or `null` after `ms`; its signal is aborted before that. */
  readonly within: <Value>(
    ms: number,
    work: (signal: AbortSignal) => Promise<Value>,
  ) => Promise<Value | null>;
  readonly onError: (error: unknown) => void;
};
