/** Schedules of worlds with clients of protocol 1, plain ones and topics. */
import fc from "fast-check";
import { audienceBounds, type AudienceBounds } from "../../src/shard/audience.ts";
import type { WorldOptions } from "./environment.ts";
import {
  faults,
  hand,
  kinds,
  optionsArbitrary,
  scheduleOf,
  some,
  type Action,
  type Misbehaviour,
  type Schedule,
} from "./schedule.ts";

const topic = fc.constantFrom(null, null, "a", "b:1", "b:1:x", "c");
const filters = fc.constantFrom("", "", "*", "a", "b:*", "a,b:1,b:*,b:1:*", "c,zzz");
/** Some larger than a frame or a good part of a window. */
const padding = fc.constantFrom(0, 0, 0, 200, 3_000, 12_000, 20_000);

/** So small that a burst makes clients lag: see `PR7` and `PR16`. */
const tightBounds: AudienceBounds = {
  recent: { units: 32 * 1024, backlogUnits: 64 * 1024 },
  window: { sharedUnits: 0, minUnits: 24 * 1024, maxUnits: 24 * 1024 },
};

const options: fc.Arbitrary<WorldOptions> = fc
  .tuple(
    optionsArbitrary,
    fc.record({
      shards: fc.integer({ min: 1, max: 4 }),
      capacity: fc.constantFrom(1_000, 1_000, 1_000, 3),
      history: fc.record({
        messages: fc.constantFrom(1_000, 1_000, 0, 1, 5, 20),
        seconds: fc.constantFrom(300, 300, 0, 5),
      }),
      publishOverSocket: fc.constantFrom(true, true, false),
      maxTextUnits: fc.constantFrom(60_000, 60_000, 2_000),
      bounds: fc.constantFrom(tightBounds, tightBounds, audienceBounds),
    }),
  )
  .map(([common, own]) => ({ ...common, ...own }));

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 7,
    arbitrary: fc.record({
      type: fc.constant("publish" as const),
      kind: fc.constantFrom(...kinds),
      padding,
      topic,
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant("burst" as const),
      count: fc.integer({ min: 2, max: 10 }),
      padding,
      topic,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant("connect" as const),
      count: fc.integer({ min: 1, max: 2 }),
      topics: filters,
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant("join" as const),
      count: fc.integer({ min: 1, max: 3 }),
      topics: filters,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant("stray" as const),
      kind: fc.constantFrom("ahead" as const, "other-life"),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("away" as const),
      client: some,
      forMs: fc.constantFrom(20, 1_000, 8_000, 40_000, 100_000, null),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant("cut" as const),
      client: some,
      isNoticed: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant("everybody-cut" as const), isNoticed: fc.boolean() }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant("stall" as const),
      client: some,
      forMs: fc.constantFrom(500, 5_000, 25_000, 45_000, 100_000),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant("topics" as const), client: some, topics: filters }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("ping" as const), client: some }) },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant("misbehave" as const),
      client: some,
      how: fc.constantFrom<Misbehaviour>(
        "no-json",
        "unknown-type",
        "extra-member",
        "bad-topic",
        "bytes",
      ),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant("send" as const),
      client: some,
      count: fc.constantFrom(1, 1, 3, 10, 80),
      padding: fc.constantFrom(0, 0, 200),
      topic,
    }),
  },
  {
    // A shard is cut off from the sequencer for so long that the log no longer waits for it.
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("part" as const),
      one: fc.constant(0),
      other: fc.integer({ min: 1, max: 4 }),
      forMs: fc.constant(130_000),
    }),
  },
  ...faults,
  ...hand,
);

export function protocolScheduleArbitrary(): fc.Arbitrary<Schedule> {
  return scheduleOf(options, action);
}
