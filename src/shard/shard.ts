/**
 * One shard of a room: admits clients up to its capacity, takes the room's messages from the
 * sequencer's link, and has them sent. Knows nothing of other shards and nothing of the room class
 * but its broadcast hook.
 *
 * The order of one connect: `admit`, then the host accepts the socket and calls `welcome` in the
 * same turn; or `release` when the socket came to nothing.
 */
import * as v from "valibot";
import { Counters } from "../core/counters.ts";
import type { ObjectPorts, Socket } from "../core/ports.ts";
import type { RoomType } from "../core/rooms.ts";
import { TopicFilters } from "../core/topics.ts";
import type { AnyReply, RequestTo, Subscribed } from "../protocol/calls.ts";
import type { ClientRequest } from "../protocol/client-request.ts";
import { closeCodes } from "../protocol/close-codes.ts";
import { positionSchema, type Position } from "../protocol/link.ts";
import type { ShardId } from "../protocol/names.ts";
import { encodePayload, type MessageData } from "../protocol/payload.ts";
import { failure, success, type Result } from "../protocol/result.ts";
import { Admission } from "./admission.ts";
import { Audience, type AudienceBounds } from "./audience.ts";
import { FanOut, type BroadcastHook } from "./fan-out.ts";
import { History } from "./history.ts";
import { Intake, type IncomingLink } from "./intake.ts";
import { LoadReporter } from "./load-reporter.ts";
import type { ProtocolClient } from "./protocol-client.ts";
import { Renewal } from "./renewal.ts";
import { Sessions } from "./sessions.ts";
import { Subscription } from "./subscription.ts";
import { Upstream } from "./upstream.ts";

/** After the last client has left for so long, the shard unsubscribes. */
const lingerMs = 5_000;

export type ShardPorts = ObjectPorts & {
  /** The registry object that keeps this room. */
  readonly registry: string;
  readonly onBroadcast?: BroadcastHook;
  /** Has the platform answer `ping` with `pong` for all sockets, or no longer, where it can. */
  readonly setAutoPong?: (isOn: boolean) => void;
  /** False when the hook has effects that a message read again must not have. Default true. */
  readonly canReplay?: boolean;
  readonly onHookError: (error: unknown) => void;
  /** Tests take smaller ones. */
  readonly bounds?: AudienceBounds;
};

/** A client whose socket outlived the object's memory. */
export type ClientSocket = {
  readonly socket: Socket;
  readonly connection: string;
  readonly request: ClientRequest;
};

export const plainRequest: ClientRequest = { speaksProtocol: false, resume: null, topics: [] };

/** What outlives the object's memory, written when a subscription begins and when a link ends. */
const rowSchema = v.object({ subscription: v.string(), position: positionSchema });

export class Shard {
  readonly #ports: ShardPorts;
  readonly #audience: Audience;
  readonly #fanOut: FanOut;
  readonly #sessions: Sessions;
  readonly #upstream: Upstream;
  readonly #history: History;
  readonly #intake: Intake;
  readonly #subscription: Subscription;
  readonly #renewal: Renewal;
  readonly #reporter: LoadReporter;
  readonly #counters = new Counters();
  readonly #admission: Admission;
  /** Links that opened before the answer to `subscribe` came. */
  readonly #earlyLinks = new Set<IncomingLink>();
  #lingerUntil: number | null = null;
  /** `null` while it is not known: the platform keeps it for an object that sleeps. */
  #hasAutoPong: boolean | null = null;

  private constructor(id: ShardId, type: RoomType, ports: ShardPorts) {
    this.#ports = ports;
    const count = (what: string): void => this.#counters.increment(what);
    const onLost = (client: ProtocolClient): void => this.#lost(client);
    this.#audience = new Audience({ onLost, count }, type.history, ports.bounds);
    this.#fanOut = new FanOut(this.#audience, {
      clock: ports.clock,
      ...(ports.onBroadcast === undefined ? {} : { onBroadcast: ports.onBroadcast }),
      onHookError: (error) => {
        this.#counters.increment("room_hook_errors");
        ports.onHookError(error);
      },
    });
    this.#admission = new Admission(type.capacity, () => this.connections);
    this.#subscription = new Subscription(id, ports.calls, (subscribed) =>
      this.#handleSubscribed(subscribed),
    );
    this.#history = new History(id, ports, this.#audience, this.#fanOut);
    const firstId = Math.floor(ports.entropy.random() * 2 ** 40);
    this.#upstream = new Upstream(id, ports.calls, (frame) => this.#intake.send(frame), firstId);
    this.#sessions = new Sessions({
      shard: id,
      type,
      clock: ports.clock,
      storage: ports.storage,
      audience: this.#audience,
      upstream: this.#upstream,
      count,
    });
    this.#intake = this.#createIntake();
    this.#renewal = new Renewal({
      clock: ports.clock,
      entropy: ports.entropy,
      hasClients: () => this.connections > 0,
      isLinked: () => this.#intake.isOpen,
      renew: () => this.#subscription.renew(this.#fanOut.position),
      armWake: () => this.#armWake(),
    });
    this.#reporter = new LoadReporter({
      shard: id,
      registry: ports.registry,
      leaseIntervalMs: type.heartbeatIntervalMs,
      clock: ports.clock,
      entropy: ports.entropy,
      calls: ports.calls,
      connections: () => this.connections,
      counters: this.#counters,
      wakeAt: () => this.#armWake(),
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
    await shard.#restore(clients, links);
    return shard;
  }

  get connections(): number {
    return this.#audience.size;
  }

  handle(request: RequestTo<"shard">): Result<AnyReply<"shard">> {
    if (request.type === "load") return success({ connections: this.connections });
    const isHeld = this.#admission.hold(request.connection, this.#ports.clock.now());
    return isHeld ? success(null) : failure("full", "the shard is full");
  }

  /**
   * Takes one of the shard's places, subscribes before the first client is welcomed, and gathers what
   * a client that comes back lacks.
   */
  async admit(
    connection: string,
    request: ClientRequest = plainRequest,
  ): Promise<Result<null, "full" | "unavailable">> {
    const hasEntered = this.#admission.enter(connection, this.#ports.clock.now());
    if (!hasEntered) return failure("full", "the shard is full");
    const subscribed = await this.#subscription.ensure();
    if (subscribed.ok && (await this.#reach(request.resume))) return success(null);
    this.release();
    return failure("unavailable", "the room's sequencer cannot be reached");
  }

  /** Gives an admitted place back. */
  release(): void {
    this.#admission.entered();
    this.#lingerIfEmpty();
  }

  /** The admitted socket is open: from here on it misses nothing. */
  welcome(socket: Socket, connection = "", request: ClientRequest = plainRequest): void {
    this.#admission.entered();
    this.#lingerUntil = null;
    const { position } = this.#fanOut;
    if (!request.speaksProtocol) {
      this.#audience.addPlain(socket, new TopicFilters(request.topics));
    } else if (position !== null) {
      const isHeld = request.resume !== null && this.#canReplay(request.resume);
      this.#sessions.welcome(socket, connection, request, position, isHeld);
      if (request.resume !== null) this.#history.welcomed(request.resume);
    }
    this.#clientsChanged();
  }

  /** The client of protocol 1 that this socket belongs to; `undefined` for a plain one. */
  protocolClient(socket: Socket): ProtocolClient | undefined {
    return this.#audience.protocolClients.get(socket);
  }

  /** A frame of a client of protocol 1; returns what the room class is to get of it, if anything. */
  receive(client: ProtocolClient, message: MessageData): MessageData | null {
    const forClass = this.#sessions.receive(client, message);
    this.#intake.recheck();
    this.#armWake();
    return forClass;
  }

  /** The room class sends to one client of protocol 1 of this shard alone. */
  sendLocal(socket: Socket, data: MessageData): void {
    const client = this.protocolClient(socket);
    if (client === undefined) return;
    const frame = { type: "local", data: encodePayload(data) } as const;
    this.#audience.say(client, frame, this.#ports.clock.now());
    this.#armWake();
  }

  /** The socket has closed. */
  leave(socket: Socket): void {
    const client = this.protocolClient(socket);
    if (!this.#audience.remove(socket)) return;
    if (client !== undefined) this.#sessions.leave(client);
    this.#clientsChanged();
    this.#lingerIfEmpty();
  }

  handleLinkOpen(socket: IncomingLink): void {
    if (this.#admission.isEmpty && this.#subscription.isNone) {
      socket.close(closeCodes.noClients, "no clients");
      return;
    }
    this.#renewal.linked();
    const { beginning } = this.#subscription;
    if (beginning === null) return this.#intake.open(socket);
    // Where former clients were means nothing to those on their way: the answer tells where the shard
    // begins, and a link that knew less would be sent what lies before it, or a reset.
    this.#earlyLinks.add(socket);
    void beginning.then(() => this.#openEarly(socket));
  }

  handleLinkMessage(socket: IncomingLink, message: string): void | Promise<void> {
    this.#reporter.used();
    return this.#intake.receive(socket, message);
  }

  handleLinkClose(socket: IncomingLink): void {
    if (this.#earlyLinks.delete(socket)) return;
    this.#intake.close(socket, this.connections > 0);
  }

  /** Time has passed. */
  wake(): void {
    const now = this.#ports.clock.now();
    this.#reporter.wake(now);
    if (this.#lingerUntil !== null && this.#lingerUntil <= now) {
      this.#lingerUntil = null;
      if (this.#admission.isEmpty) this.#subscription.end();
    }
    this.#renewal.wake(now);
    this.#audience.expire(now);
    this.#history.expire(now);
    this.#intake.recheck();
    this.#armWake();
  }

  #createIntake(): Intake {
    return new Intake({
      clock: this.#ports.clock,
      isOverrun: (now) => this.#audience.isOverrun(now),
      fanOut: this.#fanOut,
      upstream: this.#upstream,
      count: (what) => this.#counters.increment(what),
      onApplied: ({ seq }) => {
        this.#history.arrived(seq);
        this.#armWake();
      },
      onReset: () => {
        this.#clientsChanged();
        this.#lingerIfEmpty();
      },
      onEnded: () => this.#store(),
      onBroken: () => this.#renewal.later(),
    });
  }

  #openEarly(socket: IncomingLink): void {
    if (!this.#earlyLinks.delete(socket)) return;
    if (this.#subscription.id === null) socket.close(closeCodes.noClients, "no clients");
    else this.#intake.open(socket);
  }

  async #restore(clients: Iterable<ClientSocket>, links: Iterable<IncomingLink>): Promise<void> {
    const all = [...clients];
    const rows = await this.#ports.storage.list("shard");
    const row = v.safeParse(rowSchema, rows.get("shard"));
    // Without clients nobody is owed anything: the past of this object does not matter.
    if (all.length === 0) {
      await this.#sessions.restore([], 0);
      for (const link of links) link.close(closeCodes.noClients, "no clients");
      if (row.success) this.#endFormerLife(row.output.subscription);
      return;
    }
    if (row.success) {
      this.#subscription.restore(row.output.subscription);
      this.#fanOut.advance(row.output.position);
    }
    for (const socket of links) this.#intake.restore(socket);
    for (const { socket, request } of all) {
      if (!request.speaksProtocol)
        this.#audience.addPlain(socket, new TopicFilters(request.topics));
    }
    const { position } = this.#fanOut;
    const speakers = all.filter(({ request }) => request.speaksProtocol);
    if (position !== null) await this.#sessions.restore(speakers, position.seq);
    // Some may have to come again, perhaps all.
    if (this.connections < all.length) this.#reporter.changed();
    this.#lingerIfEmpty();
    this.#updateAutoPong();
  }

  /** The last client left while the object slept, or it crashed with all of them. */
  #endFormerLife(subscription: string): void {
    this.#ports.storage.delete(["shard"]);
    this.#subscription.endFormer(subscription);
    this.#reporter.changed();
  }

  /** A room class that gets its messages as requests sends for itself, so nothing can be replayed. */
  #canReplay(position: Position): boolean {
    if (this.#ports.canReplay !== false) return this.#history.holds(position);
    const here = this.#fanOut.position;
    return here?.epoch === position.epoch && here.seq === position.seq;
  }

  async #reach(position: Position | null): Promise<boolean> {
    if (position === null || this.#ports.canReplay === false) return true;
    const reached = this.#history.reach(position);
    this.#armWake();
    return reached;
  }

  /** The audience has closed it. */
  #lost(client: ProtocolClient): void {
    this.#sessions.leave(client);
    this.#clientsChanged();
    this.#lingerIfEmpty();
  }

  #handleSubscribed({ epoch, seq }: Subscribed): void {
    // Clients that were here before must get what they lack; without any, the shard starts here.
    if (this.connections === 0) this.#fanOut.advance({ epoch, seq });
    this.#store();
  }

  #store(): void {
    const subscription = this.#subscription.id;
    const { position } = this.#fanOut;
    if (subscription === null || position === null) return;
    this.#ports.storage.put({ shard: { subscription, position } });
  }

  #clientsChanged(): void {
    this.#reporter.changed();
    this.#intake.recheck();
    this.#updateAutoPong();
  }

  /** A plain socket's `ping` is for the room class, so the platform must not answer it. */
  #updateAutoPong(): void {
    const speakers = this.#audience.protocolClients.size;
    const isOn = speakers > 0 && speakers === this.#audience.size;
    if (isOn === this.#hasAutoPong) return;
    this.#hasAutoPong = isOn;
    this.#ports.setAutoPong?.(isOn);
  }

  #lingerIfEmpty(): void {
    if (!this.#admission.isEmpty) return;
    this.#lingerUntil = this.#ports.clock.now() + lingerMs;
    this.#armWake();
  }

  #armWake(): void {
    const times = [
      this.#reporter.nextDeadline(),
      this.#lingerUntil,
      this.#renewal.nextDeadline(),
      this.#audience.nextDeadline(),
      this.#history.nextDeadline(),
      this.#intake.nextDeadline(),
    ];
    const known = times.filter((at) => at !== null);
    this.#ports.wakeups.soon(known.length === 0 ? null : Math.min(...known));
  }
}
