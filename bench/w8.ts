/**
 * `npm run bench:w8`: W8, a million sockets on a thousand shards in virtual time, and the same at
 * smaller sizes. Writes the figures and a plot to docs/design/. Owns the command line and the sizes.
 *
 * The world is the simulator's (test/sim/scale): what is measured is counted there, not timed, so that
 * a run says the same on every machine.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { scaleOptions, type ScaleOptions } from "../test/sim/scale/options.ts";
import { runScale, type ScaleFigures } from "../test/sim/scale/scale-run.ts";
import { plot } from "./w8/plot.ts";
import { record } from "./w8/record.ts";
import { table } from "./w8/table.ts";

const usage = `npm run bench:w8 -- [options]
  --quick    without the million
  --save     write the figures and the plot to docs/design/
  --seed N   another course of chance (default 1)
  --help
`;

const directory = join(import.meta.dirname, "..", "docs", "design");

const { values } = parseArgs({
  options: {
    quick: { type: "boolean" },
    save: { type: "boolean" },
    seed: { type: "string" },
    help: { type: "boolean" },
  },
});
const seed = Number(values.seed ?? 1);
if (values.help === true || !Number.isSafeInteger(seed)) {
  process.stdout.write(usage);
  process.exitCode = values.help === true ? 0 : 2;
} else {
  await measure();
}

async function measure(): Promise<void> {
  const runs: ScaleFigures[] = [];
  for (const options of sizes()) runs.push(await measureOne(options));
  process.stdout.write(`\n${table(runs)}\n`);
  if (values.save === true) {
    writeFileSync(join(directory, "w8.json"), record(runs));
    writeFileSync(join(directory, "w8.svg"), plot(runs));
  }
  const isSound = runs.every(({ lost, repeated, wrong }) => lost + repeated + wrong === 0);
  process.exitCode = isSound ? 0 : 1;
}

/** The last is the one that the targets are for; before it what differs when the loss does. */
function sizes(): readonly ScaleOptions[] {
  const small = [10, 100].map((shards) => scaleOptions(shards, { seed }));
  const others = [
    scaleOptions(100, { seed, capacity: 1_500 }),
    scaleOptions(100, { seed, capacity: 1_500, loss: "silent" }),
  ];
  return [...small, ...others, ...(values.quick === true ? [] : [scaleOptions(1_000, { seed })])];
}

async function measureOne(options: ScaleOptions): Promise<ScaleFigures> {
  const startedAt = performance.now();
  const name = `${options.sockets} sockets, ${options.shards} shards, loss ${options.loss}`;
  const figures = await runScale(options, ({ at, connections, unevenness }) => {
    if (at % 20 === 0) {
      const state = `${connections} connected, max/mean ${unevenness.toFixed(3)}`;
      process.stdout.write(`${name}: second ${at}, ${state}\n`);
    }
  });
  const tookMs = performance.now() - startedAt;
  process.stdout.write(`${name}: took ${(tookMs / 1_000).toFixed(0)} s\n`);
  return figures;
}
