/**
 * A game server's lease at the registry: registering, heartbeats with reports, and what their answers
 * tell of the registry's time. One heartbeat at a time, at most ten a second: one in each interval
 * tells of all rooms, whatever the registry has heard and kept, the others of what has changed. Knows
 * nothing of rooms or sockets.
 *
 * Each start of service is an instance of its own: when the registry has forgotten the server, or was
 * silent for longer than it would wait for the server, all that it promised before is void.
 */
import type { RegistryClient, RegistryProblem } from "../../../client/registry-client.ts";
import { problemType, type RegistryResult } from "../../../client/registry-client.ts";
import { backoffMs } from "../../core/backoff.ts";
import type { BodyInput, HeartbeatAnswer } from "../../protocol/registry.ts";

/** Changes within this time go out in one heartbeat, and there is none sooner after another. */
const batchMs = 100;
const retryBounds = { baseMs: 250, maxMs: 5_000 };

/** As much of the registry's client as a lease needs. */
export type LeaseRegistry = Pick<RegistryClient, "registerServer" | "heartbeat">;

export type LeaseOptions = {
  readonly registry: LeaseRegistry;
  readonly registration: Omit<BodyInput<"registerServer">, "instance">;
  /** A name that no start of service has had before. */
  readonly newInstance: () => string;
  /** All rooms, or those that are not as they were in the report before. */
  readonly rooms: (which: "all" | "changed") => BodyInput<"heartbeat">["rooms"];
  /** In place of what the registry answers, ms. */
  readonly heartbeatIntervalMs?: number;
  readonly onAnswer: (answer: HeartbeatAnswer) => void;
  /** Rooms may be elsewhere by now, and their seats another's; the server registers anew. */
  readonly onLost: (reason: string) => void;
  /** Why the lease cannot be had or renewed at the moment; it is tried again. */
  readonly onProblem: (problem: RegistryProblem) => void;
};

export class Lease {
  readonly #options: LeaseOptions;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #dueAt = Infinity;
  #isBusy = false;
  #hasChanged = false;
  #isRegistered = false;
  /** When the newest report of all rooms that has arrived was sent; what came after it has arrived too. */
  #toldAllAt = -Infinity;
  #isOver = false;
  #failures = 0;
  /** The registry's time of the newest answer: the true time is never before it. */
  #registryTime = 0;
  #instance: string;
  #heldUntil = -Infinity;
  #lossTimer: ReturnType<typeof setTimeout> | null = null;
  #intervalMs: number;
  readonly #started = Promise.withResolvers<RegistryResult<null>>();

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.#instance = options.newInstance();
    this.#intervalMs = options.heartbeatIntervalMs ?? 5_000;
  }

  /** Epoch milliseconds by the registry's clock, never later than it is; 0 before the first answer. */
  get registryTime(): number {
    return this.#registryTime;
  }

  /** What the registry promised on behalf of any other is void. */
  get instance(): string {
    return this.#instance;
  }

  /** Whether the registry certainly takes this server for alive. */
  get isHeld(): boolean {
    return performance.now() < this.#heldUntil;
  }

  /**
   * Resolves when the server is registered, or with the problem when the registry refuses for good.
   * Tries until one of both, or until `stop`.
   */
  start(): Promise<RegistryResult<null>> {
    this.#arm(0);
    return this.#started.promise;
  }

  /** The report has changed. */
  changed(): void {
    this.#hasChanged = true;
    if (!this.#isBusy && this.#isRegistered) this.#armForChange();
  }

  /** No more heartbeats. */
  stop(): void {
    this.#isOver = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#heldUntil = -Infinity;
    this.#stopWatching();
    this.#started.resolve({ ok: false, problem: stopped });
  }

  #armForChange(): void {
    this.#arm(batchMs);
  }

  /** Due in so many milliseconds, unless it is due sooner. */
  #arm(delayMs: number): void {
    const at = performance.now() + delayMs;
    if (this.#isOver || at >= this.#dueAt) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#dueAt = at;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#dueAt = Infinity;
      void this.#beat();
    }, delayMs);
  }

  async #beat(): Promise<void> {
    if (this.#isBusy || this.#isOver) return;
    this.#isBusy = true;
    this.#hasChanged = false;
    const sentAt = performance.now();
    const instance = this.#instance;
    const isPartial = sentAt < this.#toldAllAt + this.#intervalMs;
    const result = await this.#send(isPartial);
    this.#isBusy = false;
    if (this.#isOver) return;
    // It was about an instance that was given up meanwhile.
    if (this.#instance !== instance) return this.#arm(0);
    if (!result.ok) return this.#fail(result.problem);
    if (this.#isRegistered && !isPartial) this.#toldAllAt = sentAt;
    this.#take(result.value, sentAt);
  }

  #send(isPartial: boolean): Promise<RegistryResult<HeartbeatAnswer>> {
    const { registry, registration, rooms } = this.#options;
    const instance = this.#instance;
    if (!this.#isRegistered) return registry.registerServer({ ...registration, instance });
    const report = { instance, asOf: this.#registryTime };
    return registry.heartbeat(
      registration.serverId,
      isPartial
        ? { ...report, isPartial, rooms: rooms("changed") }
        : { ...report, rooms: rooms("all") },
    );
  }

  #take(answer: HeartbeatAnswer, sentAt: number): void {
    this.#failures = 0;
    this.#registryTime = Math.max(this.#registryTime, answer.now);
    this.#heldUntil = sentAt + answer.leaseMs;
    this.#intervalMs = this.#options.heartbeatIntervalMs ?? answer.heartbeatIntervalMs;
    const wasRegistered = this.#isRegistered;
    this.#isRegistered = true;
    this.#watch(answer.leaseMs);
    this.#options.onAnswer(answer);
    this.#started.resolve({ ok: true, value: null });
    // A registration says nothing of rooms.
    if (this.#hasChanged || !wasRegistered) this.#armForChange();
    else {
      const leftMs = this.#toldAllAt + this.#intervalMs - performance.now();
      this.#arm(Math.max(leftMs, Math.min(batchMs, this.#intervalMs)));
    }
  }

  #fail(problem: RegistryProblem): void {
    this.#toldAllAt = -Infinity;
    this.#options.onProblem(problem);
    if (problem.type === problemType("unknown-server") && this.#isRegistered) {
      // The lease ran out, or the registry lost its memory of it.
      return this.#lose("the registry has forgotten this server's rooms");
    }
    if (!this.#isRegistered && !mayPass(problem)) {
      this.#started.resolve({ ok: false, problem });
      // What was refused before the first answer stays refused; later the operator may set it right.
      if (this.#registryTime === 0) return this.stop();
    }
    this.#failures += 1;
    this.#arm(backoffMs(this.#failures, Math.random(), retryBounds));
  }

  /** Gives up when the lease has been out for as long as it ran: by then rooms are given to others. */
  #watch(leaseMs: number): void {
    this.#stopWatching();
    const delayMs = this.#heldUntil + leaseMs - performance.now();
    const reason = "this server has not reached the registry for too long";
    this.#lossTimer = setTimeout(() => this.#lose(reason), Math.max(0, delayMs));
  }

  #stopWatching(): void {
    if (this.#lossTimer !== null) clearTimeout(this.#lossTimer);
    this.#lossTimer = null;
  }

  #lose(reason: string): void {
    this.#stopWatching();
    this.#isRegistered = false;
    this.#toldAllAt = -Infinity;
    this.#heldUntil = -Infinity;
    this.#instance = this.#options.newInstance();
    this.#options.onLost(reason);
    this.#arm(0);
  }
}

/** A former process with the same id loses its lease in time; a registry comes back. */
function mayPass({ type, status }: RegistryProblem): boolean {
  return status >= 500 || status === 429 || type === problemType("server-exists");
}

const stopped: RegistryProblem = {
  type: problemType("unavailable"),
  title: "The server was stopped",
  status: 503,
  detail: "the server was stopped before the registry had an answer",
};
