/**
 * The whole registry in one Node process, behind the same HTTP API: for tests, and for deployments
 * whose rooms are all on game servers. It has no shards: rooms of types that no server offers cannot
 * be reached. Translates, and decides nothing.
 */
import { hub, isPartitionName } from "../../core/partitions.ts";
import type { Caller, ObjectPorts, Storage } from "../../core/ports.ts";
import type { Rooms } from "../../core/rooms.ts";
import { Gate } from "../../gate/gate.ts";
import type { GatePorts } from "../../gate/ports.ts";
import type { ReplyTo, RequestTo, Role } from "../../protocol/calls.ts";
import { failure, type Result } from "../../protocol/result.ts";
import { Registry } from "../../registry/registry.ts";
import { answerWithStream } from "../event-stream.ts";
import { clock, entropy, WakeTimer, within } from "../platform.ts";
import { MemoryStorage } from "./memory-storage.ts";

export type LocalRegistryOptions = {
  readonly rooms: Rooms;
  /** The admin token, which its clients bring. */
  readonly token: string;
  /** Signs tickets; 32 bytes or more. */
  readonly secret: string;
  /** Rows of a partition (`default`, `default-1`, …). Default: in memory, gone with the process. */
  readonly storage?: (partition: string) => Storage;
  readonly onError?: (error: unknown) => void;
};

export interface LocalRegistry {
  /** Answers one request of the registry's HTTP API. Never rejects. */
  readonly fetch: (request: Request) => Promise<Response>;
  /** No timers run any more. */
  readonly close: () => void;
}

const maxQueryLength = 8 * 1024;

export function createLocalRegistry(options: LocalRegistryOptions): LocalRegistry {
  const partitions = new Partitions(options);
  const gate = new Gate(options.rooms);
  const ports = gatePorts(partitions, options);
  return {
    fetch: (request) => gate.handle(request, ports),
    close: () => partitions.close(),
  };
}

class Partitions {
  readonly #options: LocalRegistryOptions;
  readonly #registries = new Map<string, Promise<Registry>>();
  readonly #timers: WakeTimer[] = [];
  #isClosed = false;

  constructor(options: LocalRegistryOptions) {
    this.#options = options;
  }

  readonly calls: Caller = {
    call: async <R extends Role, Request extends RequestTo<R>>(
      to: { readonly role: R; readonly id: string },
      request: Request,
    ): Promise<Result<ReplyTo<R, Request>>> => {
      // What was never there is disposed of already.
      if (to.role !== "registry" && request.type === "dispose") {
        return { ok: true, value: null as ReplyTo<R, Request> };
      }
      if (to.role !== "registry" || this.#isClosed) {
        return failure("unreachable", `a local registry has no ${to.role} "${to.id}"`);
      }
      try {
        const registry = await this.get(to.id);
        const reply = await registry.handle(request as RequestTo<"registry">);
        return reply as Result<ReplyTo<R, Request>>;
      } catch (error) {
        this.#options.onError?.(error);
        return failure("unreachable", "the registry failed");
      }
    },
  };

  get(name: string): Promise<Registry> {
    if (!isPartitionName(name)) return Promise.reject(new Error(`no partition "${name}"`));
    const known = this.#registries.get(name);
    if (known !== undefined) return known;
    const starting = this.#start(name);
    this.#registries.set(name, starting);
    // A storage that failed may work the next time.
    starting.catch(() => this.#registries.delete(name));
    return starting;
  }

  close(): void {
    this.#isClosed = true;
    for (const timer of this.#timers) timer.set(null);
  }

  async #start(name: string): Promise<Registry> {
    let registry: Registry | null = null;
    const timer = new WakeTimer(() => registry?.wake());
    this.#timers.push(timer);
    const soon = (at: number | null): void => timer.set(this.#isClosed ? null : at);
    const ports: ObjectPorts = {
      clock,
      entropy,
      storage: this.#options.storage?.(name) ?? new MemoryStorage(),
      calls: this.calls,
      // It stays in memory, so that nothing else need wake it.
      wakeups: { soon, durable: () => {} },
    };
    registry = await Registry.start(this.#options.rooms, ports, name);
    return registry;
  }
}

function gatePorts(partitions: Partitions, options: LocalRegistryOptions): GatePorts {
  return {
    clock,
    entropy,
    calls: partitions.calls,
    adminToken: options.token,
    secret: options.secret,
    maxQueryLength,
    canRefuseUpgrades: true,
    region: () => null,
    within,
    onError: options.onError ?? ((error) => console.error("partyshard registry:", error)),
    connect: async () => failure("unreachable", "a local registry has no shards"),
    // Node answers upgrades elsewhere than requests.
    answerSocket: () => new Response(null, { status: 501 }),
    events: async ({ headers }, pattern) => {
      if (headers.has("upgrade")) return new Response(null, { status: 501 });
      const { events } = await partitions.get(hub);
      const url = `http://registry/?pattern=${encodeURIComponent(pattern)}`;
      return answerWithStream(events, url, new TransformStream<Uint8Array, Uint8Array>());
    },
  };
}
