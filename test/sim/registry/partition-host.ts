/** The host of one partition of the registry: the code that it runs, its clock, and what it answers. */
import type { ObjectPorts } from "../../../src/core/ports.ts";
import type { Rooms } from "../../../src/core/rooms.ts";
import { parseRequest, type RequestTo } from "../../../src/protocol/calls.ts";
import type { Result } from "../../../src/protocol/result.ts";
import { Registry } from "../../../src/registry/registry.ts";
import type { Environment } from "../environment.ts";
import { WorldObject, type Hosting, type Life } from "../object.ts";
import type { Rows } from "../storage.ts";

export type PartitionHostOptions = {
  readonly name: string;
  readonly world: Environment;
  /** What the code says that a new life runs. */
  readonly rooms: () => Rooms;
  /** By how much the clock of a new life is off, ms. */
  readonly skew: () => number;
  /** The object has read its clock. */
  readonly observed: (name: string, at: number) => void;
  readonly decided: (request: RequestTo<"registry">, reply: Result<unknown>) => void;
  /** A reply has left the object. */
  readonly answered: (request: RequestTo<"registry">, reply: Result<unknown>) => void;
};

export class PartitionHost implements Hosting<Registry> {
  readonly object: WorldObject<Registry>;
  readonly #options: PartitionHostOptions;
  #skewMs = 0;

  constructor(options: PartitionHostOptions) {
    this.#options = options;
    this.object = new WorldObject(options.world, `registry/${options.name}`, this);
  }

  start(life: Life<Registry>): Promise<Registry> {
    const { name, rooms, skew } = this.#options;
    this.#skewMs = skew();
    return Registry.start(rooms(), this.#portsOf(life, this.#skewMs), name);
  }

  async handle(registry: Registry, request: unknown): Promise<Result<unknown>> {
    const parsed = parseRequest("registry", request);
    if (!parsed.ok) return parsed;
    const { life } = this.object;
    this.#observe();
    const reply = await registry.handle(parsed.value);
    this.#options.decided(parsed.value, reply);
    life?.output(() => this.#options.answered(parsed.value, reply));
    return reply;
  }

  wake(registry: Registry): void {
    this.#observe();
    registry.wake();
  }

  ended(): void {}

  stored(_puts: readonly Rows[]): void {}

  #observe(): void {
    const { name, world, observed } = this.#options;
    observed(name, world.clock.now() + this.#skewMs);
  }

  #portsOf(life: Life<Registry>, skewMs: number): ObjectPorts {
    const { planted } = this.#options.world.options;
    const ports = life.ports();
    const { clock, storage, wakeups } = ports;
    return {
      ...ports,
      clock: { now: () => clock.now() + skewMs },
      wakeups: {
        soon: (at) => wakeups.soon(at === null ? null : at - skewMs),
        durable: (at) => wakeups.durable(at - skewMs),
      },
      storage: {
        maxTextUnits: storage.maxTextUnits,
        put: (rows) => storage.put(rows),
        delete: (keys) => storage.delete(keys),
        sync: () => storage.sync(),
        list: async (prefix) => {
          const rows = await storage.list(prefix);
          const isForgotten =
            (planted === "token-of-the-clock" && prefix === "last-token") ||
            (planted === "gone-forgotten" && prefix === "assigned/");
          if (planted === "departure-forgotten" && prefix === "room/") return arrived(rows);
          return isForgotten ? new Map() : rows;
        },
      },
    };
  }
}

/** Rows of rooms, none of which is about to leave its server. */
function arrived(rows: Map<string, unknown>): Map<string, unknown> {
  const kept = new Map(rows);
  for (const [key, row] of rows) {
    if (typeof row === "object") kept.set(key, { ...row, departure: null });
  }
  return kept;
}
