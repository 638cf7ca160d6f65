/** Which server outside takes a new room, by the strategy of its type. Knows nothing of leases. */
import type { Candidate, PlacementContext } from "../core/placement.ts";
import type { Entropy } from "../core/ports.ts";
import type { RoomType } from "../core/rooms.ts";
import { failure, success, type Result } from "../protocol/result.ts";
import { isSameTenant, type Hosting, type Tenant } from "./hosting.ts";
import type { OutsideServer } from "./outside-server.ts";

type Asked = Pick<PlacementContext, "key" | "region" | "local">;

export class ServerChoice {
  readonly #entropy: Entropy;
  readonly #hosting: Hosting;
  /** Rooms given out so far, by type. */
  readonly #placed = new Map<string, number>();

  constructor(entropy: Entropy, hosting: Hosting) {
    this.#entropy = entropy;
    this.#hosting = hosting;
  }

  /** `null` for shards: no server offers the type. */
  choose(
    type: RoomType,
    servers: Iterable<OutsideServer>,
    asked: Asked,
    leaving?: Tenant,
  ): Result<OutsideServer | null, "no-server"> {
    const offering =
      type.hostedBy === "shards"
        ? []
        : [...servers].filter((server) => !server.isOffline && server.offers(type.name));
    if (offering.length === 0 && type.hostedBy !== "servers") return success(null);
    const others = offering.filter(
      ({ tenant }) => leaving === undefined || !isSameTenant(tenant, leaving),
    );
    const [first, ...more] = others.flatMap((server) => this.#candidate(server) ?? []);
    if (first === undefined) {
      return failure("no-server", `no server takes a room of type "${type.name}" at the moment`);
    }
    const placed = this.#placed.get(type.name) ?? 0;
    const random = (): number => this.#entropy.random();
    const context = { random, placed, ...asked };
    return success(type.placement([first, ...more], context).server);
  }

  /** A room of the type was given out. */
  placed({ name }: RoomType): void {
    this.#placed.set(name, (this.#placed.get(name) ?? 0) + 1);
  }

  #candidate(server: OutsideServer): (Candidate & { readonly server: OutsideServer }) | null {
    const { serverId: id, capacity, region } = server.registration;
    const rooms = this.#hosting.roomCount(server.tenant);
    if (server.isDraining || rooms >= capacity) return null;
    const load = { connections: server.playerCount, rooms, capacity };
    return { id, ...load, ...(region === undefined ? {} : { region }), server };
  }
}
