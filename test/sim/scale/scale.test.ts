/** W8 at its smallest; `bench/w8.ts` runs it at every size. */
import { expect, test } from "vitest";
import { scaleOptions } from "./options.ts";
import { runScale } from "./scale-run.ts";

const few = { sockets: 1_000, shards: 10, capacity: 110, gates: 5, connectsPerSecond: 100 };

test.each(["broken", "silent"] as const)(
  "DL3, PL4, RG4 a crowd comes, a tenth of its shards dies, and nobody lacks anything (sockets: %s)",
  async (loss) => {
    const figures = await runScale(scaleOptions(10, { ...few, loss }));
    const { lost, repeated, wrong, welcomed, registry, calls } = figures;
    expect({ lost, repeated, wrong, welcomed }).toEqual({
      lost: 0,
      repeated: 0,
      wrong: 0,
      welcomed: few.sockets,
    });
    expect(figures.unevennessAfterStorm).toBeLessThanOrEqual(1.05);
    expect(figures.unevennessAfterLoss).toBeLessThanOrEqual(1.1);
    expect(figures.loss.lastReplacedMs).not.toBeNull();
    expect(figures.loss.allBackMs).not.toBeNull();
    // Loads of ten shards that change all the time: two calls a second, not ten.
    expect(registry.meanInStorm).toBeLessThanOrEqual(few.gates + 2.5);
    expect(calls["registry reports"] ?? 0).toBeGreaterThan(0);
  },
);
