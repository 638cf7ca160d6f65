/**
 * What happens to a world of the registry: the form of a schedule, and fast-check's way to make and
 * shrink one. Knows nothing of how it is carried out.
 */
import fc from "fast-check";
import type { RoomId } from "../../../src/protocol/names.ts";
import type { FaultRates } from "../network.ts";
import type { Keep } from "../storage.ts";
import type { CreateAction, Holding } from "./operators.ts";
import type { RegistryOptions } from "./options.ts";
import type { Coming, ReserveAction } from "./players.ts";
import type { HostAction } from "./servers.ts";

/** Numbers such as `object` and `player` pick one of those there are, by remainder. */
export type RegistryAction =
  | ReserveAction
  | CreateAction
  | HostAction
  /** Several reserves at the same time for few places. */
  | { readonly type: "race"; readonly count: number; readonly reserve: ReserveAction }
  | { readonly type: "join"; readonly room: RoomId; readonly speaksProtocol: boolean }
  | {
      readonly type: "drop";
      readonly player: number;
      readonly isClean: boolean;
      readonly backMs: number | null;
    }
  | {
      readonly type: "change";
      readonly room: RoomId;
      readonly isLocked: boolean;
      readonly mode: string | null;
    }
  | { readonly type: "dispose"; readonly room: RoomId }
  | {
      readonly type: "lock";
      readonly key: string;
      readonly ttlMs: number;
      readonly holding: Holding;
    }
  | { readonly type: "server"; readonly server: string; readonly aheadMs: number }
  | { readonly type: "kill" | "drain" | "leave"; readonly server: string }
  | { readonly type: "drop-there"; readonly server: string; readonly player: number }
  | { readonly type: "partitions"; readonly count: number }
  | { readonly type: "crash" | "crash-at-write"; readonly object: number; readonly keep: Keep }
  | { readonly type: "evict"; readonly object: number }
  | { readonly type: "part"; readonly one: number; readonly other: number; readonly forMs: number }
  | { readonly type: "wait"; readonly forMs: number };

export type RegistrySchedule = {
  readonly options: RegistryOptions;
  readonly actions: readonly { readonly action: RegistryAction; readonly gapMs: number }[];
};

type Weighted = { weight: number; arbitrary: fc.Arbitrary<RegistryAction> };

const some = fc.nat({ max: 11 });
const keep = fc.constantFrom<Keep>("none", "some", "all");
const rate = fc.constantFrom(0, 0, 0.02, 0.1, 0.25);
const mode = fc.constantFrom("duel", null, null);
const small = fc.constantFrom("small:1" as RoomId, "small:2" as RoomId);
const large = fc.constant("large:1" as RoomId);
const server = fc.constantFrom("s1", "s2");

const rates: fc.Arbitrary<FaultRates> = fc.record({
  lostRequest: rate,
  lostReply: rate,
  repeated: rate,
  late: rate,
  slow: rate,
  refusedDial: fc.constant(0),
  brokenLink: fc.constantFrom(0, 0, 0.02),
});

function optionsOf(clockSkewMs: fc.Arbitrary<number>): fc.Arbitrary<RegistryOptions> {
  return fc.record({
    seed: fc.integer({ min: 0, max: 0x7fffffff }),
    partitions: fc.constantFrom(1, 2),
    maxPlayers: fc.constantFrom(2, 1, 4),
    seatTtlMs: fc.constantFrom(3_000, 15_000),
    clockSkewMs,
    host: fc.constantFrom("workers" as const, "partykit" as const),
    rates,
    shards: fc.constant(1),
    capacity: fc.constant(1),
    history: fc.constant({ messages: 1, seconds: 1 }),
    gates: fc.constant(1),
    maxTextUnits: fc.constant(60_000),
    hook: fc.constant("none" as const),
  });
}

const faults: readonly Weighted[] = [
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constantFrom("crash" as const, "crash-at-write"),
      object: some,
      keep,
    }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("evict" as const), object: some }) },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("part" as const),
      one: some,
      other: some,
      forMs: fc.constantFrom(100, 3_000, 20_000),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant("wait" as const),
      forMs: fc.constantFrom(50, 1_500, 3_000, 6_000, 16_000, 70_000),
    }),
  },
];

const partitions: Weighted = {
  weight: 2,
  arbitrary: fc.record({
    type: fc.constant("partitions" as const),
    count: fc.constantFrom(1, 2, 3),
  }),
};

const coming = fc.constantFrom<Coming>(
  ...(["at-once", "soon", "last-moment", "late", "never", "two", "again"] as const),
);

function reserveOf(roomType: string, room: fc.Arbitrary<RoomId>): fc.Arbitrary<ReserveAction> {
  return fc.record({
    type: fc.constant("reserve" as const),
    roomType: fc.constant(roomType),
    room: fc.oneof(room, fc.constant(null)),
    players: fc.constantFrom(1, 1, 1, 2, 3),
    ttlMs: fc.constantFrom(null, 1_000, 3_000, 20_000),
    mode,
    coming,
    speaksProtocol: fc.boolean(),
  });
}

const reserve = fc.oneof(
  { weight: 3, arbitrary: reserveOf("small", small) },
  { weight: 1, arbitrary: reserveOf("large", large) },
);

const seatActions: readonly Weighted[] = [
  { weight: 8, arbitrary: reserve },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant("race" as const),
      count: fc.integer({ min: 2, max: 6 }),
      reserve,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant("join" as const),
      room: fc.oneof(small, small, large),
      speaksProtocol: fc.boolean(),
    }),
  },
  {
    weight: 7,
    arbitrary: fc.record({
      type: fc.constant("drop" as const),
      player: some,
      isClean: fc.boolean(),
      backMs: fc.constantFrom(null, 0, 500, 2_900, 3_100, 14_900, 15_100),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("create" as const),
      room: small,
      maxPlayers: fc.constantFrom(null, 1),
      isLocked: fc.boolean(),
      mode,
      keepMs: fc.constantFrom(0, 5_000, 20_000),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("change" as const),
      room: fc.oneof(small, large),
      isLocked: fc.boolean(),
      mode,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant("dispose" as const), room: fc.oneof(small, large) }),
  },
  partitions,
  ...faults,
];

const lockActions: readonly Weighted[] = [
  {
    weight: 14,
    arbitrary: fc.record({
      type: fc.constant("lock" as const),
      key: fc.constantFrom("a", "b", "c"),
      ttlMs: fc.constantFrom(1_000, 2_000, 10_000),
      holding: fc.constantFrom<Holding>("release", "extend", "forget", "extend-late"),
    }),
  },
  ...faults,
];

const serverActions: readonly Weighted[] = [
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant("server" as const),
      server,
      aheadMs: fc.constantFrom(0, 0, 0, -3_000, 900, 5_000),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constantFrom("kill" as const, "kill", "drain", "leave"),
      server,
    }),
  },
  {
    weight: 9,
    arbitrary: fc.record({
      type: fc.constant("host" as const),
      room: fc.constantFrom("hosted:1" as RoomId, "hosted:2" as RoomId, null),
      players: fc.constantFrom(1, 1, 2),
      ttlMs: fc.constantFrom(1_000, 5_000, 30_000),
      comeAfter: fc.constantFrom(0, 900, 4_900, 25_000),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant("drop-there" as const), server, player: some }),
  },
  ...faults,
];

const gap = fc.constantFrom(0, 0, 1, 4, 20, 300);

function scheduleOf(
  options: fc.Arbitrary<RegistryOptions>,
  actions: readonly Weighted[],
  first: readonly RegistryAction[] = [],
): fc.Arbitrary<RegistrySchedule> {
  const step = fc.record({ action: fc.oneof(...actions), gapMs: gap });
  const steps = fc.array(step, { minLength: 1, maxLength: 40, size: "max" });
  const before = first.map((action) => ({ action, gapMs: 20 }));
  return fc.record({ options, actions: steps.map((each) => [...before, ...each]) });
}

const noSkew = fc.constant(0);

export const seatSchedules = scheduleOf(optionsOf(noSkew), seatActions);

/** Clocks differ from life to life, or the number of partitions changes: tokens rise over both. */
export const lockSchedules = fc.oneof(
  scheduleOf(optionsOf(fc.constantFrom(800, 5_000, 5_000)), lockActions),
  scheduleOf(optionsOf(noSkew), [partitions, ...lockActions]),
);

export const serverSchedules = scheduleOf(optionsOf(noSkew), serverActions, [
  { type: "server", server: "s1", aheadMs: 0 },
]);
