import fc from "fast-check";
import { expect, test } from "vitest";
import { shardId, type RoomId } from "../protocol/names.ts";
import { regions, type Region } from "../protocol/registry.ts";
import { defineRooms } from "./rooms.ts";
import { placeOfSlot, regionOfShard, regionOfSlot } from "./shard-regions.ts";

const rooms = defineRooms({
  world: { shards: 5, regions: ["weur", "weur", "enam"] },
  here: { shards: 5 },
});
const regionOf = (room: string, slot: number, generation = 1): Region | undefined =>
  regionOfShard(rooms, shardId(room as RoomId, slot, generation));

test("RE1 shards take the regions of their type in turn, by the number of their slot", () => {
  const found = [1, 2, 3, 4, 5].map((slot) => regionOf("world:a", slot));
  expect(found).toEqual(["weur", "weur", "enam", "weur", "weur"]);
  expect(rooms.type("world")?.regions).toEqual(["weur", "weur", "enam"]);
});

test("RE1 every generation of a slot is in the slot's region", () => {
  const type = rooms.type("world");
  if (type === undefined) throw new Error("no type");
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 999 }), fc.integer({ min: 1, max: 99 }), (slot, life) => {
      expect(regionOf("world:a", slot, life)).toBe(regionOfSlot(type, slot));
      expect(placeOfSlot(type, slot)).toEqual({ region: regionOfSlot(type, slot) });
    }),
  );
});

test("RE1 without a list, or in a room of no type, a shard has no region", () => {
  const type = rooms.type("here");
  expect(regionOf("here:a", 1)).toBeUndefined();
  expect(regionOf("nowhere:a", 1)).toBeUndefined();
  expect(type === undefined ? null : placeOfSlot(type, 1)).toEqual({});
});

test("RE3 for a host that places its objects itself the types are the same but for their regions", () => {
  const plain = rooms.withoutRegions();
  expect(plain.type("world")).toEqual({ ...rooms.type("world"), regions: [] });
  expect(plain.names()).toEqual(rooms.names());
  expect(plain.deployment).toBe(rooms.deployment);
});

test("RE1 a list may name every region there is", () => {
  const all = defineRooms({ world: { shards: regions.length, regions } });
  const found = regions.map((_, index) =>
    regionOfShard(all, shardId("world:a" as RoomId, index + 1)),
  );
  expect(found).toEqual(regions);
});
