/**
 * What a partition does beside rooms: locks of its keys, and at the hub servers outside and events.
 * Gives each request to the part that answers it. Keeps nothing itself.
 */
import { hub, partitionOf } from "../core/partitions.ts";
import type { ObjectPorts } from "../core/ports.ts";
import type { Rooms } from "../core/rooms.ts";
import type { AnyReply, ReplyTo, RequestTo } from "../protocol/calls.ts";
import type { RegistryEventBody } from "../protocol/registry.ts";
import { failure, success, type Result } from "../protocol/result.ts";
import { EventHub } from "./event-hub.ts";
import { EventLog } from "./event-log.ts";
import { Locks } from "./locks.ts";
import { Servers } from "./servers.ts";

type RegistryRequest = RequestTo<"registry">;
type Reply = Result<AnyReply<"registry">>;
type RequestOf<Type extends RegistryRequest["type"]> = Extract<RegistryRequest, { type: Type }>;
type LockRequest = RequestOf<"lock" | "extend" | "release">;
type HubRequest = RequestOf<
  "events" | "servers" | "register" | "heartbeat" | "drain" | "unregister" | "allocate" | "vacate"
>;

export type ServicesOwner = {
  /** This partition's name. */
  readonly name: string;
  readonly rooms: Rooms;
  readonly ports: ObjectPorts;
  readonly count: (what: string) => void;
  /** Some part's next deadline may have changed. */
  readonly rearm: () => void;
  /** Asks a partition, which may be this one. */
  readonly ask: <Request extends RegistryRequest>(
    partition: string,
    request: Request,
  ) => Promise<Result<ReplyTo<"registry", Request>>>;
};

type Parts = {
  readonly locks: Locks;
  readonly servers: Servers;
  readonly log: EventLog;
  readonly events: EventHub;
};

export class Services {
  readonly #owner: ServicesOwner;
  readonly #parts: Parts;

  private constructor(owner: ServicesOwner, parts: Parts) {
    this.#owner = owner;
    this.#parts = parts;
  }

  static async start(owner: ServicesOwner): Promise<Services> {
    let services: Services | null = null;
    const { clock, entropy, storage } = owner.ports;
    const ports = { clock, entropy, storage, wakeAt: () => owner.rearm() };
    const parts = {
      locks: await Locks.start(ports),
      events: await EventHub.start({ ...ports, count: owner.count }),
      log: new EventLog({
        ...ports,
        toHub: ({ id, events, lost }) =>
          owner.ask(hub, { type: "events", events, lost, batch: id }),
      }),
      servers: await Servers.start(owner.rooms, {
        ...ports,
        toPartition: owner.ask,
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

  /** Tells whoever has subscribed. */
  emit(event: RegistryEventBody): void {
    const { log, events } = this.#parts;
    const { name, ports } = this.#owner;
    if (name === hub) events.publish([{ ...event, at: ports.clock.now() }], 0, null);
    else log.emit(event);
  }

  /** `null` when the request is for another part of the partition. */
  handle(request: RegistryRequest): Reply | Promise<Reply> | null {
    switch (request.type) {
      case "lock":
      case "extend":
      case "release":
        return this.#handleLock(request);
      case "events":
      case "servers":
      case "register":
      case "heartbeat":
      case "drain":
      case "unregister":
      case "allocate":
      case "vacate":
        if (this.#owner.name === hub) return this.#handleAtHub(request);
        return failure("unavailable", `"${hub}" keeps servers and events`);
      default:
        return null;
    }
  }

  nextDeadline(): number | null {
    const { locks, servers, log, events } = this.#parts;
    const deadlines = [locks, servers, log, events]
      .map((part) => part.nextDeadline())
      .filter((at) => at !== null);
    return deadlines.length === 0 ? null : Math.min(...deadlines);
  }

  wake(now: number): void {
    const { locks, servers, log, events } = this.#parts;
    for (const part of [locks, servers, log, events]) part.wake(now);
  }

  #handleLock(request: LockRequest): Reply {
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

  #handleAtHub(request: HubRequest): Reply | Promise<Reply> {
    const { servers, events } = this.#parts;
    switch (request.type) {
      case "events":
        return success({
          isHeard: events.publish(request.events, request.lost, request.batch ?? null),
        });
      case "servers":
        return success(servers.list(request.after, request.limit));
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
      case "vacate":
        return servers.vacate(request);
      default:
        return request satisfies never;
    }
  }
}
