/** The host of the registry. */
import { parseRequest } from "../../src/protocol/calls.ts";
import { hub } from "../../src/core/partitions.ts";
import type { Rooms } from "../../src/core/rooms.ts";
import type { Result } from "../../src/protocol/result.ts";
import { Registry } from "../../src/registry/registry.ts";
import type { Environment } from "./environment.ts";
import { WorldObject, type Hosting, type Life } from "./object.ts";

export class RegistryHost implements Hosting<Registry> {
  readonly object: WorldObject<Registry>;
  readonly #rooms: Rooms;

  constructor(world: Environment, rooms: Rooms) {
    this.#rooms = rooms;
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

  ended(): void {}
  stored(): void {}
}
