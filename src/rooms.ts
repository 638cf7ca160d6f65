/** This deployment's room types: the first file to edit. `game:k3x9` is a room of type `game`. */
import { defineRooms } from "./index.ts";

export const rooms = defineRooms({
  default: { shards: { min: 1, max: 32 }, capacity: 1_000 },
  wide: { shards: 10 },
  game: { maxPlayers: 4 },
});
