/** The host of the registry, watched as its rows become durable. */
import { parseRequest } from "../../src/protocol/calls.ts";
import { hub } from "../../src/core/partitions.ts";
import type { Rooms } from "../../src/core/rooms.ts";
import type { Result } from "../../src/protocol/result.ts";
import { Registry } from "../../src/registry/registry.ts";
import type { Environment } from "./environment.ts";
import { WorldObject, type Hosting, type Life } from "./object.ts";
import type { Rows } from "./storage.ts";

export class RegistryHost implements Hosting<Registry> {
  readonly object: WorldObject<Registry>;
  readonly #world: Environment;
  readonly #rooms: Rooms;
  readonly #stored: (puts: readonly Rows[]) => void;

  constructor(world: Environment, rooms: Rooms, stored: (puts: readonly Rows[]) => void) {
    this.#world = world;
    this.#rooms = rooms;
    this.#stored = stored;
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
    if (this.#world.options.planted !== "fence-forgotten") return;
    const { values } = this.object.rows;
    for (const key of values.keys()) if (key.startsWith("fence/")) values.delete(key);
  }

  stored(puts: readonly Rows[]): void {
    this.#stored(puts);
  }
}
