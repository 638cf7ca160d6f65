/** partyshard on Node: the registry's client, game servers outside, and a registry in one process. */
export * from "../../../client/registry-client.ts";
export { MemoryStorage } from "./memory-storage.ts";
export { RegistryClient } from "./registry-client.ts";
export { GameServer } from "./game-server.ts";
export type { Created, Joined } from "./joining.ts";
export type { GameServerOptions } from "./game-server-options.ts";
export type { GameRoom, Player, RoomFactory, RoomHandlers } from "./game-room.ts";
export {
  createLocalRegistry,
  type LocalRegistry,
  type LocalRegistryOptions,
} from "./local-registry.ts";
