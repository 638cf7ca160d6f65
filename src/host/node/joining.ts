/**
 * Places in rooms that a game server asks the registry for on behalf of players: here where one fits,
 * else wherever the registry says. Knows nothing of sockets.
 */
import type {
  CreateRoomOptions,
  JoinOptions,
  RegistryClient,
  RegistryResult,
  Reservation,
  RoomRegistration,
} from "../../../client/registry-client.ts";
import { isRoomId } from "../../protocol/names.ts";
import { problemDocument } from "../../protocol/problems.ts";
import { defaultKeepMs } from "../../protocol/registry.ts";
import type { GameRoom } from "./game-room.ts";
import type { HostedRooms, Keep } from "./hosted-rooms.ts";

/** Where a player is to go: into a room of this server, or to another address. */
export type Joined =
  | { readonly room: GameRoom; readonly reservation: Reservation }
  | { readonly redirect: string; readonly reservation: Reservation };

export type Created =
  | { readonly room: GameRoom; readonly registration: RoomRegistration }
  | { readonly redirect: string; readonly registration: RoomRegistration };

type JoiningClient = Pick<RegistryClient, "route" | "joinOrCreate" | "createRoom">;

export class Joining {
  readonly #client: JoiningClient;
  readonly #serverId: string;
  readonly #rooms: HostedRooms;

  constructor(client: JoiningClient, serverId: string, rooms: HostedRooms) {
    this.#client = client;
    this.#serverId = serverId;
    this.#rooms = rooms;
  }

  /**
   * A seat for this player in a room of this server if one fits, else where the registry says. The room
   * stays while the seat is held.
   */
  async joinOrCreate(
    roomType: string,
    playerId: string,
    options: JoinOptions,
  ): Promise<RegistryResult<Joined>> {
    const client = this.#client;
    const { query } = options;
    const asked = { roomType, playerId, serverId: this.#serverId };
    const route = await client.route({ ...asked, ...(query === undefined ? {} : { query }) });
    const near = route.ok && route.value.type === "local" ? { roomId: route.value.roomId } : {};
    let reserved = await client.joinOrCreate(roomType, playerId, { ...near, ...options });
    // Somebody took the last seat meanwhile, or locked the room.
    if (!reserved.ok && "roomId" in near && options.roomId === undefined) {
      reserved = await client.joinOrCreate(roomType, playerId, options);
    }
    if (!reserved.ok) return reserved;
    const reservation = reserved.value;
    const { roomId, serverId, seat } = reservation;
    const place = await this.#placeOf(roomId, serverId, { heldUntil: seat.expiresAt });
    if (!place.ok) return place;
    if (place.value !== null) return { ok: true, value: { room: place.value, reservation } };
    return { ok: true, value: { redirect: addressOf(reservation), reservation } };
  }

  /**
   * A new room of the type, on this server or where the registry says. It stays until it has been empty
   * for `keepMs`.
   */
  async createRoom(type: string, options: CreateRoomOptions): Promise<RegistryResult<Created>> {
    const created = await this.#client.createRoom(type, options);
    if (!created.ok) return created;
    const registration = created.value;
    const { roomId, serverId } = registration;
    const emptyMs = options.keepMs ?? defaultKeepMs;
    const place = await this.#placeOf(roomId, serverId, { emptyMs });
    if (!place.ok) return place;
    if (place.value !== null) return { ok: true, value: { room: place.value, registration } };
    return { ok: true, value: { redirect: registration.address, registration } };
  }

  /** The room if it belongs here, which it does not begin without. */
  async #placeOf(
    roomId: string,
    serverId: string,
    keep: Keep,
  ): Promise<RegistryResult<GameRoom | null>> {
    if (serverId !== this.#serverId || !isRoomId(roomId)) return { ok: true, value: null };
    const hosted = await this.#rooms.open(roomId, keep);
    if (hosted.ok) return { ok: true, value: hosted.value.game };
    return { ok: false, problem: problemDocument(hosted.code, hosted.detail) };
  }
}

/** Where the reservation's player connects: an address that holds the ticket, or for a room on shards, its id. */
function addressOf({ redirect, connect, ticket }: Reservation): string {
  if (redirect === undefined) return connect.room;
  const url = new URL(redirect);
  url.searchParams.set("ticket", ticket);
  return url.href;
}
