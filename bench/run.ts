/**
 * `npm run bench`: measures the product's Workers host and the naive design side by side, prints a
 * table of ratios and writes the figures to bench/results/. Owns the order of measurements and the
 * temporary directory; loopback only, bounded in count and time, and it ends only what it started.
 *
 * Ends with 0 when every measurement came about and nothing was lost, repeated or out of order;
 * missed ratios are printed and do not change the status.
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { type Bundle, bundleWorker, compatibilityDateOf } from "./bundle.ts";
import type { Measurement, Side } from "./load/job.ts";
import { measureOnce } from "./measurement.ts";
import { type Options, parseOptions, usage } from "./options.ts";
import { Patience } from "./quiet.ts";
import { formatReport, isSound, writeReport } from "./report.ts";
import type { WorkloadRuns } from "./summary.ts";
import { workloads } from "./workloads/catalogue.ts";
import type { Workload } from "./workloads/workload.ts";

const ourConfig = join(import.meta.dirname, "..", "wrangler.jsonc");
const naiveConfig = join(import.meta.dirname, "naive", "wrangler.jsonc");
const resultsDirectory = join(import.meta.dirname, "results");

/** How often a disturbed measurement is repeated. */
const maxRepeats = 2;

/** By the path of their configuration. */
type Bundles = ReadonlyMap<string, Bundle>;

interface Bench {
  readonly options: Options;
  readonly bundles: Bundles;
  readonly directory: string;
  readonly signal: AbortSignal;
  readonly patience: Patience;
}

const options = parseOptions(process.argv.slice(2));
if (options === undefined || typeof options === "string") {
  process.stdout.write(options === undefined ? usage : `${options}\n\n${usage}`);
  process.exitCode = options === undefined ? 0 : 2;
} else {
  process.exitCode = await bench(options);
}

async function bench(chosen: Options): Promise<number> {
  const selected = workloads.filter(({ id }) => isSelected(id, chosen.only));
  if (selected.length === 0) {
    process.stdout.write(
      `no such workload; there are ${workloads.map(({ id }) => id).join(", ")}\n`,
    );
    return 2;
  }
  const interruption = new AbortController();
  const interrupt = (): void => interruption.abort(new Error("interrupted"));
  process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
  const directory = mkdtempSync(join(tmpdir(), "partyshard-bench-"));
  const results: WorkloadRuns[] = [];
  try {
    const bundles = await bundleAll(chosen, selected, directory);
    const context = {
      options: chosen,
      bundles,
      directory,
      signal: interruption.signal,
      patience: new Patience(),
    };
    for (const workload of selected) {
      if (!interruption.signal.aborted) {
        results.push(await measureWorkload(workload, context));
      }
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
    process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
  }
  process.stdout.write(`\n${formatReport(results)}\n`);
  if (interruption.signal.aborted) {
    return 130;
  }
  const path = writeReport(
    chosen.isSaved ? resultsDirectory : join(resultsDirectory, "raw"),
    results,
    chosen,
  );
  process.stdout.write(`figures: ${relative(process.cwd(), path)}\n`);
  return isSound(results) ? 0 : 1;
}

/** `W2` selects W2a, W2b, W2c and W2c-plain. */
function isSelected(id: string, only: readonly string[]): boolean {
  return only.length === 0 || only.some((prefix) => id.toUpperCase().startsWith(prefix));
}

/** The sides of a workload that this run measures. */
function sidesOf({ sides = ["naive", "ours"] }: Workload, chosen: Options): readonly Side[] {
  return sides.filter((side) => !(side === "ours" ? chosen.isNaiveOnly : chosen.isOursOnly));
}

function configOf({ configPath = ourConfig }: Workload, side: Side): string {
  return side === "ours" ? configPath : naiveConfig;
}

/** Bundles what the workloads need, all with the product's compatibility date. */
async function bundleAll(
  chosen: Options,
  selected: readonly Workload[],
  directory: string,
): Promise<Bundles> {
  if (!chosen.isNaiveOnly && !existsSync(ourConfig)) {
    throw new Error("there is no wrangler.jsonc beside bench/; --naive-only measures without it");
  }
  const bundles = new Map<string, Bundle>();
  const compatibilityDate = existsSync(ourConfig) ? compatibilityDateOf(ourConfig) : undefined;
  for (const workload of selected) {
    for (const side of sidesOf(workload, chosen)) {
      const configPath = configOf(workload, side);
      if (!bundles.has(configPath)) {
        const outDirectory = join(directory, `bundle-${bundles.size}`);
        bundles.set(
          configPath,
          await bundleWorker({ configPath, outDirectory, compatibilityDate }),
        );
      }
    }
  }
  return bundles;
}

/** Alternates the sides, and who goes first, so that drift of the machine meets both alike. */
async function measureWorkload(workload: Workload, context: Bench): Promise<WorkloadRuns> {
  const runs: Record<Side, Measurement[]> = { naive: [], ours: [] };
  const failures: string[] = [];
  process.stdout.write(`${workload.id}: ${workload.title}\n`);
  for (let round = 1; round <= context.options.rounds; round += 1) {
    const sides = sidesOf(workload, context.options);
    for (const side of round % 2 === 1 ? sides : sides.toReversed()) {
      const bundle = context.bundles.get(configOf(workload, side));
      if (bundle === undefined || context.signal.aborted) {
        continue;
      }
      try {
        const measurement = await measureUndisturbed({ workload, side, bundle, round }, context);
        runs[side].push(measurement);
        process.stdout.write(
          `  ${round} ${side.padEnd(6)} ${formatProgress(workload, measurement)}\n`,
        );
      } catch (error) {
        if (context.signal.aborted) {
          break;
        }
        failures.push(error instanceof Error ? error.message : String(error));
        process.stdout.write(`  ${round} ${side.padEnd(6)} failed\n`);
      }
    }
  }
  return { workload, runs, failures };
}

/** Measures again, a few times, what something else on the machine disturbed; keeps the calmest. */
async function measureUndisturbed(turn: Turn, context: Bench): Promise<Measurement> {
  await context.patience.untilQuiet(context.signal);
  let calmest = await measureSide(turn, 0, context);
  for (let attempt = 1; attempt <= maxRepeats; attempt += 1) {
    if (!context.patience.shouldRepeat(othersShareOf(calmest))) {
      break;
    }
    await context.patience.untilQuiet(context.signal);
    const again = await measureSide(turn, attempt, context);
    calmest = othersShareOf(again) < othersShareOf(calmest) ? again : calmest;
  }
  return calmest;
}

function othersShareOf({ metrics }: Measurement): number {
  return metrics["othersShare"] ?? 0;
}

interface Turn {
  readonly workload: Workload;
  readonly side: Side;
  readonly bundle: Bundle;
  readonly round: number;
}

async function measureSide(turn: Turn, attempt: number, context: Bench): Promise<Measurement> {
  const { workload, side, bundle, round } = turn;
  const name = `${workload.id.toLowerCase()}-${round}-${attempt}`;
  return measureOnce({
    bundle,
    isInspected: workload.isInspected ?? false,
    directory: join(context.directory, `server-${side}-${name}`),
    job: {
      workload: workload.id,
      side,
      room: `wide:bench-${name}`,
      isQuick: context.options.isQuick,
    },
    signal: context.signal,
  });
}

function formatProgress(workload: Workload, { metrics }: Measurement): string {
  return workload.rows
    .filter(({ metric, target }) => target?.kind !== "zero" || metrics[metric] !== 0)
    .map(
      ({ metric, label, digits }) => `${label} ${(metrics[metric] ?? Number.NaN).toFixed(digits)}`,
    )
    .join(" · ");
}
