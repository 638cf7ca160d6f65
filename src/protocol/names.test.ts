import fc from "fast-check";
import { expect, test } from "vitest";
import {
  isConnectionId,
  isRoomId,
  generationOf,
  isShardId,
  parseRoomId,
  roomOfShard,
  roomType,
  shardId,
  slotOf,
  type RoomId,
} from "./names.ts";

/** Any UTF-16 unit, half of a surrogate pair or not. */
const anyUnit = fc.nat(0xffff).map((unit) => String.fromCharCode(unit));

const allowed = "ABCXYZabcxyz0189._~:-".split("");
const roomIds = fc
  .string({ unit: fc.constantFrom(...allowed), minLength: 1, maxLength: 128 })
  .map((text) => text as RoomId);

test("NM1 a room id is any 1 to 128 of the allowed characters", () => {
  fc.assert(
    fc.property(roomIds, (id) => {
      expect([isRoomId(id), parseRoomId(id).ok]).toEqual([true, true]);
    }),
  );
});

test("NM1 one character that is not allowed makes a room id malformed", () => {
  const strangers = fc
    .string({ unit: anyUnit, minLength: 1, maxLength: 1 })
    .filter((character) => !/[A-Za-z0-9._~:-]/.test(character));
  fc.assert(
    fc.property(roomIds, strangers, fc.nat(128), (id, stranger, place) => {
      const text = id.slice(0, place) + stranger + id.slice(place);
      expect(parseRoomId(text)).toMatchObject({ ok: false, code: "malformed-name" });
    }),
  );
});

test.each(["", "a".repeat(129), "a\n", "\na", "a b", "a/b", "ä", "%41", "a\0"])(
  "NM1 %j is no room id",
  (text) => {
    expect(parseRoomId(text)).toMatchObject({ ok: false, code: "malformed-name" });
  },
);

test("NM1 a refusal says what is allowed and shows no more than the start of a long name", () => {
  const refused = parseRoomId("a".repeat(100_000));
  expect(JSON.stringify(refused)).toContain("1 to 128 characters");
  expect(JSON.stringify(refused).length).toBeLessThan(400);
});

test.each([
  ["lobby", "default"],
  ["game:k3x9", "game"],
  ["game:a:b", "game"],
  [":a", ""],
  ["game:", "game"],
])("NM2 the type of room %s is %j", (room, type) => {
  expect(roomType(room as RoomId)).toBe(type);
});

test("NM3 a shard is named by its room, a hyphen and its number, and tells its room", () => {
  expect(shardId("game:k3x9" as RoomId, 1)).toBe("game:k3x9-1");
  fc.assert(
    fc.property(roomIds, fc.integer({ min: 1, max: 1_000 }), (room, number) => {
      const shard = shardId(room, number);
      expect(isShardId(shard)).toBe(true);
      expect(roomOfShard(shard)).toBe(room);
    }),
  );
});

test("NM3 no two shards of any rooms share a name", () => {
  const numbers = fc.integer({ min: 1, max: 1_000 });
  fc.assert(
    fc.property(roomIds, numbers, roomIds, numbers, (room, number, other, otherNumber) => {
      fc.pre(room !== other || number !== otherNumber);
      expect(shardId(room, number)).not.toBe(shardId(other, otherNumber));
    }),
  );
});

test("GD1 every generation of a slot has a name of its own, which tells room, slot and generation", () => {
  expect(shardId("game:k3x9" as RoomId, 3)).toBe("game:k3x9-3");
  expect(shardId("game:k3x9" as RoomId, 3, 2)).toBe("game:k3x9-3~2");
  const numbers = fc.integer({ min: 1, max: 999_999 });
  fc.assert(
    fc.property(roomIds, numbers, numbers, (room, slot, generation) => {
      const shard = shardId(room, slot, generation);
      expect(isShardId(shard)).toBe(true);
      expect([roomOfShard(shard), slotOf(shard), generationOf(shard)]).toEqual([
        room,
        slot,
        generation,
      ]);
    }),
  );
});

test.each([
  "lobby-1~1",
  "lobby-1~0",
  "lobby-1~02",
  "lobby-1~",
  "lobby-1~x",
  "lobby~2",
  "lobby-1~2~3",
])("GD1 %j names no generation", (text) => {
  expect(isShardId(text)).toBe(false);
});

test.each(["lobby", "lobby-", "lobby-0", "lobby-01", "-1", "lobby-1.5", "lobby-x", "lobby-1\n"])(
  "NM3 %j names no shard",
  (text) => {
    expect(isShardId(text)).toBe(false);
  },
);

test("NM4 a connection id is any 1 to 128 printable ASCII characters other than ~", () => {
  for (let unit = 0; unit < 300; unit += 1) {
    const isPrintable = unit > 0x20 && unit < 0x7f && unit !== 0x7e;
    expect(isConnectionId(String.fromCharCode(unit)), `unit ${unit}`).toBe(isPrintable);
  }
  expect(isConnectionId("")).toBe(false);
  expect(isConnectionId("a".repeat(128))).toBe(true);
  expect(isConnectionId("a".repeat(129))).toBe(false);
  expect(isConnectionId("ab\n")).toBe(false);
});
