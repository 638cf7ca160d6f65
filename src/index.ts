/** partyshard: what is the same on every host. */
export {
  fillFirst,
  leastConnections,
  leastRooms,
  nearest,
  powerOfTwo,
  preferLocal,
  random,
  roundRobin,
  sticky,
  weighted,
  type Candidate,
  type PlacementContext,
  type PlacementStrategy,
  type StrategyName,
} from "./core/placement.ts";
export {
  defineRooms,
  type DeploymentOptions,
  type Rooms,
  type RoomTypeOptions,
} from "./core/rooms.ts";
export { type Region } from "./protocol/registry.ts";
export { type BroadcastMessage } from "./shard/fan-out.ts";
