/** What a world of the registry is made of. Knows nothing of what happens in it. */
import { defineRooms, type Rooms } from "../../../src/core/rooms.ts";
import type { WorldOptions } from "../environment.ts";

export type RegistryOptions = WorldOptions & {
  /** The registry's partitions at first. */
  readonly partitions: number;
  /** Players of a room of type `small`. */
  readonly maxPlayers: number;
  /** How long a seat is held, and kept for a player whose connection dropped. */
  readonly seatTtlMs: number;
  /** By how much the clock of a partition's life may be off, ms. */
  readonly clockSkewMs: number;
};

/** Sockets that a shard of a room of type `large` takes. */
const largeCapacity = 4;

export function roomsOf(options: RegistryOptions, partitions: number): Rooms {
  const { maxPlayers, seatTtlMs } = options;
  return defineRooms(
    {
      small: { maxPlayers, seatTtlMs, hostedBy: "shards" },
      large: { shards: 2, capacity: largeCapacity, seatTtlMs, hostedBy: "shards" },
      hosted: { maxPlayers, seatTtlMs, hostedBy: "servers" },
    },
    { partitions },
  );
}
