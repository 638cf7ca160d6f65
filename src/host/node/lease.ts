/**
 * A game server's lease at the registry: registering, heartbeats with reports, and what their answers
 * tell of the registry's time. One heartbeat at a time, at most ten a second. Knows nothing of rooms
 * or sockets.
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
  readonly registration: BodyInput<"registerServer">;
  readonly rooms: () => BodyInput<"heartbeat">["rooms"];
  /** In place of what the registry answers, ms. */
  readonly heartbeatIntervalMs?: number;
  readonly onAnswer: (answer: HeartbeatAnswer) => void;
  /** The registry knows this server and its rooms no more; it registers anew. */
  readonly onForgotten: () => void;
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
  #isOver = false;
  #failures = 0;
  /** The registry's time of the newest answer: the true time is never before it. */
  #registryTime = 0;
  #registeredAt = Infinity;
  #heldUntil = -Infinity;
  #intervalMs: number;
  readonly #started = Promise.withResolvers<RegistryResult<null>>();

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.#intervalMs = options.heartbeatIntervalMs ?? 5_000;
  }

  /** Epoch milliseconds by the registry's clock, never later than it is; 0 before the first answer. */
  get registryTime(): number {
    return this.#registryTime;
  }

  /** When the registry took this server in, by its clock: what it promised before that is forgotten. */
  get registeredAt(): number {
    return this.#registeredAt;
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
    const result = await this.#send();
    this.#isBusy = false;
    if (this.#isOver) return;
    if (result.ok) this.#take(result.value, sentAt);
    else this.#fail(result.problem);
  }

  #send(): Promise<RegistryResult<HeartbeatAnswer>> {
    const { registry, registration, rooms } = this.#options;
    if (!this.#isRegistered) return registry.registerServer(registration);
    const { serverId, instance } = registration;
    return registry.heartbeat(serverId, { instance, asOf: this.#registryTime, rooms: rooms() });
  }

  #take(answer: HeartbeatAnswer, sentAt: number): void {
    this.#failures = 0;
    this.#registryTime = Math.max(this.#registryTime, answer.now);
    this.#heldUntil = sentAt + answer.leaseMs;
    this.#intervalMs = this.#options.heartbeatIntervalMs ?? answer.heartbeatIntervalMs;
    const wasRegistered = this.#isRegistered;
    if (!wasRegistered) this.#registeredAt = answer.now;
    this.#isRegistered = true;
    this.#options.onAnswer(answer);
    this.#started.resolve({ ok: true, value: null });
    // A registration says nothing of rooms.
    if (this.#hasChanged || !wasRegistered) this.#armForChange();
    else this.#arm(this.#intervalMs);
  }

  #fail(problem: RegistryProblem): void {
    this.#options.onProblem(problem);
    if (problem.type === problemType("unknown-server") && this.#isRegistered) {
      // The lease ran out, or the registry lost its memory of it.
      this.#isRegistered = false;
      this.#heldUntil = -Infinity;
      this.#options.onForgotten();
      this.#arm(0);
      return;
    }
    if (!this.#isRegistered && !mayPass(problem)) {
      this.#started.resolve({ ok: false, problem });
      // What was refused before the first answer stays refused; later the operator may set it right.
      if (this.#registryTime === 0) return this.stop();
    }
    this.#failures += 1;
    this.#arm(backoffMs(this.#failures, Math.random(), retryBounds));
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
