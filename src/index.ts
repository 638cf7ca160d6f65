/** partyshard: what is the same on every host. */
export {
  leastConnections,
  powerOfTwo,
  random,
  roundRobin,
  type Candidate,
  type PlacementContext,
  type PlacementStrategy,
  type StrategyName,
} from "./core/placement.ts";
export { defineRooms, type Rooms, type RoomTypeOptions } from "./core/rooms.ts";
export { type BroadcastMessage } from "./shard/fan-out.ts";
