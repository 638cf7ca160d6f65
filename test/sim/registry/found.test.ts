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
const reserve = {
  type: "reserve",
  roomType: "small",
  room: small,
  players: 1,
  ttlMs: null,
  mode: "duel",
  coming: "at-once",
  speaksProtocol: false,
} as const;
const other = { ...reserve, room: "small:2" as RoomId };
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
  const drop = { type: "drop", player: 0, isClean: false } as const;
  await expect(
    run(
      [
        [{ type: "race", count: 2, reserve: other }, 0],
        [{ type: "wait", forMs: 3_000 }, 0],
        [{ ...drop, backMs: 3_100 }, 0],
        [{ type: "race", count: 3, reserve }, 0],
        [{ type: "wait", forMs: 50 }, 0],
        [{ type: "crash-at-write", object: 5, keep: "none" }, 0],
        [{ ...drop, backMs: 15_100 }, 0],
        [{ type: "wait", forMs: 70_000 }, 0],
      ],
      { seed: 696632092, seatTtlMs: 15_000 },
    ),
  ).resolves.toBeDefined();
});

const largeRoom = "large:1" as RoomId;

test("DI16 a client that came while its room was being disposed of is listed", async () => {
  await expect(
    run(
      [
        [{ type: "join", room: largeRoom, speaksProtocol: false }, 0],
        [{ type: "wait", forMs: 6_000 }, 0],
        [{ type: "drop", player: 0, isClean: false, backMs: 0 }, 0],
        [{ type: "dispose", room: largeRoom }, 300],
        [{ type: "crash", object: 1, keep: "none" }, 0],
      ],
      {
        seed: 1519763310,
        rates: { ...options.rates, lostRequest: 0.1, repeated: 0.25, slow: 0.25 },
      },
    ),
  ).resolves.toBeDefined();
});

test("DI17 a report that comes again to a later room of the same name does not count for good", async () => {
  const join = { type: "join", room: largeRoom, speaksProtocol: false } as const;
  const never = { ...reserve, roomType: "large", room: largeRoom, ttlMs: 1_000, mode: null };
  const wait = { type: "wait", forMs: 1_500 } as const;
  await expect(
    run(
      [
        [join, 0],
        [wait, 0],
        [{ type: "dispose", room: largeRoom }, 300],
        [{ ...never, coming: "never" }, 0],
        [{ ...never, coming: "never" }, 0],
        [wait, 0],
      ],
      { ...repeating, seed: 54 },
    ),
  ).resolves.toBeDefined();
});

test("DI15 a room that moved while its shard slept is not taken for an empty one", async () => {
  await expect(
    run(
      [
        [reserve, 0],
        [{ type: "wait", forMs: 50 }, 0],
        [{ type: "race", count: 2, reserve: { ...other, ttlMs: 1_000 } }, 0],
        [{ type: "wait", forMs: 1_500 }, 0],
        [{ type: "partitions", count: 3 }, 0],
        [{ type: "join", room: "small:2" as RoomId, speaksProtocol: false }, 20],
        [{ type: "change", room: small, isLocked: false, mode: "duel" }, 20],
        [{ type: "evict", object: 11 }, 0],
        [{ ...create, maxPlayers: null }, 0],
      ],
      { seed: 1226872019, partitions: 2, maxPlayers: 1 },
    ),
  ).resolves.toBeDefined();
});

test("SV7 a room that its server was asked for again is not lost to a late call that gave it up", async () => {
  const host = { type: "host", room: null, players: 1, ttlMs: 1_000, comeAfter: 0 } as const;
  const [one, two] = [
    { ...host, room: "hosted:1" as RoomId },
    { ...host, room: "hosted:2" as RoomId, players: 2 },
  ];
  const longer = { ttlMs: 5_000, comeAfter: 4_900 };
  await expect(
    run(
      [
        [{ type: "server", server: "s1", aheadMs: 0 }, 20],
        [{ type: "wait", forMs: 3_000 }, 0],
        [one, 0],
        [one, 0],
        [host, 0],
        [{ type: "crash", object: 0, keep: "none" }, 4],
        [{ type: "crash", object: 3, keep: "none" }, 300],
        [two, 20],
        [host, 0],
        [{ type: "part", one: 0, other: 0, forMs: 100 }, 20],
        [two, 0],
        [{ type: "wait", forMs: 70_000 }, 0],
        [{ type: "wait", forMs: 3_000 }, 0],
        [{ ...one, ...longer }, 20],
        [{ type: "drain", server: "s2" }, 4],
        [{ type: "part", one: 0, other: 6, forMs: 100 }, 0],
        [{ ...two, ...longer }, 4],
      ],
      {
        seed: 807209344,
        partitions: 2,
        maxPlayers: 4,
        rates: { ...options.rates, lostRequest: 0.1, lostReply: 0.25, slow: 0.1 },
      },
    ),
  ).resolves.toBeDefined();
});

test("SV7 a room whose server is gone before its partition hears of it is not there for good", async () => {
  const host = { type: "host", room: null, players: 1, ttlMs: 1_000, comeAfter: 0 } as const;
  const first = { ...host, room: "hosted:1" as RoomId };
  const crash = { type: "crash", object: 0, keep: "none" } as const;
  await expect(
    run(
      [
        [{ type: "server", server: "s1", aheadMs: 0 }, 20],
        [crash, 0],
        [first, 0],
        [{ type: "wait", forMs: 6_000 }, 0],
        [{ ...crash, type: "crash-at-write" }, 0],
        [{ type: "part", one: 4, other: 0, forMs: 100 }, 0],
        [crash, 0],
        [first, 0],
        [{ type: "kill", server: "s1" }, 0],
        [{ type: "server", server: "s2", aheadMs: 0 }, 0],
        [{ type: "wait", forMs: 16_000 }, 0],
        [host, 0],
        [{ type: "wait", forMs: 50 }, 0],
        [{ type: "drop-there", server: "s1", player: 0 }, 0],
      ],
      {
        seed: 1797267955,
        partitions: 2,
        rates: { ...options.rates, lostReply: 0.1, late: 0.02, slow: 0.1 },
      },
    ),
  ).resolves.toBeDefined();
});

test("RG1 a client whose end woke its shard, which was told of it no more, is not listed for good", async () => {
  const join = { type: "join", room: small, speaksProtocol: true } as const;
  const drop = { type: "drop", player: 0, isClean: false, backMs: null } as const;
  await expect(
    run(
      [
        [join, 0],
        [{ type: "wait", forMs: 1_500 }, 0],
        [{ ...join, room: largeRoom }, 0],
        [drop, 300],
        [{ ...reserve, room: null }, 4],
        [{ ...drop, isClean: true, backMs: 0 }, 0],
        [{ type: "partitions", count: 1 }, 300],
        [{ type: "change", room: other.room, isLocked: false, mode: "duel" }, 300],
        [{ type: "part", one: 0, other: 0, forMs: 100 }, 300],
        [{ type: "evict", object: 3 }, 0],
        [{ ...join, speaksProtocol: false }, 0],
      ],
      { seed: 2130640872, rates: { ...options.rates, lostRequest: 0.02 } },
    ),
  ).resolves.toBeDefined();
});
