/** The test app under `partykit dev`. */
import { describeCrashes } from "../contract/crash-contract.ts";
import { startPartykitDev } from "../support/partykit-dev.ts";

describeCrashes("partykit dev", async () => {
  const config = "test/support/apps/partykit/partykit.json";
  return (port, persist) => startPartykitDev({ config, persist, port });
});
