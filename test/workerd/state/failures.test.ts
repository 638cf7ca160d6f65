/** The test app's Worker with an admin token, whose room class fails, hoards, or is replaced. */
import { describeStateFailures } from "../../contract/state-failures-contract.ts";
import { workersHost } from "../workers-host.ts";

describeStateFailures(workersHost("Workers", "test-admin-token"));
