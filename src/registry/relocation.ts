/**
 * Moves rooms from a server outside that is gone, or lets go of them, to another one of their type.
 * That a room is to leave is written down first, so that the move is made however often this object
 * dies; the hub chooses the server, and names the same one when it is asked again. Knows nothing of
 * what is in a room.
 */
import { hub } from "../core/partitions.ts";
import type { RoomId } from "../protocol/names.ts";
import type { RoomListing } from "../protocol/registry-calls.ts";
import { failure, success, type Failure, type Result } from "../protocol/result.ts";
import type { CallSlots } from "./call-slots.ts";
import type { Tenant } from "./hosting.ts";
import { asProblem, type RegistryOwner, type RequestOf } from "./part.ts";
import { hostOf, unknownRoom, type RoomLife } from "./room-life.ts";
import { isEmpty, listing, type Room, type RoomHost } from "./room-record.ts";
import type { RoomStore } from "./room-store.ts";
import type { Snapshots } from "./snapshots.ts";

const retryMs = 1_000;

type Parts = {
  readonly store: RoomStore;
  readonly life: RoomLife;
  readonly slots: CallSlots;
  readonly snapshots: Snapshots;
};

export class Relocation {
  readonly #owner: RegistryOwner;
  readonly #parts: Parts;
  readonly #underWay = new Map<Room, Promise<Result<RoomListing>>>();
  #nextAt: number | null = null;

  constructor(owner: RegistryOwner, parts: Parts) {
    this.#owner = owner;
    this.#parts = parts;
  }

  /** Goes on with rooms that another life of this object, or another partition, had begun to move. */
  begin(): void {
    if (this.#parts.store.departing.size > 0) this.#wakeAt(this.#owner.ports.clock.now());
  }

  /** Its server is gone. A room that nobody would miss goes with it. */
  lose(room: Room): void {
    const { store, life, snapshots } = this.#parts;
    const isUsed = room.keepMs !== null || !room.isKnown || !isEmpty(room);
    if (!room.type.failover || (!isUsed && !snapshots.newest(room.id).ok)) {
      return life.lose(room, "server-offline");
    }
    store.setDeparture(room, "lost");
    void this.#move(room);
  }

  /** Its server lets go of it. It stays there where no other takes it. */
  async relocate({ room: id, ...from }: RequestOf<"relocate">): Promise<Result<RoomListing>> {
    const { store } = this.#parts;
    const room = store.get(id);
    if (room === undefined) return unknownRoom(id);
    // The answer to a first call may have been lost.
    if (!isOn(room, from)) return success(this.#listing(room));
    if (!room.type.failover) {
      return failure("no-server", `rooms of type "${room.type.name}" stay on their server`);
    }
    if (room.isClosing && room.departure === null) {
      return failure("unavailable", `"${id}" is being disposed of`);
    }
    if (room.departure === null) store.setDeparture(room, "asked");
    return this.#move(room);
  }

  nextDeadline(): number | null {
    return this.#nextAt;
  }

  /** A move goes on though this object dies. */
  nextDurableDeadline(): number | null {
    return this.#nextAt;
  }

  wake(now: number): void {
    if (this.#nextAt === null || this.#nextAt > now) return;
    this.#nextAt = null;
    for (const room of this.#parts.store.departing) void this.#move(room);
  }

  #move(room: Room): Promise<Result<RoomListing>> {
    const known = this.#underWay.get(room);
    if (known !== undefined) return known;
    const moved = this.#findServer(room).finally(() => this.#underWay.delete(room));
    this.#underWay.set(room, moved);
    return moved;
  }

  async #findServer(room: Room): Promise<Result<RoomListing>> {
    const { store, life } = this.#parts;
    const { id } = room;
    if (room.host === null) return failure("unavailable", `"${id}" is on shards`);
    const allocated = await this.#allocate(id, room.host);
    const host = allocated.ok ? hostOf(allocated.value) : null;
    if (!store.has(room)) {
      if (host !== null) life.giveUp(id, host);
      return unknownRoom(id);
    }
    if (allocated.ok && host !== null) {
      store.move(room, host, allocated.value?.isOld !== true);
      return success(this.#listing(room));
    }
    if (!allocated.ok && asProblem(allocated).code === "unavailable") {
      this.#wakeAt(this.#owner.ports.clock.now() + retryMs);
      return isMoving(room);
    }
    if (room.departure === "lost") life.lose(room, "server-offline");
    else store.setDeparture(room, null);
    return failure("no-server", `no other server takes "${id}" at the moment`);
  }

  #allocate(room: RoomId, { server, instance }: RoomHost) {
    const leaving = { server, instance };
    const question = { type: "allocate", room, key: room, region: null, leaving } as const;
    return this.#parts.slots.run(() => this.#owner.ask(hub, question), true);
  }

  #listing(room: Room): RoomListing {
    return listing(room, this.#parts.store.layouts.of(room));
  }

  #wakeAt(at: number): void {
    if (this.#nextAt !== null && this.#nextAt <= at) return;
    this.#nextAt = at;
    this.#owner.rearm();
  }
}

/** Whether this start of the server has the room: another one may have it by now. */
export function isOn({ host }: Room, from: Tenant): boolean {
  return host?.server === from.server && host.instance === from.instance;
}

/** Of a room that is to leave its server, and is nowhere yet. */
export function isMoving({ id }: Room): Failure<"unavailable"> {
  return failure("unavailable", `"${id}" is moving to another server`);
}
