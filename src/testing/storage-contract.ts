/**
 * The contract of the Storage port (src/core/ports.ts) as checks that run in any test framework, or
 * in none: each throws when the storage does not keep it. Knows nothing of what rows mean.
 */
import type { Storage } from "../core/ports.ts";
import { expectSame, expectTrue } from "./expectations.ts";

/** One object with no rows yet. */
export type StorageUnderTest = {
  /** One event of the object, given the storage of its present life. */
  readonly run: <Value>(use: (storage: Storage) => Value | Promise<Value>) => Promise<Value>;
  /** Ends the object's life as a crash would; the next event is one of a new life. */
  readonly crash: () => Promise<void>;
};

export type MakeStorage = () => StorageUnderTest | Promise<StorageUnderTest>;

export type StorageCheck = {
  readonly name: string;
  /** Rejects, with a sentence that says what is wrong, when the contract is broken. */
  readonly check: (makeStorage: MakeStorage) => Promise<void>;
};

/** More rows than one call of any known platform takes. */
const manyRows = 1_000;

const reading: readonly StorageCheck[] = [
  {
    name: "a new object has no rows",
    check: async (makeStorage) => {
      const object = await makeStorage();
      expectSame(await entries(object), [], "rows");
    },
  },
  {
    name: "rows that were put are listed in the same event, before they are durable",
    check: async (makeStorage) => {
      const object = await makeStorage();
      const rows = await object.run(async (storage) => {
        storage.put({ a: 1, b: { text: "two", list: [null, true] } });
        return [...(await storage.list(""))];
      });
      const expected = [
        ["a", 1],
        ["b", { text: "two", list: [null, true] }],
      ];
      expectSame(rows, expected, "rows");
    },
  },
  {
    name: "two objects have nothing in common",
    check: async (makeStorage) => {
      const [one, other] = [await makeStorage(), await makeStorage()];
      await one.run(async (storage) => {
        storage.put({ a: 1 });
        await storage.sync();
      });
      expectSame(await entries(other), [], "the other object's rows");
    },
  },
  {
    name: "a list is of one prefix, in ascending order of keys",
    check: async (makeStorage) => {
      const object = await makeStorage();
      const keys = await object.run(async (storage) => {
        storage.put({ "log/2": 0, "log/10": 0, log: 0, "log/1": 0, lot: 0, "log/1/1": 0 });
        storage.put({ "LOG/1": 0, "log/~": 0, "log/A": 0, "log/a": 0 });
        return [...(await storage.list("log/")).keys()];
      });
      const expected = ["log/1", "log/1/1", "log/10", "log/2", "log/A", "log/a", "log/~"];
      expectSame(keys, expected, "keys");
    },
  },
  {
    name: "a row is a copy: of what was put, and for whoever lists it",
    check: async (makeStorage) => {
      const object = await makeStorage();
      const rows = await object.run(async (storage) => {
        const value = { list: [1] };
        storage.put({ a: value });
        value.list.push(2);
        const listed = await storage.list("");
        const row = listed.get("a");
        if (isList(row)) row.list.push(3);
        listed.clear();
        return [...(await storage.list(""))];
      });
      expectSame(rows, [["a", { list: [1] }]], "rows");
    },
  },
];

const writing: readonly StorageCheck[] = [
  {
    name: "a row that is put again has its last value",
    check: async (makeStorage) => {
      const object = await makeStorage();
      await object.run((storage) => {
        storage.put({ a: 1, b: 1 });
        storage.put({ a: 2 });
      });
      const expected = [
        ["a", 2],
        ["b", 1],
      ];
      expectSame(await entries(object), expected, "rows");
    },
  },
  {
    name: "writes take effect in the order in which they were made",
    check: async (makeStorage) => {
      const object = await makeStorage();
      await object.run(async (storage) => {
        storage.put({ a: 1, b: 1 });
        storage.delete(["a", "b"]);
        storage.put({ b: 2 });
        await storage.sync();
      });
      expectSame(await entries(object), [["b", 2]], "rows");
    },
  },
  {
    name: "a row that is not there can be deleted, and a deletion of nothing made",
    check: async (makeStorage) => {
      const object = await makeStorage();
      await object.run((storage) => {
        storage.put({ a: 1 });
        storage.delete(["nothing"]);
        storage.delete([]);
        storage.put({});
      });
      expectSame(await entries(object), [["a", 1]], "rows");
    },
  },
  {
    name: "one write may hold many rows, and one deletion",
    check: async (makeStorage) => {
      const object = await makeStorage();
      const many = Object.fromEntries(
        Array.from({ length: manyRows }, (_, index) => [`row/${index}`, index]),
      );
      await object.run(async (storage) => {
        storage.put(many);
        await storage.sync();
      });
      expectSame((await entries(object)).length, manyRows, "number of rows");
      await object.run(async (storage) => {
        storage.delete(Object.keys(many).slice(1));
        await storage.sync();
      });
      expectSame(await entries(object), [["row/0", 0]], "rows");
    },
  },
  {
    name: "a text of the largest size is kept, whatever its characters",
    check: async (makeStorage) => {
      const object = await makeStorage();
      for (const character of ["a", "ÿ", "語", "\u{1f600}".slice(0, 1)]) {
        const isKept = await object.run(async (storage) => {
          const text = character.repeat(storage.maxTextUnits);
          storage.put({ a: { after: 1, through: 2, at: 1e13, parts: 0, text } });
          await storage.sync();
          const row = (await storage.list("")).get("a");
          return typeof row === "object" && row !== null && "text" in row && row.text === text;
        });
        expectTrue(isKept, `a text of "${character}" did not come back as it was put`);
      }
    },
  },
];

const crashing: readonly StorageCheck[] = [
  {
    name: "rows are there in a later event, after `sync`",
    check: async (makeStorage) => {
      const object = await makeStorage();
      await object.run(async (storage) => {
        storage.put({ a: "one" });
        await storage.sync();
      });
      expectSame(await entries(object), [["a", "one"]], "rows");
    },
  },
  {
    name: "what was made durable outlives a crash, deletions too",
    check: async (makeStorage) => {
      const object = await makeStorage();
      await object.run(async (storage) => {
        storage.put({ a: 1, b: 1 });
        await storage.sync();
        storage.delete(["a"]);
        await storage.sync();
      });
      await object.crash();
      expectSame(await entries(object), [["b", 1]], "rows after the crash");
    },
  },
  {
    name: "writes made without an `await` between them outlive a crash together or not at all",
    check: async (makeStorage) => {
      const object = await makeStorage();
      const many = Array.from({ length: manyRows }, (_, index) => `row/${index}`);
      await object.run(async (storage) => {
        storage.put({ before: 1 });
        await storage.sync();
      });
      // The crash comes at once: the event did not wait for its writes.
      await object.run((storage) => {
        storage.delete(["before"]);
        for (const key of many) storage.put({ [key]: 1 });
      });
      await object.crash();
      const keys = (await entries(object)).map(([key]) => key);
      const landed = [["before"], many.toSorted()].map((rows) => JSON.stringify(rows));
      expectTrue(
        landed.includes(JSON.stringify(keys)),
        `after the crash there are ${keys.length} rows: neither those before the writes nor those after`,
      );
    },
  },
];

/** The whole contract. Run each check with a way to make storages, for instance in a `test` of its own. */
export const storageContract: readonly StorageCheck[] = [...reading, ...writing, ...crashing];

function entries(object: StorageUnderTest): Promise<[string, unknown][]> {
  return object.run(async (storage) => [...(await storage.list(""))]);
}

function isList(value: unknown): value is { list: unknown[] } {
  return (
    typeof value === "object" && value !== null && "list" in value && Array.isArray(value.list)
  );
}
