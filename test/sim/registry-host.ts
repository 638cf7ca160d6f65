/** The host of the registry, watched as its rows become durable. */
import { parseRequest } from "../../src/protocol/calls.ts";
import { hub } from "../../src/core/partitions.ts";
import type { Rooms } from "../../src/core/rooms.ts";
import type { Result } from "../../src/protocol/result.ts";
import { layoutPrefix } from "../../src/registry/layouts.ts";
import { Registry } from "../../src/registry/registry.ts";
import type { Environment } from "./environment.ts";
import { WorldObject, type Hosting, type Life } from "./object.ts";
import type { Rows } from "./storage.ts";

type RegistryWatcher = {
  /** These rows have become durable, all at once. */
  stored(puts: readonly Rows[]): void;
  ended(): void;
};

export class RegistryHost implements Hosting<Registry> {
  readonly object: WorldObject<Registry>;
  readonly #world: Environment;
  readonly #rooms: Rooms;
  readonly #watcher: RegistryWatcher;

  constructor(world: Environment, rooms: Rooms, watcher: RegistryWatcher) {
    this.#world = world;
    this.#rooms = rooms;
    this.#watcher = watcher;
    this.object = new WorldObject(world, "registry/default", this);
  }

  start(life: Life<Registry>): Promise<Registry> {
    return Registry.start(this.#rooms, life.ports(), hub);
  }

  async handle(registry: Registry, request: unknown): Promise<Result<unknown>> {
    const parsed = parseRequest("registry", request);
    return parsed.ok ? registry.handle(parsed.value) : parsed;
  }

  wake(registry: Registry): void {
    registry.wake();
  }

  ended(): void {
    this.#watcher.ended();
    if (this.#world.options.planted !== "layout-forgotten") return;
    const { values } = this.object.rows;
    for (const key of values.keys()) if (key.startsWith(layoutPrefix)) values.delete(key);
  }

  stored(puts: readonly Rows[]): void {
    this.#watcher.stored(puts);
  }
}
