/** The registry party on Durable Objects. */
import { DurableObject } from "cloudflare:workers";
import { hub } from "../../core/partitions.ts";
import type { Rooms } from "../../core/rooms.ts";
import { parseRequest } from "../../protocol/calls.ts";
import { Registry } from "../../registry/registry.ts";
import { WakeTimer } from "../platform.ts";
import { createObjectPorts, type Bindings, type Callable } from "./ports.ts";

export type RegistryClass = new (
  ctx: DurableObjectState,
  env: Bindings,
) => DurableObject<Bindings> & Callable & { alarm(): Promise<void> };

/** The Durable Object class behind the binding `Registry`: the directory and the load of rooms. */
export function registry(rooms: Rooms): RegistryClass {
  return class RegistryObject extends DurableObject<Bindings> implements Callable {
    #registry: Registry | undefined;

    constructor(ctx: DurableObjectState, env: Bindings) {
      super(ctx, env);
      void ctx.blockConcurrencyWhile(async () => {
        const ports = createObjectPorts(ctx, env, new WakeTimer(() => this.#registry?.wake()));
        this.#registry = await Registry.start(rooms, ports, ctx.id.name ?? hub);
      });
    }

    async partyshardCall(request: unknown): Promise<unknown> {
      const parsed = parseRequest("registry", request);
      return parsed.ok ? this.#registry?.handle(parsed.value) : parsed;
    }

    /** What was due while the object was not in memory. */
    override async alarm(): Promise<void> {
      this.#registry?.wake();
    }
  };
}
