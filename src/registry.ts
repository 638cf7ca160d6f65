/** The `registry` party: which rooms there are, and how loaded their shards. */
import { registry } from "./host/partykit/index.ts";
import { rooms } from "./rooms.ts";

export default registry(rooms);
