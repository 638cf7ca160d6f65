/**
 * What happens to a world: the form of a schedule, and fast-check's way to make and shrink one. Knows
 * nothing of how it is carried out.
 */
import fc from "fast-check";
import type { Disaster } from "./disasters.ts";
import type { WorldOptions } from "./environment.ts";
import type { PublishKind } from "./outside.ts";
import type { Keep } from "./storage.ts";

/** What is not of protocol 1. */
export type Misbehaviour = "no-json" | "unknown-type" | "extra-member" | "bad-topic" | "bytes";

/** What clients of protocol 1 do. `topics` are filters with commas between them. */
export type ClientAction =
  | { readonly type: "join"; readonly count: number; readonly topics: string }
  /** A client comes that claims to have been where nobody was. */
  | { readonly type: "stray"; readonly kind: "ahead" | "other-life" }
  | { readonly type: "away"; readonly client: number; readonly forMs: number | null }
  | { readonly type: "cut"; readonly client: number; readonly isNoticed: boolean }
  | { readonly type: "everybody-cut"; readonly isNoticed: boolean }
  | { readonly type: "stall"; readonly client: number; readonly forMs: number }
  | { readonly type: "topics"; readonly client: number; readonly topics: string }
  | { readonly type: "ping"; readonly client: number }
  | { readonly type: "misbehave"; readonly client: number; readonly how: Misbehaviour }
  | {
      readonly type: "send";
      readonly client: number;
      readonly count: number;
      readonly padding: number;
      readonly topic: string | null;
    };

/** Numbers such as `object` and `client` pick one of those there are, by remainder. */
export type Action =
  | ClientAction
  | Disaster
  | {
      readonly type: "publish";
      readonly kind: PublishKind;
      readonly padding: number;
      readonly topic?: string | null;
    }
  | {
      readonly type: "burst";
      readonly count: number;
      readonly padding?: number;
      readonly topic?: string | null;
    }
  | { readonly type: "connect"; readonly count: number; readonly topics?: string }
  | { readonly type: "leave" | "drop"; readonly client: number }
  | { readonly type: "everybody-leaves" }
  | { readonly type: "crash" | "crash-at-write"; readonly object: number; readonly keep: Keep }
  | { readonly type: "evict"; readonly object: number }
  /** A quiet while, after which everything that can hibernate does. */
  | { readonly type: "hibernate"; readonly forMs: number }
  | { readonly type: "part"; readonly one: number; readonly other: number; readonly forMs: number }
  | { readonly type: "break-link"; readonly link: number; readonly unnoticedMs: number }
  /** The slot of a shard is given to another object, or its object is emptied first. */
  | { readonly type: "fence"; readonly shard: number }
  | { readonly type: "drain"; readonly shard: number; readonly limitMs: number }
  | { readonly type: "status" | "probe" | "sweep" }
  | { readonly type: "wait"; readonly forMs: number };

export type Schedule = {
  readonly options: WorldOptions;
  readonly actions: readonly { readonly action: Action; readonly gapMs: number }[];
};

export const some = fc.nat({ max: 11 });
const keep = fc.constantFrom<Keep>("none", "some", "all");
const rate = fc.constantFrom(0, 0, 0.02, 0.1, 0.25);

const ratesArbitrary = fc.record({
  lostRequest: rate,
  lostReply: rate,
  repeated: rate,
  late: rate,
  slow: rate,
  refusedDial: rate,
  brokenLink: rate,
});

export const optionsArbitrary: fc.Arbitrary<WorldOptions> = fc.record({
  seed: fc.integer({ min: 0, max: 0x7fffffff }),
  shards: fc.integer({ min: 1, max: 6 }),
  capacity: fc.constantFrom(1_000, 1, 2, 4),
  history: fc.record({
    messages: fc.constantFrom(1_000, 0, 1, 5),
    seconds: fc.constantFrom(300, 0, 5),
  }),
  host: fc.constantFrom("workers" as const, "partykit" as const),
  gates: fc.integer({ min: 1, max: 3 }),
  maxTextUnits: fc.constantFrom(60_000, 60, 250),
  hook: fc.constantFrom("none" as const, "none" as const, "direct", "async", "throwing"),
  rates: ratesArbitrary,
});

export const kinds: readonly PublishKind[] = [
  "plain",
  "keyed",
  "delivered",
  "many",
  "binary",
  "volatile",
  "conflict",
  "again",
];

/** What goes wrong, and time. */
export const faults: readonly { weight: number; arbitrary: fc.Arbitrary<Action> }[] = [
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constantFrom("leave" as const, "drop"), client: some }),
  },
  { weight: 1, arbitrary: fc.constant({ type: "everybody-leaves" as const }) },
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constantFrom("crash" as const, "crash-at-write"),
      object: some,
      keep,
    }),
  },
  { weight: 4, arbitrary: fc.record({ type: fc.constant("evict" as const), object: some }) },
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant("hibernate" as const),
      forMs: fc.constantFrom(11_000, 11_000, 30_000, 0),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("part" as const),
      one: some,
      other: some,
      forMs: fc.constantFrom(100, 3_000, 20_000, 130_000),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("break-link" as const),
      link: some,
      unnoticedMs: fc.constantFrom(0, 0, 20_000, 60_000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constantFrom("status" as const, "probe", "sweep") }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant("wait" as const),
      forMs: fc.constantFrom(50, 1_500, 1_500, 6_000, 12_000, 70_000),
    }),
  },
];

/** What an operator does to the slots of a room, or a registry that nobody simulates. */
export const hand: readonly { weight: number; arbitrary: fc.Arbitrary<Action> }[] = [
  { weight: 2, arbitrary: fc.record({ type: fc.constant("fence" as const), shard: some }) },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("drain" as const),
      shard: some,
      limitMs: fc.constantFrom(0, 1_000, 5_000, 20_000),
    }),
  },
];

const actionArbitrary: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      type: fc.constant("publish" as const),
      kind: fc.constantFrom(...kinds),
      padding: fc.constantFrom(0, 0, 10, 200),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("burst" as const),
      count: fc.integer({ min: 2, max: 12 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant("connect" as const),
      count: fc.integer({ min: 1, max: 3 }),
    }),
  },
  ...faults,
  ...hand,
);

const gap = fc.constantFrom(0, 0, 1, 4, 20, 300);

export function scheduleArbitrary(): fc.Arbitrary<Schedule> {
  return scheduleOf(optionsArbitrary, actionArbitrary);
}

export function scheduleOf(
  options: fc.Arbitrary<WorldOptions>,
  action: fc.Arbitrary<Action>,
  maxLength = 70,
): fc.Arbitrary<Schedule> {
  const step = fc.record({ action, gapMs: gap });
  return fc.record({
    options,
    actions: fc.array(step, { minLength: 1, maxLength, size: "max" }),
  });
}
