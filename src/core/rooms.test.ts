import { expect, test } from "vitest";
import type { RoomId } from "../protocol/names.ts";
import {
  leastConnections,
  powerOfTwo,
  random,
  roundRobin,
  strategies,
  type PlacementStrategy,
} from "./placement.ts";
import { defineRooms, shardsOf, type RoomTypeOptions } from "./rooms.ts";

const own: PlacementStrategy = (candidates) => candidates[0];

/** Options as they come from a deployment that knows no types. */
const define = (options: unknown): unknown => defineRooms({ game: options as RoomTypeOptions });

const whole = (name: string, from: number, to: number) =>
  `${name} must be a whole number from ${from} to ${to}`;
const roomOptions =
  "shards, failover, capacity, placement, regions, history, maxMessageBytes, publishOverSocket, heartbeatIntervalMs, " +
  "maxPlayers, seatTtlMs, leaseMs, hostedBy, snapshotIntervalMs, snapshotTtlMs, connectTimeoutMs";
const shardsRule = "shards must be a whole number from 1 to 1000, or { min, max } of such numbers";
const regionRule = "regions must be a list of wnam, enam, sam, weur, eeur, apac, oc, afr, me";
const placements =
  "placement must be one of least-connections, least-players, least-rooms, power-of-two, " +
  "round-robin, random, weighted, fill-first, sticky, nearest, or a function";

test.each([
  [{ shards: 0 }, whole("shards", 1, 1_000)],
  [{ shards: 1_001 }, whole("shards", 1, 1_000)],
  [{ shards: 1.5 }, whole("shards", 1, 1_000)],
  [{ shards: "3" }, shardsRule],
  [{ shards: null }, shardsRule],
  [{ shards: { min: 0, max: 2 } }, whole("shards.min", 1, 1_000)],
  [{ shards: { min: 1, max: 1_001 } }, whole("shards.max", 1, 1_000)],
  [{ shards: { min: 1 } }, shardsRule],
  [{ shards: { min: 3, max: 2 } }, "shards.min must not exceed shards.max"],
  [{ failover: 1 }, "failover must be true or false"],
  [{ shards: Number.NaN }, shardsRule],
  [{ capacity: 0 }, whole("capacity", 1, 32_000)],
  [{ capacity: 32_001 }, whole("capacity", 1, 32_000)],
  [{ history: { messages: -1 } }, whole("history.messages", 0, 100_000)],
  [{ history: { messages: 100_001 } }, whole("history.messages", 0, 100_000)],
  [{ history: { seconds: -1 } }, whole("history.seconds", 0, 86_400)],
  [{ history: { seconds: 86_401 } }, whole("history.seconds", 0, 86_400)],
  [
    { history: { minutes: 5 } },
    'unknown option "minutes"; allowed: messages, seconds (at history)',
  ],
  [{ history: 5 }, "must be an object; allowed: messages, seconds (at history)"],
  [{ maxMessageBytes: 0 }, whole("maxMessageBytes", 1, 1_048_576)],
  [{ maxMessageBytes: 1_048_577 }, whole("maxMessageBytes", 1, 1_048_576)],
  [{ heartbeatIntervalMs: 999 }, whole("heartbeatIntervalMs", 1_000, 60_000)],
  [{ heartbeatIntervalMs: 60_001 }, whole("heartbeatIntervalMs", 1_000, 60_000)],
  [{ maxPlayers: 0 }, whole("maxPlayers", 1, 32_000)],
  [
    { maxPlayers: 4, shards: { min: 1, max: 2 } },
    "maxPlayers needs a room of one shard: leave shards out or set it to 1",
  ],
  [
    { maxPlayers: 4, shards: 2 },
    "maxPlayers needs a room of one shard: leave shards out or set it to 1",
  ],
  [{ maxPlayers: 4, capacity: 3 }, "maxPlayers must not exceed capacity (3)"],
  [{ seatTtlMs: 999 }, whole("seatTtlMs", 1_000, 600_000)],
  [{ leaseMs: 9_999 }, "leaseMs must be at least twice heartbeatIntervalMs (5000)"],
  [{ leaseMs: 600_001 }, whole("leaseMs", 2_000, 600_000)],
  [
    { snapshotIntervalMs: 999 },
    "snapshotIntervalMs must be 0 or a whole number from 1000 to 3600000",
  ],
  [
    { snapshotIntervalMs: -1 },
    "snapshotIntervalMs must be 0 or a whole number from 1000 to 3600000",
  ],
  [{ snapshotTtlMs: 999 }, whole("snapshotTtlMs", 1_000, 2_592_000_000)],
  [{ snapshotTtlMs: Infinity }, whole("snapshotTtlMs", 1_000, 2_592_000_000)],
  [{ snapshotTtlMs: 2_592_000_001 }, whole("snapshotTtlMs", 1_000, 2_592_000_000)],
  [
    { snapshotIntervalMs: 60_000, snapshotTtlMs: 59_999 },
    "snapshotTtlMs must be at least snapshotIntervalMs (60000)",
  ],
  [{ snapshotTtlMs: 29_999 }, "snapshotTtlMs must be at least snapshotIntervalMs (30000)"],
  [{ hostedBy: "redis" }, "hostedBy must be shards or servers"],
  [{ placement: "best" }, placements],
  [{ placement: "toString" }, placements],
  [{ placement: 1 }, placements],
  [{ shards: 2, regions: ["weur", "mars"] }, regionRule],
  [{ shards: 2, regions: ["weur", "WEUR"] }, regionRule],
  [{ shards: 2, regions: [1] }, regionRule],
  [{ regions: "weur" }, regionRule],
  [{ regions: null }, regionRule],
  [{ regions: ["weur", "enam"] }, "regions must not be more than the shards (1)"],
  [
    { shards: { min: 1, max: 2 }, regions: ["weur", "enam", "oc"] },
    "regions must not be more than the shards (2)",
  ],
  [{ shardz: 3 }, `unknown option "shardz"; allowed: ${roomOptions}`],
  [null, `must be an object; allowed: ${roomOptions}`],
  [3, `must be an object; allowed: ${roomOptions}`],
])("RT1 %j is refused when the code loads: %s", (options, sentence) => {
  expect(() => define(options)).toThrow(TypeError);
  expect(() => define(options)).toThrow(`Room type "game": ${sentence}`);
});

test.each([NaN, Infinity, 1_500.5, 3_600_001, "30000", null])(
  "RT1 snapshots cannot be taken every %j ms",
  (snapshotIntervalMs) => {
    expect(() => define({ snapshotIntervalMs })).toThrow(
      "snapshotIntervalMs must be 0 or a whole number from 1000 to 3600000",
    );
  },
);

test.each(["", "a:b", "a b", "ä", "a".repeat(65), "a/b"])(
  "RT1 a room type cannot be called %j",
  (name) => {
    expect(() => defineRooms({ [name]: {} })).toThrow(
      "use 1 to 64 characters of A–Z a–z 0–9 . _ ~ -",
    );
  },
);

test.each([
  {
    shards: { min: 1, max: 1 },
    capacity: 1,
    history: { messages: 0, seconds: 0 },
    maxMessageBytes: 1,
  },
  { shards: { min: 1, max: 1_000 }, failover: false },
  {
    shards: { min: 1_000, max: 1_000 },
    capacity: 32_000,
    history: { messages: 100_000, seconds: 86_400 },
  },
  { maxMessageBytes: 1_048_576, heartbeatIntervalMs: 1_000 },
  { heartbeatIntervalMs: 60_000 },
  { publishOverSocket: true },
  { maxPlayers: 1_000, seatTtlMs: 600_000, hostedBy: "servers" as const },
  { heartbeatIntervalMs: 1_000, leaseMs: 2_000, seatTtlMs: 1_000, hostedBy: "shards" as const },
  { shards: { min: 1, max: 3 }, regions: ["weur", "weur", "oc"] as const },
  { regions: [] },
  { snapshotIntervalMs: 0, snapshotTtlMs: 1_000 },
  { snapshotIntervalMs: 3_600_000, snapshotTtlMs: 2_592_000_000 },
])("RT1 the bounds themselves are possible: %j", (options) => {
  expect(defineRooms({ game: options }).typeOf("game:1" as RoomId)).toMatchObject(options);
});

const defaults = {
  shards: { min: 1, max: 1 },
  failover: true,
  capacity: 1_000,
  placement: leastConnections,
  regions: [],
  history: { messages: 1_000, seconds: 300 },
  maxMessageBytes: 1_048_576,
  publishOverSocket: false,
  heartbeatIntervalMs: 5_000,
  maxPlayers: null,
  seatTtlMs: 15_000,
  leaseMs: 15_000,
  hostedBy: null,
  snapshotIntervalMs: 30_000,
  snapshotTtlMs: 86_400_000,
  connectTimeoutMs: 10_000,
};

test("RT2 what is left out has its default", () => {
  const rooms = defineRooms({ game: {}, chat: { shards: 3, history: { seconds: 9 } } });
  expect(rooms.typeOf("game:1" as RoomId)).toEqual({ ...defaults, name: "game" });
  const history = { messages: 1_000, seconds: 9 };
  expect(rooms.typeOf("chat:1" as RoomId)).toEqual({
    ...defaults,
    name: "chat",
    shards: { min: 3, max: 3 },
    history,
  });
});

test("RT2 the type default always exists, and may be declared", () => {
  expect(defineRooms({}).typeOf("lobby" as RoomId)).toEqual({ ...defaults, name: "default" });
  const rooms = defineRooms({ default: { shards: 7 } });
  expect(rooms.typeOf("lobby" as RoomId)?.shards).toEqual({ min: 7, max: 7 });
  expect(rooms.names()).toEqual(["default"]);
});

test("RT2 a lease is three heartbeats where the default were shorter", () => {
  const rooms = defineRooms({ game: { heartbeatIntervalMs: 60_000 } });
  expect(rooms.type("game")?.leaseMs).toBe(180_000);
});

test.each([
  [{ partitions: 0 }, whole("partitions", 1, 64)],
  [{ partitions: 65 }, whole("partitions", 1, 64)],
  [{ openMatchmaking: 1 }, "openMatchmaking must be true or false"],
  [{ shards: 3 }, 'unknown option "shards"; allowed: partitions, openMatchmaking'],
])("RT1 a deployment with %j is refused when the code loads: %s", (options, sentence) => {
  const given: object = options;
  expect(() => defineRooms({}, given)).toThrow(`Deployment: ${sentence}`);
});

test.each([
  ["least-connections", leastConnections],
  ["power-of-two", powerOfTwo],
  ["round-robin", roundRobin],
  ["random", random],
] as const)("RT2 the placement %s is named, or one's own function", (name, strategy) => {
  const rooms = defineRooms({ named: { placement: name }, own: { placement: own } });
  expect(rooms.typeOf("named:1" as RoomId)?.placement).toBe(strategy);
  expect(rooms.typeOf("own:1" as RoomId)?.placement).toBe(own);
  expect(Object.keys(strategies)).toContain(name);
});

test.each(["gamy:1", ":1", "game.:1", "toString:1", "__proto__:1"])(
  "NM2 the room %s is of no declared type",
  (room) => {
    expect(defineRooms({ game: {} }).typeOf(room as RoomId)).toBeUndefined();
  },
);

test("NM3 a room's shards are numbered from 1, in ascending order", () => {
  const type = defineRooms({ game: { shards: 11 } }).typeOf("game:1" as RoomId);
  if (type === undefined) throw new Error("no type");
  const shards = shardsOf("game:1" as RoomId, type);
  expect(shards).toHaveLength(11);
  expect([shards[0], shards[1], shards[10]]).toEqual(["game:1-1", "game:1-2", "game:1-11"]);
});

test.each([null, 5, "game", [], undefined])("RT1 room types that are %j are refused", (types) => {
  // As from code without types.
  expect(() => defineRooms(types as never)).toThrow("Room types must be an object");
});
