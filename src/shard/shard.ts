/**
 * One shard of a room: admits clients up to its capacity, takes the room's messages from the
 * sequencer's link, and has them sent. Knows nothing of other shards and nothing of the room class
 * but its broadcast hook.
 *
 * The order of one connect: `admit`, then the host accepts the socket and calls `welcome` in the
 * same turn, with the entry that it was given; or `release` when the socket came to nothing.
 */
import { Counters } from "../core/counters.ts";
import type { ObjectPorts, Socket } from "../core/ports.ts";
import type { RoomType } from "../core/rooms.ts";
import type { AnyReply, RequestTo, SeatClaim, Subscribed } from "../protocol/calls.ts";
import type { ClientRequest } from "../protocol/client-request.ts";
import { closeCodes } from "../protocol/close-codes.ts";
import type { Position } from "../protocol/link.ts";
import type { ShardId } from "../protocol/names.ts";
import { encodePayload, type MessageData } from "../protocol/payload.ts";
import { failure, success, type Result } from "../protocol/result.ts";
import { noSeat, type Entry, type Refused } from "./admission.ts";
import { Clients, plainRequest, type ClientSocket } from "./clients.ts";
import type { AudienceBounds } from "./audience.ts";
import { FanOut, type BroadcastHook } from "./fan-out.ts";
import { History } from "./history.ts";
import { Intake, type IncomingLink } from "./intake.ts";
import { LoadReporter } from "./load-reporter.ts";
import type { ProtocolClient } from "./protocol-client.ts";
import { Renewal } from "./renewal.ts";
import { revive } from "./revival.ts";
import { answerStateCall, State, type StateCall, type StateHooks } from "./state.ts";
import { Subscription } from "./subscription.ts";
import { Upstream } from "./upstream.ts";

/** After the last client has left for so long, the shard unsubscribes. */
const lingerMs = 5_000;

export type ShardPorts = ObjectPorts & {
  /** The registry object that keeps this room. */
  readonly registry: string;
  readonly onBroadcast?: BroadcastHook;
  /** Left out when the room class keeps no state. */
  readonly state?: StateHooks;
  /** Has the platform answer `ping` with `pong` for all sockets, or no longer, where it can. */
  readonly setAutoPong?: (isOn: boolean) => void;
  /** False when the hook has effects that a message read again must not have. Default true. */
  readonly canReplay?: boolean;
  readonly onHookError: (error: unknown) => void;
  /** Tests take smaller ones. */
  readonly bounds?: AudienceBounds;
};

type Reply = Result<AnyReply<"shard">>;

export class Shard {
  readonly #ports: ShardPorts;
  readonly #fanOut: FanOut;
  readonly #clients: Clients;
  readonly #upstream: Upstream;
  readonly #history: History;
  readonly #intake: Intake;
  readonly #subscription: Subscription;
  readonly #renewal: Renewal;
  readonly #reporter: LoadReporter;
  readonly #state: State | null;
  readonly #counters = new Counters();
  /** Links that opened before the answer to `subscribe` came. */
  readonly #earlyLinks = new Set<IncomingLink>();
  #lingerUntil: number | null = null;

  private constructor(id: ShardId, type: RoomType, ports: ShardPorts) {
    this.#ports = ports;
    const { clock, entropy, calls } = ports;
    const count = (what: string): void => this.#counters.increment(what);
    const firstId = Math.floor(entropy.random() * 2 ** 40);
    this.#upstream = new Upstream(id, calls, (frame) => this.#intake.send(frame), firstId);
    this.#clients = new Clients({
      ...ports,
      shard: id,
      type,
      upstream: this.#upstream,
      count,
      setAutoPong: ports.setAutoPong,
      bounds: ports.bounds,
      onChange: () => {
        this.#reporter.changed();
        this.#intake.recheck();
        this.#armWake();
      },
      onLeft: () => this.#lingerIfEmpty(),
    });
    this.#state = this.#stateOf(id, type, ports);
    this.#fanOut = new FanOut(this.#clients.audience, {
      clock,
      ...(this.#state === null ? {} : { folding: this.#state }),
      ...(ports.onBroadcast === undefined ? {} : { onBroadcast: ports.onBroadcast }),
      onHookError: (error) => {
        count("room_hook_errors");
        ports.onHookError(error);
      },
    });
    this.#subscription = new Subscription(id, calls, (subscribed) =>
      this.#handleSubscribed(subscribed),
    );
    this.#history = new History(id, ports, this.#clients.audience, this.#fanOut);
    this.#intake = this.#createIntake();
    this.#renewal = new Renewal({
      clock,
      entropy,
      hasClients: () => this.connections > 0,
      isLinked: () => this.#intake.isOpen,
      renew: () => this.#subscription.renew(this.#fanOut.position),
      armWake: () => this.#armWake(),
    });
    this.#reporter = new LoadReporter({
      shard: id,
      registry: ports.registry,
      leaseIntervalMs: type.heartbeatIntervalMs,
      clock,
      entropy,
      calls,
      load: () => this.#clients.load,
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
    await shard.#revive(clients, links);
    return shard;
  }

  get connections(): number {
    return this.#clients.size;
  }

  handle(request: Exclude<RequestTo<"shard">, StateCall>): Reply;
  handle(request: RequestTo<"shard">): Reply | Promise<Reply>;
  handle(request: RequestTo<"shard">): Reply | Promise<Reply> {
    switch (request.type) {
      case "load":
        return success({
          ...this.#clients.load,
          ...this.#state?.load,
          at: this.#ports.clock.now(),
        });
      case "takeSnapshot":
      case "restoreSnapshot":
        return answerStateCall(this.#state, request);
      case "dispose":
        this.#dispose();
        return success(null);
      default:
        return this.#clients.handle(request);
    }
  }

  /**
   * Takes one of the shard's places, subscribes before the first client is welcomed, and gathers what
   * a client that comes back lacks. `claim` is what the client's ticket says.
   */
  async admit(
    connection: string,
    request: ClientRequest = plainRequest,
    claim: SeatClaim | null = null,
  ): Promise<Result<Entry, Refused | "unavailable">> {
    const entered = this.#clients.enter(connection, request, claim);
    if (!entered.ok) return entered;
    const subscribed = await this.#subscription.ensure();
    // Who is here already shows that the room goes on without its state.
    const isReady = subscribed.ok && ((await this.stateReady()) !== false || this.connections > 0);
    if (isReady && (await this.#reach(request.resume))) return entered;
    this.release(entered.value);
    return failure("unavailable", "the room's sequencer or its state cannot be reached");
  }

  /**
   * Resolves when the class has the state that its clients may expect, or will not have it soon;
   * `null` when it has.
   */
  stateReady(): Promise<unknown> | null {
    return this.#state === null || this.#state.isCurrent ? null : this.#state.ready();
  }

  /** Gives an admitted place back; a ticket that was used for it is good again. */
  release(entry: Entry = noSeat): void {
    this.#clients.release(entry);
    this.#armWake();
  }

  /**
   * The admitted socket is open: from here on it misses nothing. False when it was closed instead, as
   * the room was disposed since it was admitted.
   */
  welcome(
    socket: Socket,
    connection = "",
    request: ClientRequest = plainRequest,
    entry: Entry = noSeat,
  ): boolean {
    const { position } = this.#fanOut;
    const isHeld = request.resume !== null && this.#canReplay(request.resume);
    const client = { socket, connection, request };
    if (!this.#clients.welcome(client, entry, { position, isHeld })) return false;
    if (request.resume !== null) this.#history.welcomed(request.resume);
    this.#lingerUntil = null;
    return true;
  }

  /** The client of protocol 1 that this socket belongs to; `undefined` for a plain one. */
  protocolClient(socket: Socket): ProtocolClient | undefined {
    return this.#clients.protocolClient(socket);
  }

  /** A frame of a client of protocol 1; returns what the room class is to get of it, if anything. */
  receive(client: ProtocolClient, message: MessageData): MessageData | null {
    const forClass = this.#clients.receive(client, message);
    this.#intake.recheck();
    this.#armWake();
    return forClass;
  }

  /** The room class sends to one client of protocol 1 of this shard alone. */
  sendLocal(socket: Socket, data: MessageData): void {
    const client = this.protocolClient(socket);
    if (client === undefined) return;
    const frame = { type: "local", data: encodePayload(data) } as const;
    this.#clients.audience.say(client, frame, this.#ports.clock.now());
    this.#armWake();
  }

  /** The socket has closed. */
  leave(socket: Socket): void {
    // One of a former life that this one never counted: the registry may count it still.
    if (!this.#clients.leave(socket)) this.#reporter.used();
  }

  handleLinkOpen(socket: IncomingLink): void {
    if (this.#clients.isEmpty && this.#subscription.isNone) {
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
      if (this.#clients.isEmpty) this.#subscription.end();
    }
    this.#renewal.wake(now);
    this.#clients.expire(now);
    this.#state?.wake(now);
    this.#history.expire(now);
    this.#intake.recheck();
    this.#armWake();
  }

  #createIntake(): Intake {
    return new Intake({
      clock: this.#ports.clock,
      isOverrun: (now) => this.#clients.audience.isOverrun(now),
      fanOut: this.#fanOut,
      upstream: this.#upstream,
      count: (what) => this.#counters.increment(what),
      onApplied: ({ seq }) => {
        this.#history.arrived(seq);
        this.#armWake();
      },
      onReset: () => this.#clients.reset(),
      onEnded: () => this.#store(),
      onBroken: () => this.#renewal.later(),
    });
  }

  #openEarly(socket: IncomingLink): void {
    if (!this.#earlyLinks.delete(socket)) return;
    if (this.#subscription.id === null) socket.close(closeCodes.noClients, "no clients");
    else this.#intake.open(socket);
  }

  async #revive(clients: Iterable<ClientSocket>, links: Iterable<IncomingLink>): Promise<void> {
    const { storage } = this.#ports;
    const [subscription, fanOut, intake] = [this.#subscription, this.#fanOut, this.#intake];
    const parts = {
      clients: this.#clients,
      subscription,
      fanOut,
      intake,
      reporter: this.#reporter,
    };
    await revive({ storage, ...parts }, clients, links);
    if (this.#subscription.id !== null) this.#lingerIfEmpty();
  }

  /** A room class that gets its messages as requests sends for itself, so nothing can be replayed. */
  #canReplay(position: Position): boolean {
    if (this.#ports.canReplay !== false) return this.#history.holds(position);
    const here = this.#fanOut.position;
    return here?.epoch === position.epoch && here.seq === position.seq;
  }

  #stateOf(shard: ShardId, type: RoomType, ports: ShardPorts): State | null {
    const parts = { fanOut: () => this.#fanOut, intake: () => this.#intake };
    const count = (what: string): void => this.#counters.increment(what);
    const told = { count, onFailed: () => this.#reporter.changed(), rearm: () => this.#armWake() };
    return State.of({ ...ports, shard, type, ...parts, ...told });
  }

  async #reach(position: Position | null): Promise<boolean> {
    if (position === null || this.#ports.canReplay === false) return true;
    const reached = this.#history.reach(position);
    this.#armWake();
    return reached;
  }

  #handleSubscribed({ epoch, seq }: Subscribed): void {
    // Clients that were here before must get what they lack; without any, the shard starts here.
    if (this.connections === 0) this.#fanOut.advance({ epoch, seq });
    this.#store();
  }

  /** Everybody leaves for good. Who is on the way in comes into the room's next life. */
  #dispose(): void {
    this.#clients.dispose();
    if (!this.#clients.isEmpty) return;
    this.#lingerUntil = null;
    this.#ports.storage.delete(["shard"]);
    this.#subscription.end();
  }

  #store(): void {
    const subscription = this.#subscription.id;
    const { position } = this.#fanOut;
    if (subscription === null || position === null) return;
    this.#ports.storage.put({ shard: { subscription, position } });
  }

  #lingerIfEmpty(): void {
    if (!this.#clients.isEmpty) return;
    this.#lingerUntil = this.#ports.clock.now() + lingerMs;
    this.#armWake();
  }

  #armWake(): void {
    const times = [
      this.#reporter.nextDeadline(),
      this.#lingerUntil,
      this.#renewal.nextDeadline(),
      ...this.#clients.nextDeadlines(),
      ...(this.#state?.nextDeadlines() ?? []),
      this.#history.nextDeadline(),
      this.#intake.nextDeadline(),
    ];
    const known = times.filter((at) => at !== null);
    this.#ports.wakeups.soon(known.length === 0 ? null : Math.min(...known));
  }
}
