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
import type { AnyReply, LoadReply, RequestTo } from "../protocol/calls.ts";
import { closeCodes } from "../protocol/close-codes.ts";
import type { ShardId } from "../protocol/names.ts";
import { encodeFrame } from "../protocol/link.ts";
import { encodePayload, type MessageData } from "../protocol/payload.ts";
import { success, type Result } from "../protocol/result.ts";
import type { Entry } from "./admission.ts";
import { Clients, type ClientSocket } from "./clients.ts";
import type { AudienceBounds } from "./audience.ts";
import { Entrance } from "./entrance.ts";
import { FanOut, type BroadcastHook } from "./fan-out.ts";
import { History } from "./history.ts";
import { Intake, type IncomingLink } from "./intake.ts";
import { Links } from "./links.ts";
import { LoadReporter } from "./load-reporter.ts";
import type { ProtocolClient } from "./protocol-client.ts";
import { Renewal } from "./renewal.ts";
import { revive } from "./revival.ts";
import { Service } from "./service.ts";
import { answerStateCall, State, type StateCall, type StateHooks } from "./state.ts";
import { StateFailures } from "./state-failures.ts";
import { Stay } from "./stay.ts";
import { Upstream } from "./upstream.ts";

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
  readonly #stay: Stay;
  readonly #renewal: Renewal;
  readonly #reporter: LoadReporter;
  readonly #state: State | null;
  readonly #service: Service;
  readonly #entrance: Entrance;
  readonly #counters = new Counters();
  readonly #failures = new StateFailures({
    count: (what) => this.#counters.increment(what),
    onFailed: () => this.#reporter.changed(),
  });
  readonly #links: Links;

  private constructor(id: ShardId, type: RoomType, ports: ShardPorts) {
    this.#ports = ports;
    const { entropy, calls } = ports;
    const count = (what: string): void => this.#counters.increment(what);
    const firstId = Math.floor(entropy.random() * 2 ** 40);
    const send = (frame: string): boolean => this.#intake.send(frame);
    const onFenced = (): void => this.#fence();
    this.#upstream = new Upstream(id, calls, send, firstId, onFenced);
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
      onLeft: () => this.#stay.lingerIfEmpty(),
    });
    this.#state = this.#stateOf(id, type);
    this.#fanOut = this.#createFanOut();
    this.#stay = this.#createStay(id);
    this.#history = new History(id, ports, this.#clients.audience, this.#fanOut);
    this.#intake = this.#createIntake();
    this.#renewal = new Renewal({
      ...ports,
      hasClients: () => this.connections > 0,
      isLinked: () => this.#intake.isOpen,
      renew: () => this.#stay.renew(),
      armWake: () => this.#armWake(),
    });
    this.#service = new Service({
      ...ports,
      connections: () => this.connections,
      sockets: () => this.#clients.audience.sockets(),
      move: (socket) => this.#clients.move(socket),
    });
    this.#reporter = new LoadReporter({
      ...ports,
      shard: id,
      leaseIntervalMs: type.heartbeatIntervalMs,
      load: () => this.#load,
      onFenced,
      counters: this.#counters,
      sayOnLink: type.shards.max === 1 ? undefined : (load) => send(encodeFrame(load)),
      failures: this.#failures,
      wakeAt: () => this.#armWake(),
    });
    this.#entrance = this.#createEntrance();
    this.#links = new Links(this.#parts);
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
    const { refusal, isOver } = this.#service;
    switch (request.type) {
      case "load":
        return success(this.#load);
      case "takeSnapshot":
      case "restoreSnapshot":
        return isOver && refusal !== null ? refusal : answerStateCall(this.#state, request);
      case "drain":
        if (isOver && refusal !== null) return refusal;
        this.#drain(request.limitMs);
        return success(this.#load);
      case "fenced":
        this.#fence();
        return success(null);
      case "dispose":
        this.#dispose();
        return success(null);
      default:
        return refusal ?? this.#clients.handle(request);
    }
  }

  /**
   * Takes one of the shard's places, subscribes before the first client is welcomed, and gathers what
   * a client that comes back lacks. `claim` is what the client's ticket says.
   */
  admit(...who: Parameters<Entrance["admit"]>): ReturnType<Entrance["admit"]> {
    return this.#entrance.admit(...who);
  }

  /**
   * Resolves when the class has the state that its clients may expect, or will not have it soon;
   * `null` when it has.
   */
  stateReady(): Promise<unknown> | null {
    return this.#state === null || this.#state.isCurrent ? null : this.#state.ready();
  }

  /** Gives an admitted place back; a ticket that was used for it is good again. */
  release(entry?: Entry): void {
    this.#entrance.release(entry);
  }

  /**
   * The admitted socket is open: from here on it misses nothing. False when it was closed instead, as
   * the room was disposed since it was admitted, or the shard serves no more.
   */
  welcome(...who: Parameters<Entrance["welcome"]>): boolean {
    return this.#entrance.welcome(...who);
  }

  /** The client of protocol 1 that this socket belongs to; `undefined` for a plain one. */
  protocolClient(socket: Socket): ProtocolClient | undefined {
    return this.#clients.protocolClient(socket);
  }

  /** The player whose ticket this socket came with, also after it has left; `null` without one. */
  readonly playerOf: Clients["playerOf"] = (...who) => this.#clients.playerOf(...who);

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
    this.#links.open(socket);
  }

  handleLinkMessage(socket: IncomingLink, message: string): void | Promise<void> {
    return this.#links.receive(socket, message);
  }

  handleLinkClose(socket: IncomingLink): void {
    this.#links.close(socket);
  }

  /** Time has passed. */
  wake(): void {
    if (this.#service.isOver) return;
    const now = this.#ports.clock.now();
    this.#reporter.wake(now);
    this.#stay.wake(now);
    this.#renewal.wake(now);
    this.#service.wake(now);
    this.#clients.expire(now);
    this.#state?.wake(now);
    this.#history.expire(now);
    this.#intake.recheck();
    this.#armWake();
  }

  #createEntrance(): Entrance {
    return new Entrance({
      ...this.#parts,
      canReplay: this.#ports.canReplay !== false,
      stateReady: () => this.stateReady(),
      onWelcomed: () => this.#stay.welcomed(),
      armWake: () => this.#armWake(),
    });
  }

  #createFanOut(): FanOut {
    const { clock, onBroadcast, onHookError } = this.#ports;
    return new FanOut(this.#clients.audience, {
      clock,
      ...(this.#state === null ? {} : { folding: this.#state }),
      ...(onBroadcast === undefined ? {} : { onBroadcast }),
      onHookError: (error) => {
        this.#counters.increment("room_hook_errors");
        onHookError(error);
      },
    });
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
      onEnded: () => {
        this.#stay.store();
        this.#reporter.linkEnded(false);
      },
      onBroken: () => {
        this.#renewal.later();
        this.#reporter.linkEnded(true);
      },
    });
  }

  #createStay(shard: ShardId): Stay {
    const parts = { ...this.#ports, clients: this.#clients, fanOut: this.#fanOut };
    const isOver = (): boolean => this.#service.isOver;
    const told = { onFenced: () => this.#fence(), armWake: () => this.#armWake() };
    return new Stay({ ...parts, shard, isOver, ...told });
  }

  async #revive(clients: Iterable<ClientSocket>, links: Iterable<IncomingLink>): Promise<void> {
    await revive(this.#parts, clients, links);
    // Without a subscription nobody is to be waited for.
    if (!this.#stay.subscription.isNone) this.#stay.lingerIfEmpty();
    this.#armWake();
  }

  get #parts() {
    return {
      storage: this.#ports.storage,
      service: this.#service,
      clients: this.#clients,
      subscription: this.#stay.subscription,
      history: this.#history,
      fanOut: this.#fanOut,
      renewal: this.#renewal,
      intake: this.#intake,
      reporter: this.#reporter,
    };
  }

  get #load(): LoadReply {
    const { status } = this.#service;
    return {
      ...(status === "online" ? {} : { status }),
      ...this.#clients.load,
      ...this.#failures.load,
      at: this.#ports.clock.now(),
    };
  }

  /** Takes nobody from now on, and has those who are here come again, a few at a time. */
  #drain(limitMs: number): void {
    if (!this.#service.drain(limitMs)) return;
    // Before the first of them goes, so that whoever takes them begins with the state as it is now.
    if (this.connections > 0 && this.#state !== null) {
      void this.#service.holdUntil(this.#state.take()).then(() => this.#armWake());
    }
    this.#clients.vacate();
    this.#reporter.changed();
    this.#armWake();
  }

  #stateOf(shard: ShardId, type: RoomType): State | null {
    const parts = { fanOut: () => this.#fanOut, intake: () => this.#intake };
    const told = { failures: this.#failures, rearm: () => this.#armWake() };
    const connections = (): number => this.connections;
    return State.of({ ...this.#ports, shard, type, connections, ...parts, ...told });
  }

  /** A later generation has the slot: this object is over, and says nothing more to anybody. */
  #fence(): void {
    if (!this.#service.fence()) return;
    this.#stay.forget();
    this.#reporter.end();
    this.#upstream.end();
    this.#links.end();
    this.#state?.end();
    this.#clients.dispose(closeCodes.moved, "the shard is over; connect again");
    this.#armWake();
  }

  /** Everybody leaves for good. Who is on the way in comes into the room's next life. */
  #dispose(): void {
    this.#clients.dispose(closeCodes.roomDisposed, "the room was disposed");
    if (!this.#service.isOver && this.#clients.isEmpty) this.#stay.end();
  }

  #armWake(): void {
    if (this.#service.isOver) return this.#ports.wakeups.soon(null);
    const { service, reporter, renewal, history, intake } = this.#parts;
    const parts = [service, reporter, this.#stay, renewal, history, intake];
    const times = [
      ...parts.map((part) => part.nextDeadline()),
      ...this.#clients.nextDeadlines(),
      ...(this.#state?.nextDeadlines() ?? []),
    ];
    const known = times.filter((at) => at !== null);
    this.#ports.wakeups.soon(known.length === 0 ? null : Math.min(...known));
  }
}
