/**
 * Owns how a Worker becomes something that plain workerd can serve: the bundle and what its
 * wrangler configuration says about it. Knows nothing of processes, ports or workloads.
 *
 * The bundle is wrangler's own (`deploy --dry-run --outdir`), not esbuild's, so that what is
 * measured is byte for byte what a deployment uploads, with wrangler's aliases and polyfills.
 */
import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import ts from "typescript";
import * as v from "valibot";

const require = createRequire(import.meta.url);
const bundlingLimitMs = 120_000;

/** What a bundle needs to know of a wrangler configuration. */
const WranglerConfig = v.object({
  main: v.string(),
  compatibility_date: v.string(),
  compatibility_flags: v.optional(v.array(v.string()), []),
  durable_objects: v.object({
    bindings: v.array(v.object({ name: v.string(), class_name: v.string() })),
  }),
  vars: v.optional(v.record(v.string(), v.string()), {}),
});

interface DurableObjectBinding {
  readonly name: string;
  readonly className: string;
}

/** A bundled Worker: everything a workerd configuration needs to run it. */
export interface Bundle {
  readonly directory: string;
  /** File names inside `directory`; the first is the entry. */
  readonly modules: readonly string[];
  readonly compatibilityDate: string;
  readonly compatibilityFlags: readonly string[];
  readonly durableObjects: readonly DurableObjectBinding[];
  /** Plain-text variables of the configuration. */
  readonly variables: Readonly<Record<string, string>>;
}

export interface BundleOptions {
  readonly configPath: string;
  readonly outDirectory: string;
  /** Overrides the configuration's own, so that two bundles run with the same semantics. */
  readonly compatibilityDate?: string | undefined;
}

/** Bundles the Worker of a wrangler configuration. Throws with wrangler's output when it fails. */
export async function bundleWorker(options: BundleOptions): Promise<Bundle> {
  const config = readWranglerConfig(options.configPath);
  const compatibilityDate = options.compatibilityDate ?? config.compatibility_date;
  await runWrangler([
    "deploy",
    "--dry-run",
    "--outdir",
    options.outDirectory,
    "--config",
    options.configPath,
    "--compatibility-date",
    compatibilityDate,
  ]);
  return {
    directory: options.outDirectory,
    modules: modulesIn(options.outDirectory, config.main),
    compatibilityDate,
    compatibilityFlags: config.compatibility_flags,
    durableObjects: config.durable_objects.bindings.map((binding) => ({
      name: binding.name,
      className: binding.class_name,
    })),
    variables: config.vars,
  };
}

/** The compatibility date that a wrangler configuration asks for. */
export function compatibilityDateOf(configPath: string): string {
  return readWranglerConfig(configPath).compatibility_date;
}

/** TypeScript's reader of configuration files knows comments and trailing commas. */
function readWranglerConfig(path: string): v.InferOutput<typeof WranglerConfig> {
  const read: { config?: unknown } = ts.parseConfigFileTextToJson(path, readFileSync(path, "utf8"));
  return v.parse(WranglerConfig, read.config);
}

async function runWrangler(args: readonly string[]): Promise<void> {
  const cli = join(dirname(require.resolve("wrangler/package.json")), "bin", "wrangler.js");
  await promisify(execFile)(process.execPath, [cli, ...args], {
    timeout: bundlingLimitMs,
    env: { ...process.env, CI: "1", WRANGLER_SEND_METRICS: "false", NO_COLOR: "1" },
  });
}

/** The entry has the name of the configuration's `main`; other scripts are modules beside it. */
function modulesIn(directory: string, main: string): readonly string[] {
  const entry = `${main.replace(/^.*[\\/]/u, "").replace(/\.[cm]?[jt]sx?$/u, "")}.js`;
  const scripts = readdirSync(directory).filter((name) => /\.m?js$/u.test(name));
  if (!scripts.includes(entry)) {
    throw new Error(`the bundle has no ${entry}, only ${scripts.join(", ")}`);
  }
  return [entry, ...scripts.filter((name) => name !== entry)];
}
