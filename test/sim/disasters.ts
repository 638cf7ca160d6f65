/**
 * What happens to shards and to the registry's layout of the room: shards that are cut off or fail, and
 * what operators ask for. Knows nothing of clients and messages.
 */
import { hub } from "../../src/core/partitions.ts";
import type { Caller } from "../../src/core/ports.ts";
import type { ShardId } from "../../src/protocol/names.ts";
import { Violation, type Outlet } from "./environment.ts";
import type { Keep } from "./storage.ts";
import { room, type World } from "./world.ts";

/** `shard` picks one of those that the room has, or has had, by remainder. */
export type Disaster =
  /** Nobody reaches it for a while but its clients, whom it has still, or does not. */
  | {
      readonly type: "cut-off";
      readonly shard: number;
      readonly forMs: number;
      readonly loses: "nothing" | "memory" | "sockets";
    }
  /** It has its sockets and its links, and answers no call. */
  | { readonly type: "sick"; readonly shard: number; readonly forMs: number }
  | { readonly type: "suspect" | "migrate" | "empty"; readonly shard: number }
  | { readonly type: "state"; readonly shard: number; readonly what: "take" | "restore" }
  | { readonly type: "resize"; readonly shards: number | null }
  | {
      readonly type: "role-crash";
      readonly role: "registry" | "sequencer";
      readonly when: "now" | "at-write";
      readonly keep: Keep;
    };

export class Disasters {
  readonly #world: World;
  readonly #calls: Caller;
  #unanswered = 0;

  constructor(world: World) {
    this.#world = world;
    const outlet: Outlet = { busy: 0, isOver: false, output: (run) => run() };
    this.#calls = world.callerOf("gate/1", outlet);
  }

  act(disaster: Disaster): void {
    switch (disaster.type) {
      case "cut-off":
        return this.#cutOff(this.#shard(disaster.shard), disaster.forMs, disaster.loses);
      case "sick":
        return this.#world.shardHost(this.#shard(disaster.shard)).object.failFor(disaster.forMs);
      case "suspect":
        return this.#ask({ type: "suspect", shard: this.#shard(disaster.shard) });
      case "migrate":
        return this.#ask({ type: "migrate", shard: this.#shard(disaster.shard) });
      case "empty":
        return this.#ask({ type: "drainShard", shard: this.#shard(disaster.shard) });
      case "resize":
        return this.#ask({ type: "resize", room, shards: disaster.shards });
      case "state":
        return this.#askShard(this.#shard(disaster.shard), disaster.what);
      case "role-crash": {
        const { object } = this.#world[disaster.role];
        if (disaster.when === "now") object.crash(disaster.keep);
        else object.crashAtNextWrite(disaster.keep);
      }
    }
  }

  checkRest(): void {
    if (this.#unanswered > 0) throw new Violation("FA1", `${this.#unanswered} operators wait`);
  }

  #cutOff(shard: ShardId, forMs: number, loses: "nothing" | "memory" | "sockets"): void {
    const { network, objects, gates } = this.#world;
    const { object } = this.#world.shardHost(shard);
    if (loses === "sockets") object.crash("all");
    if (loses === "memory") object.evict();
    for (const other of [...objects.map(({ address }) => address), ...gates]) {
      if (other !== object.address) network.part(object.address, other, forMs);
    }
  }

  #ask(request: Parameters<typeof this.askRegistry>[0]): void {
    this.#wait(this.askRegistry(request));
  }

  askRegistry(
    request:
      | { readonly type: "suspect" | "migrate" | "drainShard"; readonly shard: ShardId }
      | { readonly type: "resize"; readonly room: typeof room; readonly shards: number | null },
  ): Promise<unknown> {
    return this.#calls.call({ role: "registry", id: hub }, request);
  }

  #askShard(id: ShardId, what: "take" | "restore"): void {
    const type = what === "take" ? "takeSnapshot" : "restoreSnapshot";
    this.#wait(this.#calls.call({ role: "shard", id }, { type }));
  }

  #wait(work: Promise<unknown>): void {
    this.#unanswered += 1;
    work.then(
      () => (this.#unanswered -= 1),
      (error: unknown) => this.#world.fail(error),
    );
  }

  /** Rather one that serves than one that has left. */
  #shard(number: number): ShardId {
    const serving = this.#world.layouts.shards;
    const all = [...serving, ...serving, ...this.#world.shards.keys()];
    const shard = all[number % all.length];
    if (shard === undefined) throw new Error("a room has a shard");
    return shard;
  }
}
