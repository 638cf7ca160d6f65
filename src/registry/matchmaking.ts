/**
 * Finds rooms for players and has seats held for them. The object that holds a room's sockets
 * decides on its seats: a shard is asked, and what the directory knows only says whom to ask first.
 */
import type { PlacementContext } from "../core/placement.ts";
import { idOf, type Slot } from "../core/layout.ts";
import type { RoomType } from "../core/rooms.ts";
import type { RoomId } from "../protocol/names.ts";
import type { RouteAnswer } from "../protocol/registry.ts";
import type { HeldSeats } from "../protocol/registry-calls.ts";
import { failure, success, type Failure, type Result } from "../protocol/result.ts";
import { hasMetadata } from "./directory.ts";
import type { HostedRooms } from "./hosted-rooms.ts";
import type { Learning } from "./learning.ts";
import { asProblem, type RegistryOwner, type RegistryReply, type RequestOf } from "./part.ts";
import { freeSeats, limitOf, playerCount, serverOf, shardsIn, type Room } from "./room-record.ts";
import { unknownRoom, unknownType, type RoomLife } from "./room-life.ts";
import { isMoving } from "./relocation.ts";
import type { RoomStore } from "./room-store.ts";
import type { Scaling } from "./scaling.ts";
import { ShardCounts } from "./shard-counts.ts";

/** Shards that one reserve asks, in all rooms that there are. */
const maxTries = 8;
/** As of rooms that are created by hand. */
const maxMetadataBytes = 16 * 1024;

type Seat = HeldSeats["seats"][number];
type Parts = {
  readonly scaling: Scaling;
  readonly store: RoomStore;
  readonly learning: Learning;
  readonly life: RoomLife;
  readonly hosted: HostedRooms;
};

/** One reserve under way. */
type Search = {
  readonly request: RequestOf<"reserve">;
  readonly type: RoomType;
  readonly seats: readonly Seat[];
  tries: number;
};

export class Matchmaking {
  readonly #owner: RegistryOwner;
  readonly #parts: Parts;
  /** New rooms that are on their way into the directory, by type: others may fit in there. */
  readonly #creating = new Map<RoomType, Promise<unknown>>();
  #placed = 0;

  constructor(owner: RegistryOwner, parts: Parts) {
    this.#owner = owner;
    this.#parts = parts;
  }

  async route(request: RequestOf<"route">): Promise<RegistryReply> {
    const { roomType, room: id, query } = request;
    const type = this.#owner.rooms.type(roomType);
    if (type === undefined) return unknownType(roomType);
    if (id === null) {
      const room = this.#openRoomFor(request, type);
      return success(room === undefined ? { type: "create" } : this.#routeTo(room, request.server));
    }
    if (this.#owner.rooms.typeOf(id) !== type) return wrongType(id, roomType);
    const room = this.#parts.store.get(id);
    if (room === undefined) return success({ type: "create" });
    await this.#parts.learning.know(room);
    if (room.departure !== null) return success(unavailable(isMoving(room).detail));
    if (room.isLocked) return success(unavailable(`"${id}" is locked`));
    if (!hasMetadata(room, query.metadata)) return success(unavailable(`"${id}" is not like that`));
    if (freeSeats(room) <= 0) return success(unavailable(`"${id}" is full`));
    return success(this.#routeTo(room, request.server));
  }

  /** The fullest of the asking server's own, else the fullest. */
  #openRoomFor({ server, query }: RequestOf<"route">, type: RoomType): Room | undefined {
    let fullest: Room | undefined;
    for (const room of this.#parts.store.directory.open(type, 1, query.metadata)) {
      if (server === null || this.#isOf(room, server)) return room;
      fullest ??= room;
    }
    return fullest;
  }

  async reserve(request: RequestOf<"reserve">): Promise<Result<HeldSeats>> {
    const { roomType, room: id, players } = request;
    const type = this.#owner.rooms.type(roomType);
    if (type === undefined) return unknownType(roomType);
    if (players.length === 0)
      return failure("malformed-body", "a reserve names at least one player");
    const most = type.maxPlayers ?? type.capacity;
    if (players.length > most) {
      return failure("room-full", `no room of type "${roomType}" has more than ${most} seats`);
    }
    const seats = players.map((player) => ({ id: this.#owner.ports.entropy.id(), player }));
    const search: Search = { request, type, seats, tries: 0 };
    if (id !== null) return this.#reserveIn(id, search);
    for (;;) {
      const found = await this.#reserveInOpen(search);
      if (found !== null) return found;
      const coming = this.#creating.get(type);
      if (request.create === null || coming === undefined) break;
      await coming;
    }
    if (request.create !== null) return this.#reserveInNew(request.create, search);
    return this.#parts.store.directory.count(type) === 0
      ? failure("unknown-room", `there is no room of type "${roomType}"`)
      : failure("room-full", `no open room of type "${roomType}" has ${seats.length} free seats`);
  }

  async #reserveIn(id: RoomId, search: Search): Promise<Result<HeldSeats>> {
    const { request, type } = search;
    if (this.#owner.rooms.typeOf(id) !== type) return wrongType(id, type.name);
    const room = this.#parts.store.get(id);
    if (room === undefined) {
      return request.create === id ? this.#reserveInNew(id, search) : unknownRoom(id);
    }
    const isShut = room.isLocked && request.isReturning !== true;
    if (isShut) return failure("room-locked", `"${id}" is locked`);
    if (room.departure !== null) return isMoving(room);
    if (room.isClosing) return failure("unavailable", `"${id}" is being disposed of`);
    if (!hasMetadata(room, request.query.metadata)) {
      return failure("unknown-room", `"${id}" has other metadata`);
    }
    await this.#parts.learning.know(room);
    return this.#hold(room, search);
  }

  async #reserveInNew(id: RoomId, search: Search): Promise<Result<HeldSeats>> {
    if (this.#owner.rooms.typeOf(id) !== search.type) return wrongType(id, search.type.name);
    const { query } = search.request;
    const { metadata = {} } = query;
    // Scalars alone: each has a text.
    if (JSON.stringify(metadata).length > maxMetadataBytes) {
      return failure("malformed-body", "a new room would have too much metadata");
    }
    const { life } = this.#parts;
    const coming = life.use(id, search.request, metadata);
    this.#creating.set(search.type, coming);
    let room: Result<Room>;
    try {
      // Before others who wait for it, so that these seats are counted when they look.
      room = await coming;
    } finally {
      if (this.#creating.get(search.type) === coming) this.#creating.delete(search.type);
    }
    if (!room.ok) return room;
    // Somebody else may have made it meanwhile.
    if (!hasMetadata(room.value, metadata)) {
      return failure("unknown-room", `"${id}" has other metadata`);
    }
    // However many were asked in vain, the new room's is asked too.
    search.tries = Math.min(search.tries, maxTries - 1);
    const held = await this.#hold(room.value, search);
    if (!held.ok) life.forgetUnused(room.value);
    return held;
  }

  /** In the fullest open room that fits; `null` when none does. */
  async #reserveInOpen(search: Search): Promise<Result<HeldSeats> | null> {
    const { request, type, seats } = search;
    const { directory } = this.#parts.store;
    const tried = new Set<Room>();
    while (search.tries < maxTries) {
      let next: Room | undefined;
      // Looked for anew each time, since all may have changed while the last one was asked.
      for (const room of directory.open(type, seats.length, request.query.metadata)) {
        if (tried.has(room)) continue;
        next = room;
        break;
      }
      if (next === undefined) return null;
      tried.add(next);
      const held = await this.#hold(next, search);
      if (held.ok) return held;
    }
    return null;
  }

  /** Counts the seats while they are asked for, so that others who ask meanwhile go elsewhere. */
  async #hold(room: Room, search: Search): Promise<Result<HeldSeats>> {
    const { store, hosted } = this.#parts;
    const wanted = search.seats.length;
    const { ttlMs } = search.request;
    if (room.host !== null) {
      search.tries += 1;
      return hosted.hold(room, search.seats, ttlMs ?? room.type.seatTtlMs);
    }
    store.changeLoad(room, () => (room.pending += wanted));
    const held = await this.#askShards(room, search);
    if (held.ok) return held;
    store.changeLoad(room, () => (room.pending -= wanted));
    return asProblem(held);
  }

  async #askShards(room: Room, search: Search): Promise<Result<HeldSeats>> {
    const excluded = new Set<Slot>();
    for (;;) {
      const held = await this.#askEach(room, search, excluded);
      const isFull = !held.ok && held.code === "room-full" && search.tries < maxTries;
      // A room that follows its audience may have a new shard for them.
      if (!isFull || !this.#parts.scaling.refused(room)) return held;
      if (this.#choose(room, search, excluded) === null) return held;
    }
  }

  async #askEach(room: Room, search: Search, excluded: Set<Slot>): Promise<Result<HeldSeats>> {
    const { request, seats, type } = search;
    const counts = (room.counts ??= new ShardCounts());
    const ttlMs = request.ttlMs ?? type.seatTtlMs;
    let last: Failure = full(room);
    while (search.tries < maxTries) {
      const slot = this.#choose(room, search, excluded);
      if (slot === null) break;
      search.tries += 1;
      excluded.add(slot);
      const id = idOf(room.id, slot);
      const to = { role: "shard", id } as const;
      const reply = await this.#owner.ports.calls.call(to, {
        type: "reserve",
        seats: [...seats],
        ttlMs,
      });
      if (reply.ok) {
        counts.hold(slot, seats.length);
        // In one change: rooms are in order of their free places.
        this.#parts.store.changeLoad(room, () => {
          room.reserved += seats.length;
          room.pending -= seats.length;
        });
        const { expiresAt } = reply.value;
        return success({ room: room.id, server: id, redirect: null, expiresAt, seats });
      }
      last = reply;
      if (reply.code !== "full") continue;
      last = full(room);
      this.#learnThatFull(room, slot, seats.length);
    }
    return last;
  }

  /** Fewer seats are free than were asked for; how many, its shard is asked meanwhile. */
  #learnThatFull(room: Room, slot: Slot, wanted: number): void {
    const { store, learning } = this.#parts;
    const { counts, type } = room;
    const limit = type.shards.max === 1 ? limitOf(room) : type.capacity;
    const count = counts?.at(slot) ?? { connections: 0, reserved: 0 };
    const players = type.shards.max === 1 ? playerCount(room) : count.connections;
    const missing = limit - wanted + 1 - players - count.reserved;
    if (missing > 0) {
      counts?.hold(slot, missing);
      store.changeLoad(room, () => (room.reserved += missing));
    }
    void learning.ask(room, false);
  }

  /** A shard of the room by the type's strategy; `null` when there is no other. */
  #choose(room: Room, { request, type }: Search, excluded: ReadonlySet<Slot>): Slot | null {
    const { counts } = room;
    const candidates = this.#parts.store.layouts.of(room).slots.flatMap((slot) => {
      if (slot.status !== "online" || excluded.has(slot)) return [];
      const { connections = 0, reserved = 0 } = counts?.at(slot) ?? {};
      return [
        {
          id: idOf(room.id, slot),
          slot,
          connections: connections + reserved,
          capacity: type.capacity,
        },
      ];
    });
    const withSpace = candidates.filter(
      ({ connections, capacity }) => connections + request.players.length <= capacity,
    );
    const [first, ...others] = withSpace.length > 0 ? withSpace : candidates;
    if (first === undefined) return null;
    const { entropy } = this.#owner.ports;
    const context: PlacementContext = {
      random: () => entropy.random(),
      placed: this.#placed,
      key: request.players[0] ?? room.id,
      region: request.region,
      local: request.server ?? null,
    };
    this.#placed += 1;
    return type.placement([first, ...others], context).slot;
  }

  #routeTo(room: Room, asking: string | null): RouteAnswer {
    const { id: roomId, host } = room;
    if (asking !== null && this.#isOf(room, asking)) return { type: "local", roomId };
    const serverId = serverOf(room, this.#parts.store.layouts.of(room));
    return { type: "redirect", roomId, serverId, serverAddress: host?.url ?? "" };
  }

  #isOf({ id, type, host }: Room, server: string): boolean {
    if (host !== null) return host.server === server;
    if (!server.startsWith(id)) return false;
    return shardsIn(id, this.#parts.store.layouts.of({ id, type })).some((each) => each === server);
  }
}

function unavailable(reason: string): RouteAnswer {
  return { type: "unavailable", reason };
}

function full({ id }: Room): Failure {
  return failure("room-full", `"${id}" has too few free seats`);
}

function wrongType(room: string, type: string): Failure {
  return failure("malformed-body", `"${room}" is no room of type "${type}"`);
}
