/**
 * One shard of a room: admits clients up to its capacity, takes the room's messages from the
 * sequencer's link, and has them sent. Knows nothing of other shards and nothing of the room class
 * but its broadcast hook.
 *
 * The order of one connect: `admit`, then the host accepts the socket and calls `welcome` in the
 * same turn, with the entry that it was given; or `release` when the socket came to nothing.
 */
import type { Socket } from "../core/ports.ts";
import type { RoomType } from "../core/rooms.ts";
import type { AnyReply, RequestTo } from "../protocol/calls.ts";
import { closeCodes } from "../protocol/close-codes.ts";
import type { ShardId } from "../protocol/names.ts";
import { encodePayload, type MessageData } from "../protocol/payload.ts";
import { success, type Result } from "../protocol/result.ts";
import type { Entry } from "./admission.ts";
import type { ClientSocket } from "./clients.ts";
import type { Entrance } from "./entrance.ts";
import type { IncomingLink } from "./intake.ts";
import { Parts, type ShardPorts } from "./parts.ts";
import type { ProtocolClient } from "./protocol-client.ts";
import { revive } from "./revival.ts";
import { answerStateCall, type StateCall } from "./state.ts";

type Reply = Result<AnyReply<"shard">>;

export class Shard {
  readonly #ports: ShardPorts;
  readonly #parts: Parts;

  private constructor(id: ShardId, type: RoomType, ports: ShardPorts) {
    this.#ports = ports;
    this.#parts = new Parts(id, type, ports, {
      armWake: () => this.#armWake(),
      fence: () => this.#fence(),
    });
  }

  /** `clients` and `links` are the sockets that outlived the object's memory. */
  static async start(
    id: ShardId,
    type: RoomType,
    ports: ShardPorts,
    clients: Iterable<ClientSocket>,
    links: Iterable<IncomingLink>,
  ): Promise<Shard> {
    const shard = new Shard(id, type, ports);
    await shard.#revive(clients, links);
    return shard;
  }

  get connections(): number {
    return this.#parts.clients.size;
  }

  handle(request: Exclude<RequestTo<"shard">, StateCall>): Reply;
  handle(request: RequestTo<"shard">): Reply | Promise<Reply>;
  handle(request: RequestTo<"shard">): Reply | Promise<Reply> {
    const { refusal, isOver } = this.#parts.service;
    switch (request.type) {
      case "load":
        return success(this.#parts.load);
      case "takeSnapshot":
      case "restoreSnapshot":
        return isOver && refusal !== null ? refusal : answerStateCall(this.#parts.state, request);
      case "drain":
        if (isOver && refusal !== null) return refusal;
        this.#drain(request.limitMs);
        return success(this.#parts.load);
      case "fenced":
        this.#fence();
        return success(null);
      case "dispose":
        this.#dispose();
        return success(null);
      default:
        return refusal ?? this.#parts.clients.handle(request);
    }
  }

  /**
   * Takes one of the shard's places, subscribes before the first client is welcomed, and gathers what
   * a client that comes back lacks. `claim` is what the client's ticket says.
   */
  admit(...who: Parameters<Entrance["admit"]>): ReturnType<Entrance["admit"]> {
    return this.#parts.entrance.admit(...who);
  }

  /**
   * Resolves when the class has the state that its clients may expect, or will not have it soon;
   * `null` when it has.
   */
  stateReady(): Promise<unknown> | null {
    return this.#parts.stateReady();
  }

  /** Gives an admitted place back; a ticket that was used for it is good again. */
  release(entry?: Entry): void {
    this.#parts.entrance.release(entry);
  }

  /**
   * The admitted socket is open: from here on it misses nothing. False when it was closed instead, as
   * the room was disposed since it was admitted, or the shard serves no more.
   */
  welcome(...who: Parameters<Entrance["welcome"]>): boolean {
    return this.#parts.entrance.welcome(...who);
  }

  /** The client of protocol 1 that this socket belongs to; `undefined` for a plain one. */
  protocolClient(socket: Socket): ProtocolClient | undefined {
    return this.#parts.clients.protocolClient(socket);
  }

  /** The player whose ticket this socket came with, also after it has left; `null` without one. */
  playerOf(socket: Socket, connection: string): string | null {
    return this.#parts.clients.playerOf(socket, connection);
  }

  /** A frame of a client of protocol 1; returns what the room class is to get of it, if anything. */
  receive(client: ProtocolClient, message: MessageData): MessageData | null {
    const forClass = this.#parts.clients.receive(client, message);
    this.#parts.intake.recheck();
    this.#armWake();
    return forClass;
  }

  /** The room class sends to one client of protocol 1 of this shard alone. */
  sendLocal(socket: Socket, data: MessageData): void {
    const client = this.protocolClient(socket);
    if (client === undefined) return;
    const frame = { type: "local", data: encodePayload(data) } as const;
    this.#parts.clients.audience.say(client, frame, this.#ports.clock.now());
    this.#armWake();
  }

  /** The socket has closed. */
  leave(socket: Socket): void {
    // One of a former life that this one never counted: the registry may count it still.
    if (!this.#parts.clients.leave(socket)) this.#parts.reporter.used();
  }

  handleLinkOpen(socket: IncomingLink): void {
    this.#parts.links.open(socket);
  }

  handleLinkMessage(socket: IncomingLink, message: string): void | Promise<void> {
    return this.#parts.links.receive(socket, message);
  }

  handleLinkClose(socket: IncomingLink): void {
    this.#parts.links.close(socket);
  }

  /** Time has passed. */
  wake(): void {
    const { service, reporter, stay, renewal, clients, state, history, intake } = this.#parts;
    if (service.isOver) return;
    const now = this.#ports.clock.now();
    reporter.wake(now);
    stay.wake(now);
    renewal.wake(now);
    service.wake(now);
    clients.expire(now);
    state?.wake(now);
    history.expire(now);
    intake.recheck();
    this.#armWake();
  }

  async #revive(clients: Iterable<ClientSocket>, links: Iterable<IncomingLink>): Promise<void> {
    await revive(this.#parts, clients, links);
    // Without a subscription nobody is to be waited for.
    if (!this.#parts.subscription.isNone) this.#parts.stay.lingerIfEmpty();
    this.#armWake();
  }

  /** Takes nobody from now on, and has those who are here come again, a few at a time. */
  #drain(limitMs: number): void {
    const { service, clients, reporter } = this.#parts;
    if (!service.drain(limitMs)) return;
    clients.vacate();
    reporter.changed();
    this.#armWake();
  }

  /** A later generation has the slot: this object is over, and says nothing more to anybody. */
  #fence(): void {
    const { service, stay, reporter, upstream, links, state, clients } = this.#parts;
    if (!service.fence()) return;
    stay.forget();
    reporter.end();
    upstream.end();
    links.end();
    state?.end();
    clients.dispose(closeCodes.moved, "the shard is over; connect again");
    this.#armWake();
  }

  /** Everybody leaves for good. Who is on the way in comes into the room's next life. */
  #dispose(): void {
    const { service, stay, clients } = this.#parts;
    clients.dispose(closeCodes.roomDisposed, "the room was disposed");
    if (!service.isOver && clients.isEmpty) stay.end();
  }

  #armWake(): void {
    const { service, reporter, stay, renewal, history, intake, clients, state } = this.#parts;
    if (service.isOver) return this.#ports.wakeups.soon(null);
    const times = [
      ...[service, reporter, stay, renewal, history, intake].map((part) => part.nextDeadline()),
      ...clients.nextDeadlines(),
      ...(state?.nextDeadlines() ?? []),
    ];
    const known = times.filter((at) => at !== null);
    this.#ports.wakeups.soon(known.length === 0 ? null : Math.min(...known));
  }
}
