import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { createStorage } from "../../src/host/partyserver/ports.ts";
import { describeStorage } from "../contract/storage-contract.ts";

let objects = 0;

describeStorage(() => {
  objects += 1;
  const stub = env.Registry.getByName(`storage-${objects}`);
  return {
    run: (use) => runInDurableObject(stub, (_, state) => use(createStorage(state.storage))),
  };
});
