/** partyshard on PartyKit: the three parties of partykit.json. */
export { registry } from "./registry.ts";
export { router } from "./router.ts";
export { shard } from "./shard.ts";
export { type BroadcastMessage } from "../../shard/fan-out.ts";
export { playerOf, publish, roomOf } from "../room-handle.ts";
export {
  type RoomPublished,
  type RoomPublishOptions,
  type RoomPublishResult,
} from "../../shard/room-publisher.ts";
