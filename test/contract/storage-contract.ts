/** The contract of the Storage port, as tests of this repository. */
import { describe, expect, test } from "vitest";
import { storageContract, type MakeStorage } from "../../src/testing/index.ts";

export function describeStorage(makeStorage: MakeStorage) {
  describe("the Storage port", () => {
    for (const { name, check } of storageContract) {
      test(`GS1 ${name}`, async () => {
        await expect(check(makeStorage)).resolves.toBeUndefined();
      });
    }
  });
}
