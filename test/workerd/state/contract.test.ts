/** The test app's Worker with an admin token. */
import { describePlayers } from "../../contract/class-publishing-contract.ts";
import { describeState } from "../../contract/state-contract.ts";
import { workersHost } from "../workers-host.ts";

const host = workersHost("Workers", "test-admin-token");
describeState(host);
describePlayers(host);
