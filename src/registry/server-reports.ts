/**
 * What servers outside say of their rooms, passed on from the hub to the rooms' partitions, and what
 * these answer for the server. Knows nothing of leases.
 *
 * A report names all rooms of its server, or those that have changed. What a partition has not been
 * told yet waits, the newest of each room, so that none of it is skipped however slow it is.
 */
import type { Rooms } from "../core/rooms.ts";
import type { RequestTo } from "../protocol/calls.ts";
import type { RoomId } from "../protocol/names.ts";
import type { SnapshotOrder } from "../protocol/registry.ts";
import { nameOf, perPartition, type Hosting, type HostingOwner, type Tenant } from "./hosting.ts";
import { Lanes } from "./lanes.ts";
import type { NamedRooms } from "./named-rooms.ts";

export type HostedRoom = Extract<RequestTo<"registry">, { type: "hosted" }>["rooms"][number];
export type Report = {
  readonly asOf: number;
  /** Rooms that are not named are as they were; else nobody is there. */
  readonly isPartial: boolean;
  readonly rooms: readonly HostedRoom[];
};

/** The server that reports. */
export type Reporter = {
  readonly tenant: Tenant;
  readonly isOffline: boolean;
  readonly named: NamedRooms;
  /** Rooms that its partitions place elsewhere, and when they were asked. */
  readonly unwanted: Map<RoomId, number>;
  /** What it is to do with the state of its rooms. */
  readonly orders: Map<RoomId, readonly SnapshotOrder[]>;
};

/** For one partition. Of several reports it was true at the earliest, as the server knew the time. */
type Untold = { asOf: number; readonly rooms: Map<RoomId, HostedRoom> };

export class ServerReports {
  readonly #rooms: Rooms;
  readonly #owner: HostingOwner;
  readonly #hosting: Hosting;
  readonly #telling = new Lanes();
  /** By lane. */
  readonly #untold = new Map<string, Untold>();

  constructor(rooms: Rooms, owner: HostingOwner, hosting: Hosting) {
    this.#rooms = rooms;
    this.#owner = owner;
    this.#hosting = hosting;
  }

  /**
   * Tells the partitions what a server says of its rooms, and when it names all, of those of its rooms
   * that it does not speak of that nobody is there; each partition once it has answered what it was
   * told before. Resolves when all have answered.
   */
  async report(from: Reporter, { asOf, isPartial, rooms: said }: Report): Promise<void> {
    const { tenant, named } = from;
    const rooms = new Map(said.map((each) => [each.room, each]));
    if (!isPartial) {
      named.replace();
      for (const room of this.#hosting.roomsOf(tenant)) {
        if (!rooms.has(room)) rooms.set(room, { room, players: [], seats: [] });
      }
    }
    for (const { room, players } of said) named.set(room, players.length);
    const partitions = new Set<string>();
    for (const [room, each] of rooms) {
      const partition = this.#rooms.partitionOf(room);
      partitions.add(partition);
      const untold = this.#untoldOf(tenant, partition, asOf);
      untold.asOf = Math.min(untold.asOf, asOf);
      untold.rooms.set(room, each);
    }
    const told = [...partitions].map((partition) =>
      this.#telling.run(laneOf(tenant, partition), () => this.#tell(from, partition)),
    );
    await Promise.all(told);
  }

  /** Which of the rooms that it has the server should close; it is told once. */
  takeUnwanted({ tenant, named, unwanted }: Reporter): RoomId[] {
    const rooms = [...unwanted].flatMap(([room, askedAt]) => {
      // It may have been given the room since.
      const isNews = this.#hosting.isAssignedSince(room, tenant, askedAt);
      return named.has(room) && !isNews ? [room] : [];
    });
    unwanted.clear();
    return rooms;
  }

  #untoldOf(tenant: Tenant, partition: string, asOf: number): Untold {
    const lane = laneOf(tenant, partition);
    const known = this.#untold.get(lane);
    if (known !== undefined) return known;
    const untold = { asOf, rooms: new Map<RoomId, HostedRoom>() };
    this.#untold.set(lane, untold);
    return untold;
  }

  async #tell(from: Reporter, partition: string): Promise<void> {
    const lane = laneOf(from.tenant, partition);
    const untold = this.#untold.get(lane);
    this.#untold.delete(lane);
    // Its rooms may be on a newer start of the same server meanwhile.
    if (untold === undefined || from.isOffline) return;
    const calls = perPartition(this.#rooms, untold.rooms.keys()).map(([, names]) => {
      const rooms = names.flatMap((room) => untold.rooms.get(room) ?? []);
      return this.#call(from, partition, untold.asOf, rooms);
    });
    await Promise.all(calls);
  }

  /** What is lost on the way is in the next report that names all rooms. */
  async #call(
    { tenant, unwanted, orders }: Reporter,
    partition: string,
    asOf: number,
    rooms: HostedRoom[],
  ): Promise<void> {
    const startedAt = this.#owner.clock.now();
    const request = { type: "hosted" as const, ...tenant, asOf, rooms };
    const reply = await this.#owner.toPartition(partition, request);
    if (!reply.ok) return;
    const unknown = new Set(reply.value.unknown);
    const said = rooms.map(({ room }) => room);
    this.#hosting.correct(tenant, said, unknown, startedAt);
    for (const room of said) {
      orders.delete(room);
      if (unknown.has(room)) unwanted.set(room, startedAt);
      else unwanted.delete(room);
    }
    for (const order of reply.value.orders ?? []) {
      orders.set(order.roomId, [...(orders.get(order.roomId) ?? []), order]);
    }
  }
}

/** Neither holds a space. */
function laneOf(tenant: Tenant, partition: string): string {
  return `${nameOf(tenant)} ${partition}`;
}
