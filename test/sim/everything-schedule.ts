/**
 * Schedules of worlds in which the registry does all that it can: shards that follow their audience,
 * replacements, drains, snapshots. Anything may die, be cut off or restart in the middle of it.
 */
import fc from "fast-check";
import type { Disaster } from "./disasters.ts";
import type { WorldOptions } from "./environment.ts";
import {
  faults,
  kinds,
  optionsArbitrary,
  scheduleOf,
  some,
  type Action,
  type Schedule,
} from "./schedule.ts";
import type { Keep } from "./storage.ts";

const keep = fc.constantFrom<Keep>("none", "some", "all");

const options: fc.Arbitrary<WorldOptions> = fc
  .tuple(
    optionsArbitrary,
    fc.record({
      shards: fc.constantFrom(1, 1, 2),
      maxShards: fc.constantFrom(1, 2, 3, 5),
      capacity: fc.constantFrom(1_000, 2, 4, 6),
      failover: fc.constant(true),
      snapshotIntervalMs: fc.constantFrom(1_000, 5_000, 30_000),
      hook: fc.constantFrom("none" as const, "direct", "async", "throwing"),
      publishOverSocket: fc.boolean(),
      maxTextUnits: fc.constantFrom(60_000, 60, 2_000),
    }),
  )
  .map(([common, own]) => ({ ...common, ...own }));

const disasters: readonly { weight: number; arbitrary: fc.Arbitrary<Disaster> }[] = [
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant("cut-off" as const),
      shard: some,
      forMs: fc.constantFrom(1_000, 5_000, 20_000, 60_000, 130_000),
      loses: fc.constantFrom("nothing" as const, "nothing", "memory", "sockets"),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("sick" as const),
      shard: some,
      forMs: fc.constantFrom(1_000, 5_000, 20_000, 60_000),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constantFrom("suspect" as const, "migrate", "empty"),
      shard: some,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("resize" as const),
      shards: fc.constantFrom(null, 1, 2, 3, 5),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("state" as const),
      shard: some,
      what: fc.constantFrom("take" as const, "take", "restore"),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant("role-crash" as const),
      role: fc.constantFrom("registry" as const, "registry", "sequencer"),
      when: fc.constantFrom("now" as const, "at-write"),
      keep,
    }),
  },
];

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 7,
    arbitrary: fc.record({
      type: fc.constant("publish" as const),
      kind: fc.constantFrom(...kinds),
      padding: fc.constantFrom(0, 0, 10, 200),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant("burst" as const),
      count: fc.integer({ min: 2, max: 8 }),
    }),
  },
  {
    // A storm, when it is many.
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant("connect" as const),
      count: fc.constantFrom(1, 2, 6, 12),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant("join" as const),
      count: fc.integer({ min: 1, max: 3 }),
      topics: fc.constant(""),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("away" as const),
      client: some,
      forMs: fc.constantFrom(20, 1_000, 8_000, 40_000, null),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("cut" as const),
      client: some,
      isNoticed: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("send" as const),
      client: some,
      count: fc.constantFrom(1, 3, 10),
      padding: fc.constantFrom(0, 200),
      topic: fc.constant(null),
    }),
  },
  ...disasters,
  ...faults,
);

/** On one host, or on either. */
export function everythingArbitrary(host?: WorldOptions["host"]): fc.Arbitrary<Schedule> {
  const onHost = host === undefined ? options : options.map((each) => ({ ...each, host }));
  return scheduleOf(onHost, action, 35);
}
