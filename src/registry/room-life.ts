/**
 * How rooms come into the directory and leave it: entered when first used, created by hand, disposed
 * of when asked or when nobody has been there for a while. Decides where a new room lives.
 */
import { idOf, type Slot } from "../core/layout.ts";
import { hub } from "../core/partitions.ts";
import { wrongLimit, type RoomType } from "../core/rooms.ts";
import { shardId, type RoomId, type ShardId } from "../protocol/names.ts";
import type { Metadata, Region } from "../protocol/registry.ts";
import type { RegistryReplies } from "../protocol/registry-calls.ts";
import { failure, success, type Failure, type Result } from "../protocol/result.ts";
import type { CallSlots } from "./call-slots.ts";
import type { Learning } from "./learning.ts";
import { underWayMs, type OwedCalls } from "./owed-calls.ts";
import { asProblem, type RegistryOwner, type RegistryReply, type RequestOf } from "./part.ts";
import {
  isEmpty,
  keepMsOf,
  listing,
  newRow,
  shardsIn,
  type Room,
  type RoomHost,
  type RoomRow,
} from "./room-record.ts";
import type { RoomStore } from "./room-store.ts";

/** What a new room's place depends on. */
type Asker = { readonly region: Region | null; readonly server?: string | null | undefined };

export class RoomLife {
  readonly #owner: RegistryOwner;
  readonly #store: RoomStore;
  readonly #learning: Learning;
  readonly #owed: OwedCalls;
  readonly #slots: CallSlots;
  /** Whoever finds out whether a shard is dead. */
  readonly #suspect: (shard: ShardId) => void;
  /** Rooms that are coming into the directory. */
  readonly #entering = new Map<RoomId, Promise<Result<Room>>>();

  constructor(
    owner: RegistryOwner,
    parts: {
      store: RoomStore;
      learning: Learning;
      owed: OwedCalls;
      slots: CallSlots;
      suspect: (shard: ShardId) => void;
    },
  ) {
    this.#owner = owner;
    this.#store = parts.store;
    this.#learning = parts.learning;
    this.#owed = parts.owed;
    this.#slots = parts.slots;
    this.#suspect = parts.suspect;
  }

  /** The room, entered now if nobody has used it before. */
  async use(id: RoomId, asker: Asker, metadata: Metadata): Promise<Result<Room>> {
    const known = this.#store.get(id);
    if (known !== undefined) return success(known);
    const type = this.#owner.rooms.typeOf(id);
    if (type === undefined) return unknownType(id);
    return this.#entering.get(id) ?? this.#enter(id, type, { metadata }, asker);
  }

  /**
   * The room for a gate that asks where it is, entered now if shards host it. Rooms on servers outside
   * come about by a seat or by hand: nobody who merely asks is given one.
   */
  async lookUp(id: RoomId): Promise<Result<Room>> {
    const known = this.#store.get(id);
    if (known !== undefined) return success(known);
    const type = this.#owner.rooms.typeOf(id);
    if (type === undefined) return unknownType(id);
    if (type.hostedBy === null && !this.#entering.has(id)) {
      const question = { roomType: type.name, key: id, region: null } as const;
      const offered = await this.#owner.ask(hub, { type: "offer", ...question });
      if (!offered.ok && offered.code !== "no-server") return asProblem(offered);
      if (!offered.ok || offered.value !== null) return this.#known(id);
    }
    const coming = this.#entering.get(id);
    if (coming !== undefined) return coming;
    return type.hostedBy === "servers" ? this.#known(id) : success(this.useOnShards(id, type));
  }

  /** The room, if it is there or on its way. */
  async #known(id: RoomId): Promise<Result<Room>> {
    const coming = this.#entering.get(id);
    if (coming !== undefined) return coming;
    const known = this.#store.get(id);
    return known === undefined ? unknownRoom(id) : success(known);
  }

  /** The room as its shard knows it: it lives on shards. */
  useOnShards(id: RoomId, type: RoomType): Room {
    return this.#store.get(id) ?? this.#store.enter(id, type, newRow(this.#now));
  }

  async create(request: RequestOf<"create">): Promise<RegistryReply> {
    const { room: id, metadata, maxPlayers, isLocked, keepMs } = request;
    const type = this.#owner.rooms.typeOf(id);
    if (type === undefined) return unknownType(id);
    const wrong = wrongLimit(type, maxPlayers);
    if (wrong !== null) return failure("malformed-body", wrong);
    await this.#entering.get(id);
    // Another may have begun while this one waited.
    if (this.#store.get(id) !== undefined || this.#entering.has(id)) {
      return roomExists(id);
    }
    const row = { metadata, maxPlayers, isLocked, keepMs };
    const room = await this.#enter(id, type, row, request);
    return room.ok ? success(listing(room.value, this.#store.layouts.of(room.value))) : room;
  }

  /** What the directory does not know may have a log all the same, or be left from one cut short. */
  async dispose({ room: id }: RequestOf<"dispose">): Promise<RegistryReply> {
    const type = this.#owner.rooms.typeOf(id);
    if (type === undefined) return unknownType(id);
    await this.#entering.get(id);
    const room = this.#store.get(id);
    if (room === undefined ? type.hostedBy !== "servers" : room.host === null) {
      if (room !== undefined) this.#store.setClosing(room, true);
      const failed = await this.#disposeObjects(id, type);
      if (failed !== undefined) {
        if (room !== undefined && this.#store.has(room)) this.#store.setClosing(room, false);
        return asProblem(failed);
      }
    }
    if (room !== undefined) this.#leave(room, "disposed");
    return success(null);
  }

  /** A room that was entered for somebody who did not get in, and that nobody else is in. */
  forgetUnused(room: Room): void {
    if (room.keepMs === null && isEmpty(room)) this.#leave(room, "empty");
  }

  /** Whether somebody waits to hear where the room is. */
  isEntering(id: RoomId): boolean {
    return this.#entering.has(id);
  }

  /** The room is on a server that is gone. */
  lose(room: Room, reason: string): void {
    this.#store.forget(room, reason);
  }

  /** The hub gave a server to a room that does not need it any more. */
  giveUp(id: RoomId, host: RoomHost): void {
    if (this.#store.get(id)?.host?.server !== host.server) this.#oweVacating(id, host);
  }

  nextDeadline(): number | null {
    return this.#store.nextDeadline();
  }

  wake(now: number): void {
    for (;;) {
      const room = this.#store.takeDue(now);
      if (room === undefined) return;
      void this.#lookAt(room);
    }
  }

  get #now(): number {
    return this.#owner.ports.clock.now();
  }

  #enter(id: RoomId, type: RoomType, row: Partial<RoomRow>, asker: Asker): Promise<Result<Room>> {
    const entered = this.#findPlace(id, type, row, asker).finally(() => {
      this.#entering.delete(id);
    });
    this.#entering.set(id, entered);
    return entered;
  }

  async #findPlace(
    id: RoomId,
    type: RoomType,
    row: Partial<RoomRow>,
    asker: Asker,
  ): Promise<Result<Room>> {
    const allocated = await this.#allocate(id, type, asker);
    if (!allocated.ok) return asProblem(allocated);
    const isOld = allocated.value?.isOld === true;
    const host = hostOf(allocated.value);
    if (host === null && typeof row.maxPlayers === "number") {
      const limited = await this.#limit(id, type, row.maxPlayers);
      if (!limited.ok) return asProblem(limited);
    }
    const known = this.#store.get(id);
    if (known === undefined) {
      const complete = newRow(this.#now, { ...row, host });
      // In one turn with the room's row: one of both is there, whenever this object dies.
      if (host === null && typeof row.maxPlayers === "number") this.#owed.cancel(id);
      return success(this.#store.enter(id, type, complete, !isOld));
    }
    // Its shard, or a former partition, has told of it meanwhile.
    if (host !== null && known.host?.server !== host.server) this.#oweVacating(id, host);
    if (row.keepMs === undefined) return success(known);
    if (host === null) this.#oweOldLimit(id, type, 0);
    return roomExists(id);
  }

  /** A server outside, or `null` when shards host the room. */
  async #allocate(
    room: RoomId,
    type: RoomType,
    { region, server: local = null }: Asker,
  ): Promise<Result<RegistryReplies["allocate"]>> {
    if (type.hostedBy === "shards") return success(null);
    return this.#owner.ask(hub, { type: "allocate", room, key: room, region, local });
  }

  /** Tells the shard the room's own limit; when the room does not come about, it is taken back. */
  async #limit(room: RoomId, type: RoomType, maxPlayers: number): Promise<Result<null>> {
    const at = this.#now;
    this.#oweOldLimit(room, type, underWayMs);
    await this.#owed.idle(room);
    const to = { role: "shard", id: this.#firstShard(room, type) } as const;
    return this.#owner.ports.calls.call(to, { type: "limit", maxPlayers, at });
  }

  /** Until then an empty room's time may have been over, begun anew, or not be known. */
  async #lookAt(room: Room): Promise<void> {
    if (room.host === null && (!room.isKnown || (room.counts?.unreached ?? 0) > 0)) {
      await this.#learning.ask(room, false);
    }
    if (room.isClosing || !this.#isOver(room)) return;
    if (room.keepMs !== null && room.host === null) {
      // Its metadata and lock would be lost if somebody has just come.
      await this.#learning.ask(room, false);
      if (room.isClosing || !this.#isOver(room)) return;
    }
    this.#leave(room, "empty");
  }

  /** Whether its time is over; if not, and it is empty, it is looked at again. */
  #isOver(room: Room): boolean {
    if (!this.#store.has(room) || !isEmpty(room) || room.emptySince === null) return false;
    const end = room.emptySince + keepMsOf(room);
    if (end <= this.#now) return true;
    this.#store.lookAt(room, end);
    return false;
  }

  #leave(room: Room, reason: string): void {
    if (!this.#store.has(room)) return;
    this.#store.forget(room, reason);
    if (room.host !== null) this.#oweVacating(room.id, room.host);
    else if (room.maxPlayers !== null) {
      const lastAt = room.createdAt + underWayMs;
      if (reason !== "disposed" || lastAt > this.#now) {
        this.#oweOldLimit(room.id, room.type, 0, lastAt);
      }
    }
  }

  /** The room's shard was told a limit that holds no more. */
  takeLimitBack(room: RoomId): void {
    const type = this.#owner.rooms.typeOf(room);
    if (type !== undefined) this.#oweOldLimit(room, type, 0);
  }

  #oweVacating(room: RoomId, { server }: RoomHost): void {
    const now = this.#now;
    this.#owed.owe(room, { type: "vacate", server, at: now }, now);
  }

  /**
   * A limit that is decided on later holds, whichever the shard is told first. The former one may come
   * once more until `lastAt`, to a shard that died and remembers neither: it is told again then.
   */
  #oweOldLimit(
    room: RoomId,
    type: RoomType,
    delayMs: number,
    lastAt = this.#now + underWayMs,
  ): void {
    const now = this.#now;
    const limit = { type: "limit", maxPlayers: null, at: now + 1 } as const;
    this.#owed.owe(room, { ...limit, shard: this.#firstShard(room, type) }, now + delayMs, lastAt);
  }

  #firstShard(id: RoomId, type: RoomType): ShardId {
    return shardsIn(id, this.#store.layouts.of({ id, type }))[0] ?? shardId(id, 1);
  }

  /** Ends the room's shards, and then, when none would subscribe again, its log. */
  async #disposeObjects(id: RoomId, type: RoomType): Promise<Failure | undefined> {
    const { calls } = this.#owner.ports;
    // One that is offline is dead for all that is known.
    const slots = this.#store.layouts
      .of({ id, type })
      .slots.filter(({ status }) => status !== "offline");
    const replies = await Promise.all(slots.map((slot) => this.#disposeShard(id, slot)));
    const failed = replies.find((reply) => !reply.ok);
    if (failed !== undefined) return failed;
    const ended = await calls.call({ role: "sequencer", id }, { type: "dispose" });
    return ended.ok ? undefined : ended;
  }

  async #disposeShard(id: RoomId, slot: Slot): Promise<Result<null>> {
    const { calls } = this.#owner.ports;
    const shard = idOf(id, slot);
    const to = { role: "shard", id: shard } as const;
    const reply = await this.#slots.run(() => calls.call(to, { type: "dispose" }), true);
    if (reply.ok || reply.code !== "unreachable") return reply;
    this.#suspect(shard);
    // It leaves its clients in any case.
    return slot.status === "draining" ? success(null) : reply;
  }
}

export function hostOf(place: RegistryReplies["allocate"]): RoomHost | null {
  if (place === null) return null;
  const { server, instance, url } = place;
  return { server, instance, url };
}

function roomExists(room: string): Failure {
  return failure("room-exists", `there is a room "${room}" already`);
}

export function unknownType(room: string): Failure {
  return failure("unknown-room-type", `no room type for "${room}"`);
}

export function unknownRoom(room: string): Failure {
  return failure("unknown-room", `the directory has no room "${room}"`);
}
