/** Clients that their shard sends elsewhere, under a real `wrangler dev`. */
import { afterAll, beforeAll } from "vitest";
import { describeMovedClients } from "../contract/moved-clients-contract.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { startWranglerDev, type WranglerDev } from "../support/wrangler-dev.ts";

const adminToken = "test-admin-token";
const storage = temporaryDirectory();
let server: WranglerDev | undefined;

beforeAll(async () => {
  const variables = { PARTYSHARD_ADMIN_TOKEN: adminToken };
  server = await startWranglerDev(["wrangler.jsonc"], storage.path, variables);
});

afterAll(async () => {
  await server?.stop();
  storage.remove();
});

describeMovedClients("Workers", () => {
  if (server === undefined) throw new Error("the server has not started");
  return { port: server.port, adminToken };
});
