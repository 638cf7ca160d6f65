/** The fakes that other tests stand on keep the ports' contracts. */
import { describeStorage } from "../../test/contract/storage-contract.ts";
import { FakeStorage } from "../../test/support/fake-storage.ts";

describeStorage(() => {
  let storage = new FakeStorage();
  return {
    run: async (use) => use(storage),
    crash: async () => {
      storage = storage.restart();
    },
  };
});
