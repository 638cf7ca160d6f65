/** Who creates, changes and disposes of rooms by hand, and who contends for locks. */
import { partitionOf } from "../../../src/core/partitions.ts";
import type { Caller } from "../../../src/core/ports.ts";
import type { RoomId } from "../../../src/protocol/names.ts";
import type { LockGrant } from "../../../src/protocol/registry.ts";
import type { Result } from "../../../src/protocol/result.ts";
import type { RegistryWorld } from "./world.ts";

export type CreateAction = {
  readonly type: "create";
  readonly room: RoomId;
  readonly maxPlayers: number | null;
  readonly isLocked: boolean;
  readonly mode: string | null;
  readonly keepMs: number;
};

/** What a contender does once it has the lock. */
export type Holding = "release" | "extend" | "forget" | "extend-late";

export class Operators {
  readonly #world: RegistryWorld;
  readonly #calls: Caller;

  constructor(world: RegistryWorld) {
    this.#world = world;
    this.#calls = world.outsider("gate/2");
  }

  async create({ room, maxPlayers, isLocked, mode, keepMs }: CreateAction): Promise<void> {
    const metadata = mode === null ? {} : { mode };
    const { rooms } = this.#world;
    const isSmall = rooms.typeOf(room)?.shards === 1;
    const to = { role: "registry", id: rooms.partitionOf(room) } as const;
    const own = isSmall ? maxPlayers : null;
    const row = { room, metadata, maxPlayers: own, isLocked, keepMs, region: null };
    await this.#calls.call(to, { type: "create", ...row });
  }

  async change(room: RoomId, isLocked: boolean, mode: string | null): Promise<boolean> {
    const to = { role: "registry", id: this.#world.rooms.partitionOf(room) } as const;
    const metadata = mode === null ? {} : { metadata: { mode } };
    const changed = await this.#calls.call(to, { type: "change", room, isLocked, ...metadata });
    return changed.ok;
  }

  async dispose(room: RoomId): Promise<void> {
    const to = { role: "registry", id: this.#world.rooms.partitionOf(room) } as const;
    await this.#calls.call(to, { type: "dispose", room });
  }

  async lock(key: string, ttlMs: number, holding: Holding): Promise<void> {
    const { timeline, random } = this.#world;
    const granted = await this.#calls.call(this.#keeper(key), { type: "lock", key, ttlMs });
    if (!granted.ok) return;
    const { token } = granted.value;
    switch (holding) {
      case "forget":
        return;
      case "release":
        await timeline.sleep(random.between(0, ttlMs));
        break;
      case "extend":
        await timeline.sleep(random.between(0, ttlMs));
        await this.#extend(key, token, ttlMs);
        await timeline.sleep(random.between(0, ttlMs));
        break;
      case "extend-late":
        await timeline.sleep(ttlMs + random.between(-20, 200));
        await this.#extend(key, token, ttlMs);
        return;
      default:
        holding satisfies never;
    }
    await this.#calls.call(this.#keeper(key), { type: "release", key, token });
  }

  #extend(key: string, token: number, ttlMs: number): Promise<Result<LockGrant>> {
    return this.#calls.call(this.#keeper(key), { type: "extend", key, token, ttlMs });
  }

  #keeper(key: string): { readonly role: "registry"; readonly id: string } {
    const { partitions } = this.#world.rooms.deployment;
    return { role: "registry", id: partitionOf(key, partitions) };
  }
}
