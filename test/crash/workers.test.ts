/** The test app's Worker as wrangler bundles it, under plain workerd. */
import { join } from "node:path";
import { afterAll } from "vitest";
import { bundleWorker } from "../../bench/bundle.ts";
import { startServer } from "../../bench/server.ts";
import { describeCrashes } from "../contract/crash-contract.ts";
import { root } from "../support/partykit-dev.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const outDirectory = temporaryDirectory();

afterAll(() => outDirectory.remove());

describeCrashes("the Workers bundle", async () => {
  const configPath = join(root, "test/support/apps/workers/wrangler.jsonc");
  const bundle = await bundleWorker({ configPath, outDirectory: outDirectory.path });
  return (port, directory) => startServer({ bundle, directory, port, isInspected: false });
});
