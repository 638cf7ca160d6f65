/** What everything in a simulated world shares: its options, time, chance, network and judge. */
import type { Caller, Clock, Entropy } from "../../src/core/ports.ts";
import type { Result } from "../../src/protocol/result.ts";
import type { AudienceBounds } from "../../src/shard/audience.ts";
import type { FaultRates, Network } from "./network.ts";
import type { Random } from "./random.ts";
import type { Timeline } from "./timeline.ts";

/** What the room class does with a message, if anything. */
type HookMode = "none" | "direct" | "async" | "throwing";

/** Bugs that the simulator must find; see `planted.test.ts`. */
export type PlantedBug =
  | "ack-before-durable"
  | "welcome-before-subscribe"
  | "positions-forgotten"
  /** A client that comes back is told that it missed nothing, and nothing is read for it. */
  | "resumed-unread"
  /** What clients changed since they came does not outlive the shard's memory. */
  | "topics-forgotten"
  /** A seat is not kept for a player whose connection dropped. */
  | "grace-forgotten"
  /** The token of a lock is the time, whatever was given before. */
  | "token-of-the-clock"
  /** What the hub has yet to tell of servers that are gone does not outlive its memory. */
  | "gone-forgotten"
  /** A server that lets go of a room serves it on. */
  | "room-held"
  /** That a room is to leave its server does not outlive the partition's memory. */
  | "departure-forgotten"
  /** A shard of a former generation is not told that it is over. */
  | "fence-unheard"
  /** Which objects serve the room does not outlive the registry's memory. */
  | "layout-forgotten"
  /** A fresh shard goes on from where the snapshot was taken, and has not taken up the state. */
  | "state-untaken";

export type WorldOptions = {
  readonly seed: number;
  readonly shards: number;
  /** The room follows its audience up to so many shards. Default: as many as `shards`. */
  readonly maxShards?: number;
  /**
   * The registry puts another object in the place of a shard that it finds dead. Default false: then the
   * schedule alone gives slots to other objects.
   */
  readonly failover?: boolean;
  /** How often the state of the room class is stored, ms. Default: the class keeps none. */
  readonly snapshotIntervalMs?: number;
  readonly capacity: number;
  readonly history: { readonly messages: number; readonly seconds: number };
  /** PartyKit has no durable wake-ups but a sweep, and cannot refuse an upgrade. */
  readonly host: "workers" | "partykit";
  readonly gates: number;
  /** Largest text in a row, so that log rows split. */
  readonly maxTextUnits: number;
  readonly hook: HookMode;
  /** Clients of protocol 1 may publish. Default false. */
  readonly publishOverSocket?: boolean;
  readonly rates: FaultRates;
  /** What slow clients may cost, where it is not as in production. */
  readonly bounds?: AudienceBounds;
  readonly planted?: PlantedBug;
  /** Keeps what happens, for people to read. */
  readonly isTraced?: boolean;
};

/** What a call leaves from: a life of an object, whose output gate it passes. */
export type Outlet = {
  busy: number;
  readonly isOver: boolean;
  output(run: () => void): void;
};

/** A rule of SPEC.md was broken. */
export class Violation extends Error {
  constructor(rule: string, what: string) {
    super(`${rule} ${what}`);
    this.name = "Violation";
  }
}

export type Environment = {
  readonly options: WorldOptions;
  readonly timeline: Timeline;
  readonly random: Random;
  readonly network: Network;
  readonly clock: Clock;
  readonly entropy: Entropy;
  callerOf(from: string, outlet: Outlet): Caller;
  /** Something went wrong that must never; the run ends with the first of these. */
  fail(error: unknown): Result<never>;
  trace(line: () => string): void;
};
