/** The shipped app and the test app, each under a `partykit dev` of its own. */
import { afterAll, beforeAll, describe } from "vitest";
import { describePlayers } from "../contract/class-publishing-contract.ts";
import { describeMovedClients } from "../contract/moved-clients-contract.ts";
import { describeRoomClasses, describeRooms } from "../contract/rooms-contract.ts";
import { describeState } from "../contract/state-contract.ts";
import { describeStateFailures } from "../contract/state-failures-contract.ts";
import { startPartykitDev, type PartykitDev } from "../support/partykit-dev.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { partykitHost } from "./partykit-host.ts";

const adminToken = "test-admin-token";

describe("the shipped app", () => {
  const port = serve("partykit.json", {
    PARTYSHARD_ADMIN_TOKEN: adminToken,
    PARTYSHARD_SECRET: "a-test-secret-of-thirty-two-bytes-or-more",
  });
  describeRooms(partykitHost("the shipped app on PartyKit", adminToken, port));
  describeMovedClients("PartyKit", () => ({ port: port(), adminToken }));
});

describe("the test app", () => {
  const port = serve("test/support/apps/partykit/partykit.json", {
    PARTYSHARD_SECRET: "another-test-secret-of-thirty-two-bytes",
  });
  const host = partykitHost("the test app on PartyKit", undefined, port);
  describeRooms(host);
  describeRoomClasses(host);
});

describe("the test app with a token", () => {
  const config = "test/support/apps/partykit/partykit.json";
  const port = serve(config, {
    PARTYSHARD_ADMIN_TOKEN: adminToken,
    PARTYSHARD_SECRET: "another-test-secret-of-thirty-two-bytes",
  });
  const host = partykitHost("PartyKit", adminToken, port);
  describeState(host);
  describeStateFailures(host);
  describePlayers(host);
});

/** Serves an app while the tests of a block run. */
function serve(config: string, variables: Readonly<Record<string, string>> = {}): () => number {
  let server: PartykitDev | undefined;
  const persist = temporaryDirectory();

  beforeAll(async () => {
    server = await startPartykitDev({ config, persist: persist.path, variables });
  });

  afterAll(async () => {
    await server?.stop();
    persist.remove();
  });

  return () => {
    if (server === undefined) throw new Error("the server has not started");
    return server.port;
  };
}
