/**
 * What a partition does beside rooms: locks of its keys, snapshots of its rooms, and at the hub
 * servers outside and events.
 * Gives each request to the part that answers it. Keeps nothing itself.
 */
import { hub, partitionNames, partitionOf } from "../core/partitions.ts";
import type { RegistryReplies } from "../protocol/registry-calls.ts";
import type { RegistryEventBody } from "../protocol/registry.ts";
import { failure, success } from "../protocol/result.ts";
import { EventHub } from "./event-hub.ts";
import { EventLog } from "./event-log.ts";
import { Locks } from "./locks.ts";
import type { RegistryOwner, RegistryReply, RequestOf } from "./part.ts";
import { Servers } from "./servers.ts";
import { Snapshots } from "./snapshots.ts";

type LockRequest = RequestOf<"lock" | "extend" | "release">;
type SnapshotRequest = RequestOf<
  "beginSnapshot" | "snapshotPart" | "commitSnapshot" | "snapshot" | "readSnapshot" | "dropSnapshot"
>;
type HubRequest = RequestOf<
  "events" | "register" | "heartbeat" | "drain" | "unregister" | "allocate" | "offer" | "vacate"
>;

type Parts = {
  readonly locks: Locks;
  readonly snapshots: Snapshots;
  readonly servers: Servers;
  readonly log: EventLog;
  readonly events: EventHub;
};

export class Services {
  readonly #owner: RegistryOwner;
  readonly #parts: Parts;

  private constructor(owner: RegistryOwner, parts: Parts) {
    this.#owner = owner;
    this.#parts = parts;
  }

  static async start(owner: RegistryOwner): Promise<Services> {
    let services: Services | null = null;
    const { clock, entropy, storage } = owner.ports;
    const ports = { clock, entropy, storage, wakeAt: () => owner.rearm() };
    const parts = {
      locks: await Locks.start(ports),
      snapshots: await Snapshots.start(ports),
      events: await EventHub.start({
        ...ports,
        count: owner.count,
        onHeard: () => {
          for (const name of partitionNames(owner.rooms.deployment.partitions)) {
            if (name !== hub) void owner.ask(name, { type: "heard" });
          }
        },
      }),
      log: new EventLog({
        ...ports,
        toHub: ({ id, events, lost }) =>
          owner.ask(hub, { type: "events", events, lost, batch: id }),
      }),
      servers: await Servers.start(owner.rooms, {
        ...ports,
        toPartition: owner.ask,
        within: owner.within,
        emit: (event) => services?.emit(event),
      }),
    };
    services = new Services(owner, parts);
    return services;
  }

  /** Where subscribers go, at the hub. */
  get events(): EventHub {
    return this.#parts.events;
  }

  get locks(): Locks {
    return this.#parts.locks;
  }

  get snapshots(): Snapshots {
    return this.#parts.snapshots;
  }

  /** Tells whoever has subscribed. */
  emit(event: RegistryEventBody): void {
    const { log, events } = this.#parts;
    const { name, ports } = this.#owner;
    if (name === hub) events.publish([{ ...event, at: ports.clock.now() }], 0, null);
    else log.emit(event);
  }

  handle(
    request: LockRequest | SnapshotRequest | HubRequest | RequestOf<"heard">,
  ): RegistryReply | Promise<RegistryReply> {
    switch (request.type) {
      case "lock":
      case "extend":
      case "release":
        return this.#handleLock(request);
      case "heard":
        this.#parts.log.heard();
        return success(null);
      case "beginSnapshot":
      case "snapshotPart":
      case "commitSnapshot":
      case "snapshot":
      case "readSnapshot":
      case "dropSnapshot":
        return this.#handleSnapshot(request);
      default:
        if (this.#owner.name === hub) return this.#handleAtHub(request);
        return failure("unavailable", `"${hub}" keeps servers and events`);
    }
  }

  /** Servers outside: all of them are at the hub. */
  outside({ after, limit, roomType }: RequestOf<"servers">): RegistryReplies["servers"] {
    if (this.#owner.name !== hub) return { servers: [], through: null };
    return this.#parts.servers.list(after, limit, roomType);
  }

  /** A deadline that must hold even if this object dies: silent servers, before all. */
  nextDurableDeadline(): number | null {
    const { servers, snapshots } = this.#parts;
    const [silent, over] = [servers.nextDeadline(), snapshots.nextDurableDeadline()];
    return silent === null || over === null ? (silent ?? over) : Math.min(silent, over);
  }

  nextDeadline(): number | null {
    const { locks, snapshots, servers, log, events } = this.#parts;
    const deadlines = [locks, snapshots, servers, log, events]
      .map((part) => part.nextDeadline())
      .filter((at) => at !== null);
    return deadlines.length === 0 ? null : Math.min(...deadlines);
  }

  wake(now: number): void {
    const { locks, snapshots, servers, log, events } = this.#parts;
    for (const part of [locks, snapshots, servers, log, events]) part.wake(now);
  }

  #handleLock(request: LockRequest): RegistryReply {
    const { name, rooms } = this.#owner;
    // A caller that counts other partitions must not get a lock that another one may have given.
    if (partitionOf(request.key, rooms.deployment.partitions) !== name) {
      return failure("unavailable", `another partition keeps the lock "${request.key}"`);
    }
    const { locks } = this.#parts;
    switch (request.type) {
      case "lock":
        return locks.lock(request);
      case "extend":
        return locks.extend(request);
      case "release":
        return locks.release(request);
      default:
        return request satisfies never;
    }
  }

  #handleSnapshot(request: SnapshotRequest): RegistryReply | Promise<RegistryReply> {
    const { snapshots } = this.#parts;
    const { room } = request;
    const type = this.#owner.rooms.typeOf(room);
    if (type === undefined) return failure("unknown-room-type", `no room type for "${room}"`);
    switch (request.type) {
      case "beginSnapshot": {
        const { position, digests, isTimed } = request;
        return snapshots.begin(room, position, digests, type.snapshotTtlMs, isTimed);
      }
      case "snapshotPart":
        return snapshots.part(room, request.id, request.index, request.text);
      case "commitSnapshot":
        return snapshots.commit(room, request.id);
      case "snapshot":
        return snapshots.newest(room);
      case "readSnapshot":
        return snapshots.read(room, request.id, request.index);
      case "dropSnapshot":
        snapshots.drop(room);
        return success(null);
      default:
        return request satisfies never;
    }
  }

  #handleAtHub(request: HubRequest): RegistryReply | Promise<RegistryReply> {
    const { servers, events } = this.#parts;
    switch (request.type) {
      case "events":
        return success({
          isHeard: events.publish(request.events, request.lost, request.batch ?? null),
        });
      case "register":
        return servers.register(request);
      case "heartbeat":
        return servers.heartbeat(request);
      case "drain":
        return servers.drain(request);
      case "unregister":
        return servers.unregister(request);
      case "allocate":
        return servers.allocate(request);
      case "offer":
        return servers.offer(request);
      case "vacate":
        return servers.vacate(request);
      default:
        return request satisfies never;
    }
  }
}
