/** The room class of a simulated shard: its broadcast hook, as the world's options want it. */
import type { ShardId } from "../../src/protocol/names.ts";
import type { BroadcastHook } from "../../src/shard/fan-out.ts";
import type { Shard } from "../../src/shard/shard.ts";
import type { Environment } from "./environment.ts";
import type { Life } from "./object.ts";

export type HookScene = {
  /** Whether the room class of this shard lets a message go without sending it. */
  drops(shard: ShardId, seq: number): boolean;
  /** The hook was called in this life of the shard, for the first time as far as it knows. */
  called(shard: ShardId, life: number, seq: number): void;
};

type Place = { readonly shard: ShardId; readonly world: Environment; readonly hook: HookScene };

export function broadcastHook(
  { shard, world, hook }: Place,
  life: Life<Shard>,
): BroadcastHook | undefined {
  const { random, timeline } = world;
  const mode = world.options.hook;
  if (mode === "none") return undefined;
  return ({ data, seq, isReplay }) => {
    if (seq !== null && !isReplay) hook.called(shard, life.number, seq);
    const isDropped = seq !== null && hook.drops(shard, seq);
    if (isDropped && mode === "throwing") throw new Error("the room class failed");
    const result = isDropped ? null : data;
    if (mode === "direct") return result;
    life.busy += 1;
    const isSlow = !world.network.isHealed && random.chance(0.05);
    const delay = isSlow ? random.between(100, 8_000) : random.between(0, 5);
    return timeline.sleep(delay).then(() => {
      life.busy -= 1;
      return result;
    });
  };
}
