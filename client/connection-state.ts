/**
 * The client's connection as data: its phases, what may happen to it, and what is to be done in
 * turn. `connection.ts` says what follows on what.
 */
import type { Position } from "../src/protocol/link.ts";
import type { Payload } from "../src/protocol/payload.ts";
import type { Answer, Outbox, Outcome } from "./outbox.ts";
import type { Settings } from "./settings.ts";

/** Never changed in place: another subscription is another list. */
export type Topics = string[];

export type Link = {
  /** When something is to happen if nothing does. */
  readonly wakeAt: number;
  /** The shard's name for this connection and its own; while open. */
  readonly connection?: string;
  readonly shard?: string;
} & (
  | /** Not begun. */ { readonly phase: "idle" }
  | /** Asked for; `topics` are those that it was asked with. */ {
      readonly phase: "connecting";
      readonly topics: Topics;
    }
  | /** The socket is open and the shard has not spoken. */ {
      readonly phase: "greeting";
      readonly topics: Topics;
    }
  | /** Welcomed. */ {
      readonly phase: "open";
      readonly since: number;
      /** A `ping` left, and nothing was heard since. */
      readonly isPinged: boolean;
      /** Messages and UTF-16 units of frames since the last acknowledgement. */
      readonly messages: number;
      readonly units: number;
    }
  | /** Lost, to be asked for again. */ { readonly phase: "waiting" }
  | /** Closed for good, unless the application asks for it again. */ { readonly phase: "stopped" }
);

export type Phase = Link["phase"];

export type ConnectionState = Outbox & {
  readonly settings: Settings;
  readonly link: Link;
  /** The place in the room's order up to which the application has everything. */
  readonly position: Position | null;
  readonly topics: Topics;
  /** Where a `redirect` led, in place of the room's own address. */
  readonly address: string | null;
  /** What the last welcome said to come back with; a `ticket` beside it tells who that is elsewhere. */
  readonly session?: string | undefined;
  /** Connections in a row that failed or did not stay, and those of them since the last `redirect`. */
  readonly failures: number;
  readonly strikes: number;
};

export type ConnectionEvent =
  /** The application wants a connection, a new one if there is one. */
  | { readonly type: "start"; readonly code: number; readonly reason: string }
  | { readonly type: "stop"; readonly code: number; readonly reason: string }
  | { readonly type: "subscribe"; readonly topics: Topics }
  | {
      readonly type: "publish";
      readonly id: string;
      /** Counts up; a numbered `id` ends in it. */
      readonly number: number;
      readonly data: Payload;
      readonly topic?: string | undefined;
    }
  | { readonly type: "send"; readonly data: Payload }
  /** The socket opened, closed, or brought something. */
  | { readonly type: "opened" }
  | { readonly type: "closed"; readonly code: number; readonly reason: string }
  | { readonly type: "received"; readonly data: unknown }
  /** A `post` came to an end. */
  | { readonly type: "answered"; readonly id: string; readonly answer: Answer }
  /** Time has passed: due at the latest at `wakeAt`. */
  | { readonly type: "tick" };

export type Effect =
  | {
      readonly type: "connect";
      readonly address: string | null;
      readonly query: Readonly<Record<string, string | null | undefined>>;
    }
  | { readonly type: "disconnect"; readonly code: number; readonly reason: string }
  | { readonly type: "transmit"; readonly text: string }
  | {
      readonly type: "post";
      readonly id: string;
      readonly data: Payload;
      readonly topic: string | undefined;
    }
  /** For the application. */
  | { readonly type: "closed"; readonly code: number; readonly reason: string }
  | { readonly type: "tell"; readonly what: "open"; readonly detail?: undefined }
  | { readonly type: "tell"; readonly what: "recovered"; readonly detail: Recovered }
  | { readonly type: "tell"; readonly what: "reset"; readonly detail: Reset }
  | {
      readonly type: "deliver";
      readonly data: Payload;
      /** Where the application is once it has this message; `null` for one without a number. */
      readonly position: Position | null;
      readonly isLocal: boolean;
    }
  | { readonly type: "settle"; readonly id: string; readonly outcome: Outcome };

export type Recovered = { readonly position: Position };
export type Reset = {
  readonly previous: Position | null;
  readonly position: Position;
  /** `not-recovered` when the room could not resume, else the shard's own reason. */
  readonly reason: string;
};

export type Context = {
  /** Milliseconds on a clock that never goes back. */
  readonly now: number;
  /** A number in [0, 1), new for every event. */
  readonly random: number;
};

export type Step = { readonly state: ConnectionState; readonly effects: readonly Effect[] };

/** A step under way: the state as it becomes, and what is to be done so far. */
export type Turn = {
  -readonly [Field in keyof ConnectionState]: ConnectionState[Field];
} & Context & {
    readonly effects: Effect[];
  };

export function initialState(
  settings: Settings,
  topics: Topics,
  position: Position | null,
): ConnectionState {
  return {
    settings,
    link: { phase: "idle", wakeAt: Infinity },
    position,
    topics,
    address: null,
    failures: 0,
    strikes: 0,
    sends: [],
    publishes: [],
  };
}

/** When the next `tick` is due, or `Infinity`. */
export function wakeAt({ link, publishes }: ConnectionState): number {
  const isOpen = link.phase === "open";
  const times = publishes.map(({ attempts, leaveAt, expiresAt }) =>
    isOpen && attempts > 0 ? Math.min(leaveAt, expiresAt) : expiresAt,
  );
  return Math.min(link.wakeAt, ...times);
}
