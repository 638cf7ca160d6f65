import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { createStorage } from "../../src/host/partyserver/ports.ts";
import { describeStorage } from "../contract/storage-contract.ts";
import { kill } from "./objects.ts";

let objects = 0;

describeStorage(() => {
  objects += 1;
  const name = `storage-${objects}`;
  // A stub is broken once its object has been reset.
  const stub = () => env.Registry.getByName(name);
  return {
    run: (use) => runInDurableObject(stub(), (_, state) => use(createStorage(state.storage))),
    crash: () => kill(stub()),
  };
});
