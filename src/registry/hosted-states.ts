/**
 * The state of rooms on servers outside: what their servers say of it, and what they are asked to do
 * with it. A server cannot be called, so it is told with the answers to its heartbeats until it has
 * said how it went. Knows nothing of how snapshots are stored.
 */
import { failure, success, type Result } from "../protocol/result.ts";
import type { RegistryReplies, RoomOrder } from "../protocol/registry-calls.ts";
import type { RegistryOwner, RequestOf } from "./part.ts";
import { isMoving, isOn } from "./relocation.ts";
import type { Room } from "./room-record.ts";
import type { RoomStore } from "./room-store.ts";
import type { Snapshots } from "./snapshots.ts";

/** For the hook of the room and the way of what it gives. */
const doneMs = 10_000;
/** A server whose lease is longer is not waited for until it runs out. */
const maxHeartbeatMs = 20_000;

type Type = RoomOrder["type"];
type Order = RoomOrder & {
  readonly until: number;
  readonly end: (result: Result<null>) => void;
  readonly ended: Promise<Result<null>>;
};

export class HostedStates {
  readonly #owner: RegistryOwner;
  readonly #store: RoomStore;
  readonly #snapshots: Snapshots;
  /** What servers have yet to do: of each kind one for a room. */
  readonly #orders = new Map<string, Order>();

  constructor(owner: RegistryOwner, store: RoomStore, snapshots: Snapshots) {
    this.#owner = owner;
    this.#store = store;
    this.#snapshots = snapshots;
  }

  /** Resolves when the room's server has done it, or its time is over. */
  async order({
    type,
    room: id,
  }: RequestOf<Type>): Promise<Result<RegistryReplies["takeSnapshot"]>> {
    const room = this.#store.get(id);
    if (room === undefined || room.host === null) return success(null);
    if (room.departure !== null) return isMoving(room);
    if (type === "restoreSnapshot" && !this.#snapshots.newest(id).ok) return noSnapshot(room);
    const order = this.#orders.get(keyOf(type, room)) ?? this.#begin(type, room);
    const done = await order.ended;
    if (!done.ok) return done;
    const newest = this.#snapshots.newest(id);
    return newest.ok ? newest : noSnapshot(room);
  }

  /** What the room's server is to be told. */
  ordersOf(room: Room): RoomOrder[] {
    if (this.#orders.size === 0) return [];
    return (["takeSnapshot", "restoreSnapshot"] as const).flatMap((type) => {
      const known = this.#orders.get(keyOf(type, room));
      return known === undefined ? [] : [{ order: known.order, roomId: room.id, type }];
    });
  }

  /**
   * Failures are told whoever has the room by now; how it is with the state only the one that has it
   * can say.
   */
  state({ room: id, failures, error, done, ...from }: RequestOf<"hostedState">): Result<null> {
    const where = { roomId: id, serverId: from.server };
    for (const { reason, detail } of failures) {
      this.#owner.count(kindOf(reason));
      this.#owner.count(reason);
      this.#owner.emit({ type: "snapshot:failed", ...where, reason, detail });
    }
    const room = this.#store.get(id);
    if (room === undefined || !isOn(room, from)) return success(null);
    this.#setError(room, error);
    if (done !== undefined) this.#end(room, done);
    return success(null);
  }

  nextDeadline(): number | null {
    let next: number | null = null;
    for (const { until } of this.#orders.values()) next = Math.min(next ?? until, until);
    return next;
  }

  wake(now: number): void {
    for (const [key, { until, roomId, end }] of this.#orders) {
      if (until > now) continue;
      this.#orders.delete(key);
      const detail = `the server of "${roomId}" has not said in time that it has done it; it still may`;
      end(failure("unavailable", detail));
    }
  }

  #begin(type: Type, room: Room): Order {
    const { clock, entropy } = this.#owner.ports;
    const until = clock.now() + Math.min(room.type.leaseMs, maxHeartbeatMs) + doneMs;
    const { promise: ended, resolve: end } = Promise.withResolvers<Result<null>>();
    const order = { order: entropy.id(), roomId: room.id, type, until, end, ended };
    this.#orders.set(keyOf(type, room), order);
    this.#owner.rearm();
    return order;
  }

  /** One that was given up, or is another's, has ended already. */
  #end(room: Room, { order, problem }: NonNullable<RequestOf<"hostedState">["done"]>): void {
    for (const [key, known] of this.#orders) {
      if (known.order !== order || known.roomId !== room.id) continue;
      this.#orders.delete(key);
      known.end(problem === undefined ? success(null) : failure(problem.code, problem.detail));
    }
  }

  #setError(room: Room, error: string | null): void {
    if (room.host === null || (room.host.stateError ?? null) === error) return;
    const { stateError: _, ...host } = room.host;
    this.#store.setHost(room, error === null ? host : { ...host, stateError: error });
  }
}

/** What is counted beside the reason, as shards do. */
function kindOf(reason: string): string {
  if (reason.startsWith("restore_")) return "restore_errors";
  const isLoss = reason === "snapshot_foreign" || reason === "snapshot_damaged";
  return isLoss ? "state_lost" : "snapshot_errors";
}

function keyOf(type: Type, { id }: Room): string {
  return `${type} ${id}`;
}

function noSnapshot({ id }: Room) {
  return failure("no-snapshot", `"${id}" has no snapshot`);
}
