/** The `router` party: clients connect here, and a POST here reaches every client of the room. */
import { router } from "./host/partykit/index.ts";
import { rooms } from "./rooms.ts";

export default router(rooms);
