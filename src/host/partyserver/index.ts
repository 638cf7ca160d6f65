/** partyshard on Cloudflare Workers: Durable Objects, partyserver room classes, wrangler. */
export { type Bindings } from "./ports.ts";
export { registry } from "./registry.ts";
export { routeRooms, router } from "./router.ts";
export { shard } from "./shard.ts";
export { type BroadcastMessage } from "../../shard/fan-out.ts";
export { playerOf, publish, roomOf } from "../room-handle.ts";
export {
  type RoomPublished,
  type RoomPublishOptions,
  type RoomPublishResult,
} from "../../shard/room-publisher.ts";
