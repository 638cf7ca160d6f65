/** The test app's Worker with an admin token. */
import { describeState } from "../../contract/state-contract.ts";
import { workersHost } from "../workers-host.ts";

describeState(workersHost("Workers", "test-admin-token"));
