/**
 * The clients of one shard, from the moment that they are admitted until they have left: their places,
 * seats and sessions. Knows nothing of links or of the subscription.
 */
import type { Clock, Entropy, Socket, Storage } from "../core/ports.ts";
import type { RoomType } from "../core/rooms.ts";
import { TopicFilters } from "../core/topics.ts";
import type { AnyReply, LoadReply, RequestTo, SeatClaim } from "../protocol/calls.ts";
import type { ClientRequest } from "../protocol/client-request.ts";
import { closeCodes, type CloseCode } from "../protocol/close-codes.ts";
import type { Position } from "../protocol/link.ts";
import type { ShardId } from "../protocol/names.ts";
import type { MessageData } from "../protocol/payload.ts";
import { failure, success, type Result } from "../protocol/result.ts";
import { Admission, type Entry, type Refused } from "./admission.ts";
import { Audience, type AudienceBounds } from "./audience.ts";
import type { ProtocolClient } from "./protocol-client.ts";
import { Seating } from "./seating.ts";
import { Sessions } from "./sessions.ts";
import type { Upstream } from "./upstream.ts";

/** A client whose socket outlived the object's memory. */
export type ClientSocket = {
  readonly socket: Socket;
  readonly connection: string;
  readonly request: ClientRequest;
};

export const plainRequest: ClientRequest = { speaksProtocol: false, resume: null, topics: [] };

export type ClientsOwner = {
  readonly shard: ShardId;
  readonly type: RoomType;
  readonly clock: Clock;
  readonly storage: Storage;
  readonly entropy: Entropy;
  readonly upstream: Upstream;
  readonly count: (what: string) => void;
  /** Has the platform answer `ping` with `pong` for all sockets, or no longer, where it can. */
  readonly setAutoPong: ((isOn: boolean) => void) | undefined;
  /** Tests take smaller ones. */
  readonly bounds: AudienceBounds | undefined;
  /** How many there are, or who has a seat, has changed. */
  readonly onChange: () => void;
  /** Somebody has left, or did not come after all. */
  readonly onLeft: () => void;
};

/** Where a client of protocol 1 is welcomed. */
export type Place = { readonly position: Position | null; readonly isHeld: boolean };

export class Clients {
  readonly audience: Audience;
  readonly #owner: ClientsOwner;
  readonly #sessions: Sessions;
  readonly #seating: Seating;
  readonly #admission: Admission;
  /** `null` while it is not known: the platform keeps it for an object that sleeps. */
  #hasAutoPong: boolean | null = null;

  constructor(owner: ClientsOwner) {
    this.#owner = owner;
    const { count, type, bounds } = owner;
    const onLost = (client: ProtocolClient): void => {
      this.#sessions.leave(client);
      this.#left(client.socket);
    };
    this.audience = new Audience({ onLost, count }, type.history, bounds);
    this.#sessions = new Sessions({ ...owner, audience: this.audience });
    this.#seating = new Seating(owner);
    this.#admission = new Admission(this.#seating, () => this.size);
  }

  get size(): number {
    return this.audience.size;
  }

  /** Whether nobody is here or on the way in. */
  get isEmpty(): boolean {
    return this.#admission.isEmpty;
  }

  get load(): LoadReply {
    this.#seating.expire(this.#now);
    return { connections: this.size, ...this.#seating.load };
  }

  handle(request: RequestTo<"shard"> & { type: SeatCall }): Result<AnyReply<"shard">> {
    switch (request.type) {
      case "hold":
        return this.#admission.hold(request, this.#now);
      case "reserve":
        return this.#admission.reserve(request.seats, request.ttlMs, this.#now);
      case "limit":
        this.#seating.setLimit(request.maxPlayers, request.at ?? this.#now);
        return success(null);
    }
  }

  /** Takes a place; `claim` is what the client's ticket says. */
  enter(
    connection: string,
    { session = null }: { readonly session?: string | null },
    claim: SeatClaim | null,
  ): Result<Entry, Refused> {
    return this.#admission.enter({ connection, session, claim }, this.#now);
  }

  release(entry: Entry): void {
    this.#admission.entered(entry);
    if (entry.seat !== null) this.#seating.release(entry.seat, this.#now);
    this.#owner.onLeft();
  }

  /** False when the client was closed instead, as the room was disposed since it was admitted. */
  welcome({ socket, connection, request }: ClientSocket, entry: Entry, place: Place): boolean {
    this.#admission.entered(entry);
    const session = this.#sitDown(socket, connection, request, entry);
    if (!session.ok) {
      close(socket, closeCodes.roomDisposed, session.detail);
      this.#owner.onLeft();
      return false;
    }
    if (!request.speaksProtocol) {
      this.audience.addPlain(socket, new TopicFilters(request.topics));
    } else if (place.position !== null) {
      const known = { connection, session: session.value };
      this.#sessions.welcome(socket, known, request, place.position, place.isHeld);
    }
    this.#changed();
    return true;
  }

  protocolClient(socket: Socket): ProtocolClient | undefined {
    return this.audience.protocolClients.get(socket);
  }

  /** The player whose ticket this client came with, also after it has left. */
  playerOf(socket: Socket, connection: string): string | null {
    return this.#seating.playerOf(socket, this.audience.has(socket) ? null : connection);
  }

  receive(client: ProtocolClient, message: MessageData): MessageData | null {
    return this.#sessions.receive(client, message);
  }

  /** The socket has closed; returns whether it was a client's. */
  leave(socket: Socket): boolean {
    if (!this.#remove(socket)) return false;
    this.#left(socket);
    return true;
  }

  /** Continuity was lost: those who could not be told so are no clients any more. */
  reset(): void {
    this.#seating.dropOthers((socket) => this.audience.has(socket), this.#now);
    this.#changed();
    this.#owner.onLeft();
  }

  /** Everybody is closed, and nothing of them is kept. */
  dispose(code: CloseCode, reason: string): void {
    this.#seating.clear();
    for (const socket of this.audience.sockets()) this.#dismiss(socket, code, reason);
    this.#changed();
  }

  /** Nothing is kept of those of a former life. */
  async forget(): Promise<void> {
    await this.restoreSeats([]);
    await this.restore([], 0);
    this.#seating.clear();
  }

  /** Nobody comes to this shard any more: its seats are for those who are here. */
  vacate(): void {
    this.#seating.vacate(this.#now);
  }

  /** The client is to come again, and finds another shard: nothing is kept for it here. */
  move(socket: Socket): void {
    this.#dismiss(socket, closeCodes.moved, "the shard is being emptied; connect again");
    this.#seating.free(socket, this.#now);
    this.#changed();
    this.#owner.onLeft();
  }

  expire(now: number): void {
    this.audience.expire(now);
    this.#seating.expire(now);
  }

  nextDeadlines(): (number | null)[] {
    return [this.audience.nextDeadline(), this.#seating.nextDeadline()];
  }

  /** Takes up the seats of a former life; returns the clients that may stay. */
  async restoreSeats(survivors: readonly ClientSocket[]): Promise<readonly ClientSocket[]> {
    const refused = await this.#seating.restore(survivors, this.#now);
    for (const socket of refused) close(socket, closeCodes.moved, "connect again");
    return survivors.filter(({ socket }) => !refused.has(socket));
  }

  /** Clients of protocol 1 have everything up to `seq`; without it they have to come again. */
  async restore(clients: readonly ClientSocket[], seq: number | null): Promise<void> {
    for (const { socket, request } of clients) {
      if (!request.speaksProtocol) this.audience.addPlain(socket, new TopicFilters(request.topics));
    }
    const speakers = clients.filter(({ request }) => request.speaksProtocol);
    if (seq !== null) await this.#sessions.restore(speakers, seq);
    this.#seating.dropOthers((socket) => this.audience.has(socket), this.#now);
    this.#updateAutoPong();
  }

  get #now(): number {
    return this.#owner.clock.now();
  }

  /** The session of a client of protocol 1 with a seat. */
  #sitDown(
    socket: Socket,
    connection: string,
    { speaksProtocol }: ClientRequest,
    { seat }: Entry,
  ): Result<string | null, "gone"> {
    if (seat === null) return success(null);
    const seated = this.#seating.take(seat, socket, connection, speaksProtocol);
    if (seated === null) return failure("gone", "the room was disposed");
    if (seated.former !== null) {
      const reason = "another connection of this player took the seat";
      this.#dismiss(seated.former, closeCodes.seatTaken, reason);
    }
    return success(seated.session);
  }

  /** The client is none from now on, and is to stop. */
  #dismiss(socket: Socket, code: CloseCode, reason: string): void {
    this.#remove(socket);
    close(socket, code, reason);
  }

  /** Whether the socket was a client's. */
  #remove(socket: Socket): boolean {
    const client = this.protocolClient(socket);
    if (!this.audience.remove(socket)) return false;
    if (client !== undefined) this.#sessions.leave(client);
    return true;
  }

  #left(socket: Socket): void {
    this.#seating.drop(socket, this.#now);
    this.#changed();
    this.#owner.onLeft();
  }

  #changed(): void {
    this.#owner.onChange();
    this.#updateAutoPong();
  }

  /** A plain socket's `ping` is for the room class, so the platform must not answer it. */
  #updateAutoPong(): void {
    const speakers = this.audience.protocolClients.size;
    const isOn = speakers > 0 && speakers === this.size;
    if (isOn === this.#hasAutoPong) return;
    this.#hasAutoPong = isOn;
    this.#owner.setAutoPong?.(isOn);
  }
}

type SeatCall = "hold" | "reserve" | "limit";

function close(socket: Socket, code: CloseCode, reason: string): void {
  try {
    socket.close(code, reason);
  } catch {
    // It has closed already.
  }
}
