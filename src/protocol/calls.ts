/**
 * Calls between objects: one table of their requests and replies, and the only parsing of them.
 * Requests and replies are plain JSON values, so that one form travels by RPC (Workers) and by
 * internal HTTP (PartyKit). Both hosts keep them unreachable from outside.
 */
import * as v from "valibot";
import { describeIssues } from "./issues.ts";
import { isShardId, type ShardId } from "./names.ts";
import { positionSchema, type Position } from "./link.ts";
import { payloadSchema } from "./payload.ts";
import { registryRequestSchema, type RegistryReplies } from "./registry-calls.ts";
import { failure, success, type Failure, type Result } from "./result.ts";
import type { SnapshotInfo } from "./snapshot.ts";

const shardSchema = v.custom<ShardId>((value) => typeof value === "string" && isShardId(value));
const countSchema = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

/** What a ticket says of a seat: the gate has checked the signature and nothing else. */
const seatClaimSchema = v.strictObject({
  id: v.string(),
  player: v.string(),
  expiresAt: countSchema,
});
export type SeatClaim = v.InferOutput<typeof seatClaimSchema>;

export const maxIdempotencyKeyLength = 255;

const publishSchema = v.strictObject({
  type: v.literal("publish"),
  messages: v.pipe(v.array(payloadSchema), v.minLength(1)),
  topic: v.optional(v.string()),
  volatile: v.boolean(),
  key: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(maxIdempotencyKeyLength))),
  /** The series of keys of a client that publishes over its socket: only its last are remembered. */
  series: v.optional(v.string()),
  /** The shard whose client publishes, where one does. */
  shard: v.optional(shardSchema),
  /** Answer only when every shard has the message, or the time for that is over. */
  waitDelivered: v.boolean(),
});

const requestSchemas = {
  sequencer: v.variant("type", [
    publishSchema,
    v.strictObject({
      type: v.literal("subscribe"),
      shard: shardSchema,
      /** What the shard has, when it has clients that must miss nothing after it. */
      position: v.nullable(positionSchema),
    }),
    v.strictObject({
      type: v.literal("unsubscribe"),
      shard: shardSchema,
      /** Only this subscription ends; a call that comes late cannot end a newer one. */
      subscription: v.string(),
    }),
    v.strictObject({ type: v.literal("status") }),
    /** What history holds after a position, or all of it; `limit` messages are enough. */
    v.strictObject({
      type: v.literal("read"),
      position: v.nullable(positionSchema),
      limit: v.optional(v.pipe(countSchema, v.minValue(1))),
      /** For a shard's state: also what history no longer holds and is kept; the rest is read after it. */
      isForState: v.optional(v.boolean()),
    }),
    /**
     * What comes after this position is needed until `expiresAt`, since the newest snapshot does not
     * hold it; `takenAt` is `null` as long as there is none.
     */
    v.strictObject({
      type: v.literal("snapshotted"),
      position: positionSchema,
      takenAt: v.nullable(countSchema),
      expiresAt: countSchema,
    }),
    v.strictObject({ type: v.literal("wake") }),
    /** Of this shard's slot only this generation and later ones are served from now on. */
    v.strictObject({ type: v.literal("fence"), shard: shardSchema }),
    /** The room is disposed: nothing is kept, and a later write begins another epoch. */
    v.strictObject({ type: v.literal("dispose") }),
  ]),
  shard: v.variant("type", [
    /**
     * Keeps a place for a connection that is on its way, for a few seconds; or says whether it may
     * take the seat that it claims.
     */
    v.strictObject({
      type: v.literal("hold"),
      connection: v.string(),
      claim: v.nullable(seatClaimSchema),
      session: v.nullable(v.string()),
    }),
    v.strictObject({ type: v.literal("load") }),
    /** Holds a seat for each, or for none. */
    v.strictObject({
      type: v.literal("reserve"),
      seats: v.array(v.strictObject({ id: v.string(), player: v.string() })),
      ttlMs: countSchema,
    }),
    /** This room takes so many players, not the type's number; `null`: the type's again. */
    v.strictObject({
      type: v.literal("limit"),
      maxPlayers: v.nullable(countSchema),
      /** When it was decided: one that was overtaken on its way changes nothing. */
      at: v.optional(countSchema),
    }),
    /**
     * Takes no new sockets and closes those it has, a few at a time, within so many milliseconds. One
     * that drains already goes on. Clients come back elsewhere.
     */
    v.strictObject({ type: v.literal("drain"), limitMs: countSchema }),
    /** A later generation serves the slot: this object is over. */
    v.strictObject({ type: v.literal("fenced") }),
    /** The room is disposed: clients are closed for good, and nothing is kept. */
    v.strictObject({ type: v.literal("dispose") }),
    /** Stores the state as it is now. */
    v.strictObject({ type: v.literal("takeSnapshot") }),
    /** The state goes back to the newest snapshot, and the log after it is replayed. */
    v.strictObject({ type: v.literal("restoreSnapshot") }),
  ]),
  registry: registryRequestSchema,
} as const;

export type Role = keyof typeof requestSchemas;
export type RequestTo<R extends Role> = v.InferOutput<(typeof requestSchemas)[R]>;
export type PublishRequest = v.InferOutput<typeof publishSchema>;

/** How far a write has got: shards that have acknowledged it, and shards still owed it. */
export type DeliveryCount = { readonly delivered: number; readonly pending: number };

export type Published = {
  readonly epoch: string;
  /** Number of the write's first message; above `seq` when the write was volatile. */
  readonly first: number;
  /** Number of the write's last message; for a volatile write, of the last logged one. */
  readonly seq: number;
  readonly shards: DeliveryCount;
};

/** What a shard is owed when it subscribes: everything after `seq`. */
export type Subscribed = {
  readonly epoch: string;
  readonly seq: number;
  readonly subscription: string;
};

/**
 * The messages after `after`, as encoded batch frames: every one, or at least as many as were asked
 * for. The first frame may hold earlier ones too, never such as history has let go. `after` is the
 * position asked for, or above it when history no longer holds what follows that; `through` is the
 * newest message. Bounded like history: 4 Mi units of frames.
 */
export type LogRange = {
  readonly epoch: string;
  readonly after: number;
  readonly through: number;
  readonly frames: readonly string[];
};

export type SequencerStatus = {
  readonly epoch: string;
  readonly seq: number;
  /** Sequence numbers that the log still holds; `first` is above `last` when it holds none. */
  readonly history: { readonly first: number; readonly last: number };
  /** The newest snapshot that a shard has told of, as long as it is kept. */
  readonly snapshot: { readonly seq: number; readonly takenAt: number } | null;
  readonly subscribers: readonly {
    readonly shard: ShardId;
    readonly acked: number;
    /** `null` when the shard did not answer. */
    readonly connections: number | null;
    /** What is wrong with the shard's state. */
    readonly stateError: string | null;
  }[];
};

/** What a shard says of itself. */
export type LoadReply = {
  /** `fenced`: a later generation serves the slot, and this one serves nobody. Left out: `online`. */
  readonly status?: "online" | "draining" | "fenced";
  readonly connections: number;
  /** Players that have a seat taken, where the room has `maxPlayers`; else `null`. */
  readonly players: readonly string[] | null;
  /** Seats that are held and not taken yet. */
  readonly reserved: number;
  /** When this was so, by the shard's clock. */
  readonly at?: number | undefined;
  /** What is wrong with the shard's state, if anything is. */
  readonly stateError?: string;
};

type Replies = {
  sequencer: {
    publish: Published;
    subscribe: Subscribed;
    unsubscribe: null;
    status: SequencerStatus;
    read: LogRange;
    snapshotted: null;
    wake: null;
    fence: null;
    dispose: null;
  };
  shard: {
    hold: null;
    load: LoadReply;
    reserve: { readonly expiresAt: number };
    limit: null;
    drain: LoadReply;
    fenced: null;
    dispose: null;
    takeSnapshot: SnapshotInfo;
    restoreSnapshot: Position;
  };
  registry: RegistryReplies;
};

type TypeOf<R extends Role> = RequestTo<R>["type"] & keyof Replies[R];

/** The reply to a request, by the request's `type`. */
export type ReplyTo<R extends Role, Request extends RequestTo<R>> = Replies[R][Request["type"] &
  TypeOf<R>];

export type AnyReply<R extends Role> = Replies[R][keyof Replies[R]];

/** The answer to a shard of a former generation. */
export function fencedFailure(): Failure<"fenced"> {
  return failure("fenced", "a later generation of the shard serves its slot");
}

/** A claim as the gate writes it into a header. */
export function parseSeatClaim(text: string): Result<SeatClaim, "malformed-call"> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return failure("malformed-call", "a claim must be JSON");
  }
  const parsed = v.safeParse(seatClaimSchema, json);
  if (!parsed.success) return failure("malformed-call", describeIssues(parsed.issues));
  return success(parsed.output);
}

export function parseRequest<R extends Role>(
  role: R,
  value: unknown,
): Result<RequestTo<R>, "malformed-call"> {
  const parsed = v.safeParse(requestSchemas[role], value);
  if (!parsed.success) return failure("malformed-call", describeIssues(parsed.issues));
  return success(parsed.output as RequestTo<R>);
}
