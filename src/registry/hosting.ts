/**
 * Which room is on which server outside, as the hub gave them out, and telling the rooms' partitions
 * when servers are gone. Owns the rows `assigned/ROOM`; knows nothing of leases.
 *
 * The partition decides where its room is. Where the hub differs, because a call was lost, a report
 * of the server sets it right.
 */
import * as v from "valibot";
import type { Clock, Storage } from "../core/ports.ts";
import type { Rooms } from "../core/rooms.ts";
import type { ReplyTo, RequestTo } from "../protocol/calls.ts";
import { isRoomId, type RoomId } from "../protocol/names.ts";
import type { Result } from "../protocol/result.ts";

const rowPrefix = "assigned/";
/** Rooms that one call to a partition names at most. */
const roomsPerCall = 1_000;
const retryMs = 2_000;
/** A call that gave out a room has had its effect by then, or never will. */
const settledMs = 60_000;

export type HostingOwner = {
  readonly clock: Clock;
  readonly storage: Storage;
  readonly wakeAt: (at: number) => void;
  /** Calls a partition, which may be this object itself. */
  readonly toPartition: <Request extends RequestTo<"registry">>(
    partition: string,
    request: Request,
  ) => Promise<Result<ReplyTo<"registry", Request>>>;
};

/** One start of a server: another one has none of its rooms. */
export type Tenant = { readonly server: string; readonly instance: string };
type Assignment = Tenant & { readonly at: number };
const rowSchema = v.object({ server: v.string(), instance: v.string() });

export class Hosting {
  readonly #rooms: Rooms;
  readonly #owner: HostingOwner;
  readonly #assignments = new Map<RoomId, Assignment>();
  readonly #tenancies = new Map<string, Set<RoomId>>();
  /** Rooms of servers that are gone, whose partitions have not been told yet. */
  readonly #gone = new Set<RoomId>();
  #isTelling = false;
  #nextAt: number | null = null;

  private constructor(rooms: Rooms, owner: HostingOwner) {
    this.#rooms = rooms;
    this.#owner = owner;
  }

  /** Rooms of tenants that do not live are gone. */
  static async start(
    rooms: Rooms,
    owner: HostingOwner,
    lives: (tenant: Tenant) => boolean,
  ): Promise<Hosting> {
    const hosting = new Hosting(rooms, owner);
    for (const [key, value] of await owner.storage.list(rowPrefix)) {
      const room = key.slice(rowPrefix.length);
      const row = v.safeParse(rowSchema, value);
      if (!isRoomId(room) || !row.success) continue;
      hosting.#enter(room, row.output);
      if (!lives(row.output)) hosting.#gone.add(room);
    }
    if (hosting.#gone.size > 0) hosting.#retryAt(owner.clock.now());
    return hosting;
  }

  /** Who has the room, unless that server is gone or the room leaves it. */
  tenantOf(room: RoomId, leaving: Tenant | null = null): Tenant | null {
    const tenant = this.#gone.has(room) ? undefined : this.#assignments.get(room);
    if (tenant === undefined) return null;
    return leaving !== null && isSameTenant(tenant, leaving) ? null : tenant;
  }

  roomCount(tenant: Tenant): number {
    return this.#tenancies.get(nameOf(tenant))?.size ?? 0;
  }

  assign(room: RoomId, tenant: Tenant): void {
    const { server, instance } = tenant;
    this.#leave(room);
    this.#enter(room, tenant);
    this.#owner.storage.put({ [rowPrefix + room]: { server, instance } });
  }

  /** Its partition was told once more where the room is: one that gave it up did not know. */
  renew(room: RoomId): void {
    const assignment = this.#assignments.get(room);
    if (assignment === undefined) return;
    this.#assignments.set(room, { ...assignment, at: this.#owner.clock.now() });
  }

  /** The room was given up at that time; one that was given out since stays. */
  vacate(room: RoomId, server: string, decidedAt: number): void {
    const assignment = this.#assignments.get(room);
    if (assignment?.server === server && assignment.at <= decidedAt) this.#forget([room]);
  }

  roomsOf(tenant: Tenant): Iterable<RoomId> {
    return this.#tenancies.get(nameOf(tenant)) ?? [];
  }

  /** Whether the tenant was given the room after that time. */
  isAssignedSince(room: RoomId, tenant: Tenant, at: number): boolean {
    const assignment = this.#assignments.get(room);
    return assignment !== undefined && isSameTenant(assignment, tenant) && assignment.at > at;
  }

  /** Makes the hub's rooms of a tenant those that their partition places there. */
  correct(
    tenant: Tenant,
    said: Iterable<RoomId>,
    unknown: ReadonlySet<RoomId>,
    startedAt: number,
  ): void {
    for (const room of said) {
      const assignment = this.#assignments.get(room);
      const isHere = assignment !== undefined && isSameTenant(assignment, tenant);
      if (!unknown.has(room)) {
        // Where it was given out while the call was under way, that is newer.
        if (assignment === undefined || this.#gone.has(room)) this.assign(room, tenant);
      } else if (isHere && assignment.at <= startedAt - settledMs) {
        this.#forget([room]);
      }
    }
  }

  /** The tenant is gone: the partitions of its rooms are told until all know. */
  async gone(tenant: Tenant): Promise<void> {
    for (const room of this.#tenancies.get(nameOf(tenant)) ?? []) this.#gone.add(room);
    await this.#tellGone();
  }

  nextDeadline(): number | null {
    return this.#nextAt;
  }

  wake(now: number): void {
    if (this.#nextAt === null || this.#nextAt > now) return;
    this.#nextAt = null;
    void this.#tellGone();
  }

  async #tellGone(): Promise<void> {
    if (this.#isTelling) return;
    this.#isTelling = true;
    try {
      let hasProgress = true;
      while (this.#gone.size > 0 && hasProgress) {
        const told = await Promise.all(this.#goneCalls());
        hasProgress = told.includes(true);
      }
    } finally {
      this.#isTelling = false;
      if (this.#gone.size > 0) this.#retryAt(this.#owner.clock.now() + retryMs);
    }
  }

  #goneCalls(): Promise<boolean>[] {
    const byTenant = new Map<string, { readonly tenant: Tenant; readonly rooms: RoomId[] }>();
    for (const room of this.#gone) {
      const tenant = this.#assignments.get(room);
      if (tenant === undefined) continue;
      const known = byTenant.get(nameOf(tenant));
      if (known === undefined) byTenant.set(nameOf(tenant), { tenant, rooms: [room] });
      else known.rooms.push(room);
    }
    return [...byTenant.values()].flatMap(({ tenant, rooms }) =>
      perPartition(this.#rooms, rooms).map(([partition, some]) =>
        this.#tell(tenant, partition, some),
      ),
    );
  }

  async #tell({ server, instance }: Tenant, partition: string, rooms: RoomId[]): Promise<boolean> {
    const before = new Map(rooms.map((room) => [room, this.#assignments.get(room)]));
    const request = { type: "gone" as const, server, instance, rooms };
    const reply = await this.#owner.toPartition(partition, request);
    if (!reply.ok) return false;
    // A room that was given to another server meanwhile is there.
    this.#forget(rooms.filter((room) => this.#assignments.get(room) === before.get(room)));
    return true;
  }

  #enter(room: RoomId, { server, instance }: Tenant): void {
    const assignment = { server, instance, at: this.#owner.clock.now() };
    this.#assignments.set(room, assignment);
    const rooms = this.#tenancies.get(nameOf(assignment));
    if (rooms === undefined) this.#tenancies.set(nameOf(assignment), new Set([room]));
    else rooms.add(room);
  }

  #leave(room: RoomId): void {
    const assignment = this.#assignments.get(room);
    if (assignment === undefined) return;
    const name = nameOf(assignment);
    const rooms = this.#tenancies.get(name);
    rooms?.delete(room);
    if (rooms?.size === 0) this.#tenancies.delete(name);
    this.#assignments.delete(room);
    this.#gone.delete(room);
  }

  #forget(rooms: readonly RoomId[]): void {
    for (const room of rooms) this.#leave(room);
    this.#owner.storage.delete(rooms.map((room) => rowPrefix + room));
  }

  #retryAt(at: number): void {
    this.#nextAt = at;
    this.#owner.wakeAt(at);
  }
}

/** Rooms by partition, in portions that one call may name. */
export function perPartition(
  rooms: Rooms,
  ids: Iterable<RoomId>,
): [partition: string, ids: RoomId[]][] {
  const slices: [string, RoomId[]][] = [];
  const open = new Map<string, RoomId[]>();
  for (const room of ids) {
    const partition = rooms.partitionOf(room);
    let slice = open.get(partition);
    if (slice === undefined || slice.length === roomsPerCall) {
      slice = [];
      open.set(partition, slice);
      slices.push([partition, slice]);
    }
    slice.push(room);
  }
  return slices;
}

/** Ids hold no spaces. */
export function nameOf({ server, instance }: Tenant): string {
  return `${server} ${instance}`;
}

export function isSameTenant(one: Tenant, other: Tenant): boolean {
  return one.server === other.server && one.instance === other.instance;
}
