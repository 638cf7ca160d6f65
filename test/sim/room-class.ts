/** The room class of a simulated shard: its hooks, as the world's options want them. */
import type { ShardId } from "../../src/protocol/names.ts";
import type { BroadcastHook } from "../../src/shard/fan-out.ts";
import type { ShardPorts } from "../../src/shard/parts.ts";
import type { Shard } from "../../src/shard/shard.ts";
import type { Environment } from "./environment.ts";
import { emptyLedger, entered, parseLedger, type Ledger } from "./ledger.ts";
import { textOf } from "./durable-log.ts";
import type { Life } from "./object.ts";

export type HookScene = {
  /** Whether the room class of this shard lets a message go without sending it. */
  drops(shard: ShardId, seq: number): boolean;
  /** The hook was called in this life of the shard, for the first time as far as it knows. */
  called(shard: ShardId, life: number, seq: number): void;
  /** A room class that keeps a state begins in this life of the shard. */
  began(shard: ShardId, ledger: () => Ledger): void;
};

type Place = { readonly shard: ShardId; readonly world: Environment; readonly hook: HookScene };

export function roomClass(
  place: Place,
  life: Life<Shard>,
): Pick<ShardPorts, "onBroadcast" | "state"> {
  const hook = broadcastHook(place, life);
  const { options } = place.world;
  if (options.snapshotIntervalMs === undefined) {
    return hook === undefined ? {} : { onBroadcast: hook };
  }
  let ledger = emptyLedger;
  place.hook.began(place.shard, () => ledger);
  return {
    onBroadcast: (message) => {
      const { data, seq, isReplay, isRestoring } = message;
      if (seq !== null && (isRestoring || !isReplay)) ledger = entered(ledger, seq, textOf(data));
      return hook === undefined ? data : hook(message);
    },
    state: {
      // Whoever has no state yet is waited for a second.
      getSnapshot: () =>
        afterWhile(place.world, life, ledger.count === 0 ? 500 : 8_000, () => ledger),
      onRestore: (state) =>
        afterWhile(place.world, life, 500, () => {
          const restored = parseLedger(state);
          if (restored === null) place.world.fail(new Error("a state that nobody had"));
          else if (options.planted !== "state-untaken") ledger = restored;
        }),
    },
  };
}

/** Some classes take their time. */
function afterWhile<Value>(
  { options, random, network, timeline }: Environment,
  life: Life<Shard>,
  mostMs: number,
  answer: () => Value,
): Value | Promise<Value> {
  if (options.hook !== "async") return answer();
  const isSlow = !network.isHealed && random.chance(0.1);
  life.busy += 1;
  return timeline.sleep(isSlow ? random.between(10, mostMs) : random.between(0, 5)).then(() => {
    life.busy -= 1;
    return answer();
  });
}

function broadcastHook(
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
