/**
 * The parts of one shard, made for each other: which of them tells which of what. Decides nothing.
 */
import { Counters } from "../core/counters.ts";
import type { ObjectPorts } from "../core/ports.ts";
import type { RoomType } from "../core/rooms.ts";
import type { LoadReply } from "../protocol/calls.ts";
import { encodeFrame } from "../protocol/link.ts";
import type { ShardId } from "../protocol/names.ts";
import type { AudienceBounds } from "./audience.ts";
import { Clients } from "./clients.ts";
import { Entrance } from "./entrance.ts";
import { FanOut, type BroadcastHook } from "./fan-out.ts";
import { History } from "./history.ts";
import { Intake } from "./intake.ts";
import { Links } from "./links.ts";
import { LoadReporter } from "./load-reporter.ts";
import { Renewal } from "./renewal.ts";
import { Service } from "./service.ts";
import { State, type StateHooks } from "./state.ts";
import { StateFailures } from "./state-failures.ts";
import { Stay } from "./stay.ts";
import type { Subscription } from "./subscription.ts";
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

/** What the parts have of the shard as a whole. */
type Whole = {
  /** Deadlines have changed. */
  readonly armWake: () => void;
  /** A later generation has the slot. */
  readonly fence: () => void;
};

export class Parts {
  readonly storage: ShardPorts["storage"];
  readonly upstream: Upstream;
  readonly clients: Clients;
  /** `null` when the room class keeps none. */
  readonly state: State | null;
  readonly fanOut: FanOut;
  readonly stay: Stay;
  readonly subscription: Subscription;
  readonly history: History;
  readonly intake: Intake;
  readonly renewal: Renewal;
  readonly service: Service;
  readonly reporter: LoadReporter;
  readonly entrance: Entrance;
  readonly links: Links;
  readonly #counters = new Counters();
  readonly #failures: StateFailures;
  readonly #ports: ShardPorts;
  readonly #whole: Whole;

  constructor(id: ShardId, type: RoomType, ports: ShardPorts, whole: Whole) {
    const count = (what: string): void => this.#count(what);
    this.#ports = { ...ports, onHookError: withoutThrowing(ports.onHookError, count) };
    this.#whole = whole;
    this.storage = ports.storage;
    this.#failures = new StateFailures({ count, onFailed: () => this.reporter.changed() });
    const firstId = Math.floor(ports.entropy.random() * 2 ** 40);
    const send = (frame: string): boolean => this.intake.send(frame);
    this.upstream = new Upstream(id, ports.calls, send, firstId, whole.fence);
    this.clients = this.#createClients(id, type);
    this.state = this.#createState(id, type);
    this.fanOut = this.#createFanOut();
    this.stay = this.#createStay(id);
    this.subscription = this.stay.subscription;
    const timed = { ...ports, armWake: whole.armWake };
    this.history = new History(id, timed, this.clients.audience, this.fanOut);
    this.intake = this.#createIntake();
    this.renewal = new Renewal({
      ...timed,
      hasClients: () => this.clients.size > 0,
      isLinked: () => this.intake.isOpen,
      renew: () => this.stay.renew(),
    });
    this.service = new Service({
      ...ports,
      connections: () => this.clients.size,
      sockets: () => this.clients.audience.sockets(),
      move: (socket) => this.clients.move(socket),
      save: () => (this.clients.size === 0 ? null : (this.state?.save() ?? null)),
      rearm: whole.armWake,
    });
    this.reporter = this.#createReporter(id, type);
    this.entrance = this.#createEntrance();
    this.links = new Links(this);
  }

  /** What the shard says of itself. */
  get load(): LoadReply {
    const { status } = this.service;
    return {
      ...(status === "online" ? {} : { status }),
      ...this.clients.load,
      ...this.#failures.load,
      at: this.#ports.clock.now(),
    };
  }

  /**
   * Resolves when the class has the state that its clients may expect, or will not have it soon;
   * `null` when it has.
   */
  stateReady(): Promise<unknown> | null {
    return this.state === null || this.state.isCurrent ? null : this.state.ready();
  }

  #count(what: string): void {
    this.#counters.increment(what);
  }

  #createClients(shard: ShardId, type: RoomType): Clients {
    return new Clients({
      ...this.#ports,
      shard,
      type,
      upstream: this.upstream,
      count: (what) => this.#count(what),
      setAutoPong: this.#ports.setAutoPong,
      bounds: this.#ports.bounds,
      onChange: () => {
        this.reporter.changed();
        this.intake.recheck();
        this.#whole.armWake();
      },
      onLeft: () => this.stay.lingerIfEmpty(),
    });
  }

  #createState(shard: ShardId, type: RoomType): State | null {
    const parts = { fanOut: () => this.fanOut, intake: () => this.intake };
    const told = { failures: this.#failures, rearm: this.#whole.armWake };
    const connections = (): number => this.clients.size;
    return State.of({ ...this.#ports, shard, type, connections, ...parts, ...told });
  }

  #createFanOut(): FanOut {
    const { clock, onBroadcast, onHookError } = this.#ports;
    return new FanOut(this.clients.audience, {
      clock,
      ...(this.state === null ? {} : { folding: this.state }),
      ...(onBroadcast === undefined ? {} : { onBroadcast }),
      onHookError: (error) => {
        this.#count("room_hook_errors");
        onHookError(error);
      },
    });
  }

  #createStay(shard: ShardId): Stay {
    const parts = { ...this.#ports, clients: this.clients, fanOut: this.fanOut };
    const isOver = (): boolean => this.service.isOver;
    const told = { onFenced: this.#whole.fence, armWake: this.#whole.armWake };
    return new Stay({ ...parts, shard, isOver, ...told });
  }

  #createIntake(): Intake {
    return new Intake({
      clock: this.#ports.clock,
      isOverrun: (now) => this.clients.audience.isOverrun(now),
      fanOut: this.fanOut,
      upstream: this.upstream,
      count: (what) => this.#count(what),
      onApplied: ({ seq }) => {
        this.history.arrived(seq);
        this.#whole.armWake();
      },
      onReset: () => this.clients.reset(),
      onEnded: () => {
        this.stay.store();
        this.reporter.linkEnded(false);
      },
      onBroken: () => {
        this.renewal.later();
        this.reporter.linkEnded(true);
      },
    });
  }

  #createReporter(shard: ShardId, type: RoomType): LoadReporter {
    const hasOthers = type.shards.max > 1;
    return new LoadReporter({
      ...this.#ports,
      shard,
      leaseIntervalMs: type.heartbeatIntervalMs,
      load: () => this.load,
      onFenced: this.#whole.fence,
      counters: this.#counters,
      sayOnLink: hasOthers ? (load) => this.intake.send(encodeFrame(load)) : undefined,
      failures: this.#failures,
      wakeAt: this.#whole.armWake,
    });
  }

  #createEntrance(): Entrance {
    const { service, clients, subscription, history, fanOut } = this;
    return new Entrance({
      service,
      clients,
      subscription,
      history,
      fanOut,
      canReplay: this.#ports.canReplay !== false,
      stateReady: () => this.stateReady(),
      onWelcomed: () => this.stay.welcomed(),
      armWake: this.#whole.armWake,
    });
  }
}

/** What the class makes of an error must not stop the shard. */
function withoutThrowing(
  onHookError: (error: unknown) => void,
  count: (what: string) => void,
): (error: unknown) => void {
  return (error) => {
    try {
      onHookError(error);
    } catch {
      count("room_error_hook_errors");
    }
  };
}
