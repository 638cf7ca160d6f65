/** Room types made for tests: those of the shipped app, and one for every behaviour of the class. */
import { defineRooms } from "../../../src/index.ts";

export const rooms = defineRooms({
  default: { shards: { min: 1, max: 32 }, capacity: 1_000 },
  wide: { shards: 10 },
  game: { maxPlayers: 4 },
  /** Four places in all. */
  tiny: { shards: 2, capacity: 2 },
  /** One place. */
  single: { shards: 1, capacity: 1 },
  limited: { shards: 1, maxMessageBytes: 1_000 },
  /** Forgets all but the last five messages. */
  brief: { shards: 2, history: { messages: 5 } },
  /** Takes small messages over the socket. */
  open: { shards: 2, publishOverSocket: true, maxMessageBytes: 1_000 },
  /** Its messages tell whether they are read again. */
  witness: { shards: 2 },
  /** For members alone: see `members.ts`. */
  members: { shards: 2 },
  /**
   * Answers what it is asked; see `behaviour.ts`. The platform evicts its shards 15 seconds after their
   * last message, which is when a lease of the usual length has the registry ask them.
   */
  talking: { shards: 2, leaseMs: 60_000 },
  transform: { shards: 2 },
  waiting: { shards: 1 },
  throwing: { shards: 1 },
  /** Has `onRequest` and no `onBroadcast`. */
  requests: { shards: 2 },
  /** Adds up the numbers that it is sent, and stores the sum when it is told to. */
  adding: { shards: 2, snapshotIntervalMs: 0, history: { messages: 5 } },
  /** The same, on one shard. */
  solo: { shards: 1, snapshotIntervalMs: 0, history: { messages: 5 } },
  /** The same, for a crowd that publishes over its sockets too; remembers a whole test. */
  crowd: {
    shards: 10,
    publishOverSocket: true,
    snapshotIntervalMs: 1_000,
    history: { messages: 100_000 },
  },
  /** Gives no state: see `behaviour.ts`. */
  forgetful: { shards: 1, snapshotIntervalMs: 0 },
  /** Its state is a text as long as the number that it was told last. */
  hoarding: { shards: 1, snapshotIntervalMs: 0 },
  /** Does not end its `onStart` again once it was told to `stick`, until it is freed. */
  sticking: { shards: 1, connectTimeoutMs: 6_000 },
  /** On game servers outside, which are noticed to be gone after two seconds. */
  outside: {
    maxPlayers: 2,
    hostedBy: "servers",
    seatTtlMs: 1_000,
    heartbeatIntervalMs: 1_000,
    leaseMs: 2_000,
  },
  /** Adds up too, and tells of itself every second. */
  lively: { shards: 2, snapshotIntervalMs: 0, heartbeatIntervalMs: 1_000, leaseMs: 2_000 },
  /** Two places at first, and six in the end. */
  growing: { shards: { min: 1, max: 3 }, capacity: 2 },
  /** Around the world, with two places in each shard. */
  world: {
    shards: 4,
    capacity: 2,
    regions: ["enam", "weur", "apac", "weur"],
    placement: "nearest",
  },
  /** Throws in `onStart`. */
  broken: { shards: 1 },
});
