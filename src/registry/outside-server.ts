/** One server outside: what it registered, its lease, and what it last said. Knows no other servers. */
import * as v from "valibot";
import type { Rooms, RoomType } from "../core/rooms.ts";
import type { RoomId } from "../protocol/names.ts";
import {
  parseBody,
  type BodyOf,
  type HeartbeatAnswer,
  type ServerRegistration,
  type SnapshotOrder,
  type ServerStatus,
} from "../protocol/registry.ts";
import type { Tenant } from "./hosting.ts";
import { NamedRooms } from "./named-rooms.ts";
import { roomUrl, serverUrl } from "./server-address.ts";

type Registration = BodyOf<"registerServer">;

/** A server that is offline stays listed for so long. */
const offlineMemoryMs = 3_600_000;
/** For a server all of whose types are no longer declared. */
const defaultTiming = { leaseMs: 15_000, heartbeatIntervalMs: 5_000 };

const rowSchema = v.object({
  registration: v.unknown(),
  isDraining: v.boolean(),
  offlineSince: v.nullable(v.number()),
});

export class OutsideServer {
  readonly registration: Registration;
  readonly #types: readonly RoomType[];
  isDraining = false;
  offlineSince: number | null = null;
  lastHeartbeat: number;
  /** The registry's time that the newest report was true at. */
  asOf = 0;
  readonly named = new NamedRooms();
  /** Rooms that it has not been told yet to close, and when their partition was asked. */
  readonly unwanted = new Map<RoomId, number>();
  /** What it is to do with the state of its rooms, until they say that it is done. */
  readonly orders = new Map<RoomId, readonly SnapshotOrder[]>();

  constructor(rooms: Rooms, registration: Registration, now: number) {
    this.registration = registration;
    this.#types = registration.roomTypes.flatMap((name) => rooms.type(name) ?? []);
    this.lastHeartbeat = now;
  }

  /** From a row of a former life; the lease begins anew. */
  static restore(rooms: Rooms, value: unknown, now: number): OutsideServer | null {
    const row = v.safeParse(rowSchema, value);
    if (!row.success) return null;
    const registration = parseBody("registerServer", row.output.registration);
    if (!registration.ok) return null;
    const server = new OutsideServer(rooms, registration.value, now);
    server.isDraining = row.output.isDraining;
    server.offlineSince = row.output.offlineSince;
    return server;
  }

  get row(): v.InferOutput<typeof rowSchema> {
    const { registration, isDraining, offlineSince } = this;
    return { registration, isDraining, offlineSince };
  }

  get playerCount(): number {
    return this.named.players;
  }

  get tenant(): Tenant {
    const { serverId, instance } = this.registration;
    return { server: serverId, instance };
  }

  get isOffline(): boolean {
    return this.offlineSince !== null;
  }

  get status(): ServerStatus {
    if (this.isOffline) return "offline";
    return this.isDraining ? "draining" : "online";
  }

  get leaseMs(): number {
    if (this.#types.length === 0) return defaultTiming.leaseMs;
    return Math.max(...this.#types.map(({ leaseMs }) => leaseMs));
  }

  /** When the lease runs out, or for a server that is offline, when it is forgotten. */
  get endsAt(): number {
    if (this.offlineSince !== null) return this.offlineSince + offlineMemoryMs;
    return this.lastHeartbeat + this.leaseMs;
  }

  offers(type: string): boolean {
    return this.registration.roomTypes.includes(type);
  }

  get place(): { readonly server: string; readonly url: string } {
    const { serverId, address, port } = this.registration;
    return { server: serverId, url: serverUrl(address, port) ?? address };
  }

  placeOf(room: RoomId): Tenant & { readonly url: string } {
    const { address, port } = this.registration;
    return { ...this.tenant, url: roomUrl(address, port, room) ?? address };
  }

  /** The same start of the server, registered anew. */
  succeed(former: OutsideServer): void {
    this.isDraining = former.isDraining;
    if (!former.isOffline) this.named.replace(former.named);
  }

  answer(now: number, dispose: readonly RoomId[] = []): HeartbeatAnswer {
    const intervals = this.#types.map(({ heartbeatIntervalMs }) => heartbeatIntervalMs);
    const heartbeatIntervalMs =
      intervals.length === 0 ? defaultTiming.heartbeatIntervalMs : Math.min(...intervals);
    const orders = [...this.orders.values()].flat();
    const { status, leaseMs } = this;
    const answer = { now, status, leaseMs, heartbeatIntervalMs, dispose };
    return orders.length === 0 ? answer : { ...answer, orders };
  }

  listing(roomCount: number): ServerRegistration {
    const { serverId, address, capacity, roomTypes, metadata, port, region } = this.registration;
    const { status, playerCount, lastHeartbeat } = this;
    return {
      serverId,
      kind: "server",
      address,
      ...(port === undefined ? {} : { port }),
      status,
      roomTypes,
      roomCount,
      playerCount,
      capacity,
      lastHeartbeat,
      metadata,
      ...(region === undefined ? {} : { region }),
    };
  }
}
