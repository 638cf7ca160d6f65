/** Schedules of the registry in which the simulator found a bug, kept since. */
import { expect, test } from "vitest";
import type { RoomId } from "../../../src/protocol/names.ts";
import type { RegistryOptions } from "./options.ts";
import type { RegistryAction } from "./schedule.ts";
import { simulateRegistry } from "./simulate.ts";

const options: RegistryOptions = {
  seed: 0,
  partitions: 1,
  maxPlayers: 2,
  seatTtlMs: 3_000,
  clockSkewMs: 0,
  host: "workers",
  rates: {
    lostRequest: 0,
    lostReply: 0,
    repeated: 0,
    late: 0,
    slow: 0,
    refusedDial: 0,
    brokenLink: 0,
  },
  shards: 1,
  capacity: 1,
  history: { messages: 1, seconds: 1 },
  gates: 1,
  maxTextUnits: 60_000,
  hook: "none",
};

function run(
  actions: readonly [RegistryAction, gapMs: number][],
  more: Partial<RegistryOptions> = {},
): Promise<unknown> {
  const steps = actions.map(([action, gapMs]) => ({ action, gapMs }));
  return simulateRegistry({ options: { ...options, ...more }, actions: steps });
}

const small = "small:1" as RoomId;
const create = {
  type: "create",
  room: small,
  maxPlayers: 1,
  isLocked: false,
  mode: "duel",
  keepMs: 0,
} as const;
const crashOfShard = { type: "crash", object: 1, keep: "all" } as const;
/** The worlds in which the call with the limit comes again after the crash. */
const repeating = { rates: { ...options.rates, repeated: 1 } };
const lock = { type: "lock", key: "a", ttlMs: 1_000, holding: "release" } as const;

test("DI5 a room's own limit leaves no row when the room is gone", async () => {
  await expect(run([[create, 0]])).resolves.toBeDefined();
});

test("DI5 a limit that comes again to a shard that died is taken back again", async () => {
  const actions: [RegistryAction, number][] = [
    [create, 300],
    [crashOfShard, 0],
  ];
  for (const seed of [3, 6, 9]) {
    await expect(run(actions, { ...repeating, seed })).resolves.toBeDefined();
  }
});

test("DI5 a limit that comes again to a shard that died after its room was disposed of is taken back", async () => {
  const actions: [RegistryAction, number][] = [
    [create, 300],
    [{ type: "dispose", room: small }, 300],
    [crashOfShard, 0],
  ];
  for (const seed of [6, 12, 16]) {
    await expect(run(actions, { ...repeating, seed })).resolves.toBeDefined();
  }
});

test("LO4 a lock of a partition that the hub never worked with is handed over", async () => {
  const fewer = { type: "partitions", count: 1 } as const;
  await expect(
    run([
      [{ type: "partitions", count: 3 }, 0],
      [lock, 300],
      [fewer, 0],
      [lock, 0],
    ]),
  ).resolves.toBeDefined();
});

test("DI5 a former partition is asked until it owes nothing", async () => {
  await expect(
    run([
      [{ type: "partitions", count: 2 }, 0],
      [{ type: "crash-at-write", object: 1, keep: "all" }, 0],
      [create, 0],
      [{ type: "dispose", room: small }, 0],
      [{ type: "wait", forMs: 50 }, 0],
      [{ type: "partitions", count: 1 }, 300],
    ]),
  ).resolves.toBeDefined();
});

test("SE4 a seat whose player came back unseen, as the shard died, is kept from the first drop on", async () => {
  const reserve = {
    type: "reserve",
    roomType: "small",
    room: "small:2" as RoomId,
    players: 1,
    ttlMs: null,
    mode: "duel",
    coming: "at-once",
    speaksProtocol: false,
  } as const;
  const drop = { type: "drop", player: 0, isClean: false } as const;
  await expect(
    run(
      [
        [{ type: "race", count: 2, reserve }, 0],
        [{ type: "wait", forMs: 3_000 }, 0],
        [{ ...drop, backMs: 3_100 }, 0],
        [{ type: "race", count: 3, reserve: { ...reserve, room: small } }, 0],
        [{ type: "wait", forMs: 50 }, 0],
        [{ type: "crash-at-write", object: 5, keep: "none" }, 0],
        [{ ...drop, backMs: 15_100 }, 0],
        [{ type: "wait", forMs: 70_000 }, 0],
      ],
      { seed: 696632092, seatTtlMs: 15_000 },
    ),
  ).resolves.toBeDefined();
});
