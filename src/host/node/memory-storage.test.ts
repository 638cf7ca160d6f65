/** Storage in memory keeps the port's contract. */
import { expect, test } from "vitest";
import { describeStorage } from "../../../test/contract/storage-contract.ts";
import { MemoryStorage } from "./memory-storage.ts";

describeStorage(() => {
  let storage = new MemoryStorage();
  return {
    run: async (use) => use(storage),
    crash: async () => {
      storage = storage.reopen();
    },
  };
});

test("GS1 a former life of storage in memory changes nothing any more", async () => {
  const former = new MemoryStorage();
  former.put({ a: 1 });
  const storage = former.reopen();
  former.put({ a: 2, b: 2 });
  former.delete(["a"]);
  expect(await storage.list("")).toEqual(new Map([["a", 1]]));
  expect(await former.list("")).toEqual(new Map());
});

test("GS1 storage in memory takes all rows of a write, or none", async () => {
  const storage = new MemoryStorage();
  expect(() => storage.put({ a: 1, b: () => 2 })).toThrow("could not be cloned");
  expect(await storage.list("")).toEqual(new Map());
});
