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
  "shards, capacity, placement, history, maxMessageBytes, publishOverSocket, heartbeatIntervalMs";
const placements =
  "placement must be one of least-connections, power-of-two, round-robin, random, or a function";

test.each([
  [{ shards: 0 }, whole("shards", 1, 1_000)],
  [{ shards: 1_001 }, whole("shards", 1, 1_000)],
  [{ shards: 1.5 }, whole("shards", 1, 1_000)],
  [{ shards: "3" }, whole("shards", 1, 1_000)],
  [{ shards: null }, whole("shards", 1, 1_000)],
  [{ shards: Number.NaN }, whole("shards", 1, 1_000)],
  [{ capacity: 0 }, whole("capacity", 1, 32_000)],
  [{ capacity: 32_001 }, whole("capacity", 1, 32_000)],
  [{ history: { messages: -1 } }, whole("history.messages", 0, 100_000)],
  [{ history: { messages: 100_001 } }, whole("history.messages", 0, 100_000)],
  [{ history: { seconds: -1 } }, whole("history.seconds", 0, 86_400)],
  [{ history: { seconds: 86_401 } }, whole("history.seconds", 0, 86_400)],
  [{ history: { minutes: 5 } }, "history is an object of messages, seconds"],
  [{ history: 5 }, "history is an object of messages, seconds"],
  [{ maxMessageBytes: 0 }, whole("maxMessageBytes", 1, 1_048_576)],
  [{ maxMessageBytes: 1_048_577 }, whole("maxMessageBytes", 1, 1_048_576)],
  [{ heartbeatIntervalMs: 999 }, whole("heartbeatIntervalMs", 1_000, 60_000)],
  [{ heartbeatIntervalMs: 60_001 }, whole("heartbeatIntervalMs", 1_000, 60_000)],
  [{ placement: "best" }, placements],
  [{ placement: "toString" }, placements],
  [{ placement: 1 }, placements],
  [{ shardz: 3 }, `a room type is an object of ${roomOptions}`],
  [null, `a room type is an object of ${roomOptions}`],
  [3, `a room type is an object of ${roomOptions}`],
])("RT1 %j is refused when the code loads: %s", (options, sentence) => {
  expect(() => define(options)).toThrow(TypeError);
  expect(() => define(options)).toThrow(`Room type "game": × ${sentence}`);
});

test.each(["", "a:b", "a b", "ä", "a".repeat(65), "a/b"])(
  "RT1 a room type cannot be called %j",
  (name) => {
    expect(() => defineRooms({ [name]: {} })).toThrow(
      "use 1 to 64 characters of A–Z a–z 0–9 . _ ~ -",
    );
  },
);

test.each([
  { shards: 1, capacity: 1, history: { messages: 0, seconds: 0 }, maxMessageBytes: 1 },
  { shards: 1_000, capacity: 32_000, history: { messages: 100_000, seconds: 86_400 } },
  { maxMessageBytes: 1_048_576, heartbeatIntervalMs: 1_000 },
  { heartbeatIntervalMs: 60_000 },
  { publishOverSocket: true },
])("RT1 the bounds themselves are possible: %j", (options) => {
  expect(defineRooms({ game: options }).typeOf("game:1" as RoomId)).toMatchObject(options);
});

const defaults = {
  shards: 1,
  capacity: 1_000,
  placement: leastConnections,
  history: { messages: 1_000, seconds: 300 },
  maxMessageBytes: 1_048_576,
  publishOverSocket: false,
  heartbeatIntervalMs: 5_000,
  connectTimeoutMs: 10_000,
};

test("RT2 what is left out has its default", () => {
  const rooms = defineRooms({ game: {}, chat: { shards: 3, history: { seconds: 9 } } });
  expect(rooms.typeOf("game:1" as RoomId)).toEqual({ ...defaults, name: "game" });
  const history = { messages: 1_000, seconds: 9 };
  expect(rooms.typeOf("chat:1" as RoomId)).toEqual({
    ...defaults,
    name: "chat",
    shards: 3,
    history,
  });
});

test("RT2 the type default always exists, and may be declared", () => {
  expect(defineRooms({}).typeOf("lobby" as RoomId)).toEqual({ ...defaults, name: "default" });
  const rooms = defineRooms({ default: { shards: 7 } });
  expect(rooms.typeOf("lobby" as RoomId)?.shards).toBe(7);
  expect(rooms.names()).toEqual(["default"]);
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
