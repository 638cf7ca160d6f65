/**
 * The contract of the Storage port (src/core/ports.ts), which the fake and every host's adapter
 * must keep. What a crash leaves is shown by the simulator and by the runtime's own tests.
 */
import { describe, expect, test } from "vitest";
import type { Storage } from "../../src/core/ports.ts";

/** One object with no rows yet. Each `run` is one event of that object. */
export type StorageUnderTest = {
  run<T>(use: (storage: Storage) => T | Promise<T>): Promise<T>;
};

export function describeStorage(makeStorage: () => StorageUnderTest | Promise<StorageUnderTest>) {
  const run = async <T>(use: (storage: Storage) => T | Promise<T>): Promise<T> =>
    (await makeStorage()).run(use);

  describe("the Storage port", () => {
    test("a new object has no rows", async () => {
      expect(await run((storage) => storage.list(""))).toEqual(new Map());
    });

    test("rows that were put are listed in the same event, before they are durable", async () => {
      const rows = await run((storage) => {
        storage.put({ a: 1, b: { text: "two", list: [null, true] } });
        return storage.list("");
      });
      expect([...rows]).toEqual([
        ["a", 1],
        ["b", { text: "two", list: [null, true] }],
      ]);
    });

    test("rows are there in a later event, after `sync`", async () => {
      const object = await makeStorage();
      await object.run(async (storage) => {
        storage.put({ a: "one" });
        await storage.sync();
      });
      expect(await object.run((storage) => storage.list(""))).toEqual(new Map([["a", "one"]]));
    });

    test("two objects have nothing in common", async () => {
      await run((storage) => storage.put({ a: 1 }));
      expect(await run((storage) => storage.list(""))).toEqual(new Map());
    });

    test("a list is of one prefix, in ascending order of keys", async () => {
      const keys = await run(async (storage) => {
        storage.put({ "log/2": 0, "log/10": 0, log: 0, "log/1": 0, lot: 0, "log/1/1": 0 });
        return [...(await storage.list("log/")).keys()];
      });
      expect(keys).toEqual(["log/1", "log/1/1", "log/10", "log/2"]);
    });

    test("a row that is put again has its last value", async () => {
      const rows = await run((storage) => {
        storage.put({ a: 1, b: 1 });
        storage.put({ a: 2 });
        return storage.list("");
      });
      expect(rows).toEqual(new Map(Object.entries({ a: 2, b: 1 })));
    });

    test("writes take effect in the order in which they were made", async () => {
      const rows = await run(async (storage) => {
        storage.put({ a: 1, b: 1 });
        storage.delete(["a", "b"]);
        storage.put({ b: 2 });
        await storage.sync();
        return storage.list("");
      });
      expect(rows).toEqual(new Map([["b", 2]]));
    });

    test("a row that is not there can be deleted", async () => {
      const rows = await run((storage) => {
        storage.put({ a: 1 });
        storage.delete(["nothing"]);
        return storage.list("");
      });
      expect(rows).toEqual(new Map([["a", 1]]));
    });

    test("a row is a copy: of what was put, and for whoever lists it", async () => {
      const rows = await run(async (storage) => {
        const value = { list: [1] };
        storage.put({ a: value });
        value.list.push(2);
        (await storage.list("")).clear();
        return storage.list("");
      });
      expect(rows).toEqual(new Map([["a", { list: [1] }]]));
    });

    test("one write may hold many rows, and one deletion", async () => {
      const many = Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [index, index]));
      const [before, after] = await run(async (storage) => {
        storage.put(many);
        await storage.sync();
        const all = await storage.list("");
        storage.delete(Object.keys(many).slice(1));
        await storage.sync();
        return [all.size, (await storage.list("")).size];
      });
      expect([before, after]).toEqual([1_000, 1]);
    });

    test("a text of the largest size is kept, whatever its characters", async () => {
      for (const character of ["a", "ÿ", "語", "\u{1f600}".slice(0, 1)]) {
        const [text, kept] = await run(async (storage) => {
          const long = character.repeat(storage.maxTextUnits);
          storage.put({ a: { after: 1, through: 2, at: 1e13, parts: 0, text: long } });
          await storage.sync();
          return [long, (await storage.list("")).get("a")];
        });
        expect(kept).toHaveProperty("text", text);
      }
    });
  });
}
