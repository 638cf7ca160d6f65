/** The `registry` party of the test app. */
import { registry } from "../../../../src/host/partykit/index.ts";
import { rooms } from "../rooms.ts";

export default registry(rooms);
