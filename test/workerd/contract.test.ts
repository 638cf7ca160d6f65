/** The shipped Worker. */
import { describeRooms } from "../contract/rooms-contract.ts";
import { workersHost } from "./workers-host.ts";

describeRooms(workersHost("the shipped app on Workers", "test-admin-token"));
