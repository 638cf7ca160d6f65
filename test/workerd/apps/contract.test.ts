/** The test app's Worker, which runs without an admin token. */
import { describeRoomClasses, describeRooms } from "../../contract/rooms-contract.ts";
import { workersHost } from "../workers-host.ts";

const host = workersHost("the test app on Workers", undefined);
describeRooms(host);
describeRoomClasses(host);
