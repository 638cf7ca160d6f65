/** What the gate needs of its host. It is stateless, so it gets these anew with every request. */
import type { Caller, Clock, Entropy } from "../core/ports.ts";
import type { SeatClaim } from "../protocol/calls.ts";
import type { CloseCode } from "../protocol/close-codes.ts";
import type { ShardId } from "../protocol/names.ts";
import type { Region } from "../protocol/registry.ts";

export type GatePorts = {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly calls: Caller;
  /** Token of the admin API; without one it is closed. */
  readonly adminToken: string | undefined;
  /** Key that signs tickets; without one no seat is reserved and no ticket is taken. */
  readonly secret: string | undefined;
  /** Longest query that a shard can keep with its socket. */
  readonly maxQueryLength: number;
  /** Whether a shard that is full can answer an upgrade with a refusal. */
  readonly canRefuseUpgrades: boolean;
  /** Where the request comes from, when the host knows it. */
  readonly region: (request: Request) => Region | null;
  /**
   * Hands an upgrade to a shard with the seat that it claims, without the headers that objects trust.
   * Once `signal` is aborted nobody waits any more: a socket that comes after that is closed.
   */
  readonly connect: (
    shard: ShardId,
    request: Request,
    query: string,
    connection: string,
    signal: AbortSignal,
    claim: SeatClaim | null,
  ) => Promise<Response | { readonly ok: false; readonly code: string }>;
  /** Answers an upgrade with a socket that carries one frame and is closed with the code. */
  readonly answerSocket: (frame: string, code: CloseCode, reason: string) => Response;
  /** Hands a request for events to the hub: a WebSocket or `text/event-stream` of what fits the pattern. */
  readonly events: (request: Request, pattern: string) => Promise<Response>;
  /** What comes of `work`, or `null` after `ms`; its signal is aborted before that. */
  readonly within: <Value>(
    ms: number,
    work: (signal: AbortSignal) => Promise<Value>,
  ) => Promise<Value | null>;
  readonly onError: (error: unknown) => void;
};
