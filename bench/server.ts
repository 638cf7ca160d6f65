/**
 * Owns a workerd process: its configuration and storage directories, its port, its end. Knows
 * nothing of what it serves or how it is loaded.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, relative } from "node:path";
import type { Readable } from "node:stream";
import type { Bundle } from "./bundle.ts";
import { socketName, workerdConfig } from "./server-config.ts";

const startLimitMs = 20_000;
const stopLimitMs = 5_000;
const keptErrorCharacters = 4_000;

export interface Server {
  readonly port: number;
  readonly pid: number;
  /** The end of what workerd wrote to its error stream. */
  readonly errors: () => string;
  /** Ends the process and deletes its storage. Safe to call twice. */
  readonly stop: () => Promise<void>;
}

/** Starts `workerd serve` with a new empty storage below `directory`. */
export async function startServer(bundle: Bundle, directory: string): Promise<Server> {
  const storagePath = join(directory, "storage");
  mkdirSync(storagePath, { recursive: true });
  const configPath = join(directory, "config.capnp");
  writeFileSync(
    configPath,
    workerdConfig(bundle, relative(directory, bundle.directory), storagePath),
  );

  const child = spawn(workerdBinary(), ["serve", "--control-fd=3", configPath], {
    stdio: ["ignore", "ignore", "pipe", "pipe"],
    env: {},
  });
  let errors = "";
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
    errors = (errors + chunk).slice(-keptErrorCharacters);
  });
  // For the ways out that run no `finally`, e.g. an uncaught exception.
  const killNow = (): boolean => child.kill("SIGKILL");
  process.once("exit", killNow);
  const stop = async (): Promise<void> => {
    await endProcess(child);
    process.off("exit", killNow);
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    const port = await listeningPort(child);
    if (child.pid === undefined) {
      throw new Error("workerd did not start");
    }
    return { port, pid: child.pid, errors: () => errors, stop };
  } catch (error) {
    await stop();
    throw new Error(`workerd did not start: ${errors}`, { cause: error });
  }
}

/** The workerd that wrangler brings: other packages may nest older ones. */
function workerdBinary(): string {
  const wranglerPackage = createRequire(import.meta.url).resolve("wrangler/package.json");
  const workerd: unknown = createRequire(wranglerPackage)("workerd");
  if (typeof workerd === "object" && workerd !== null && "default" in workerd) {
    const path = workerd.default;
    if (typeof path === "string") {
      return path;
    }
  }
  throw new Error("the package workerd does not name its binary");
}

/** The version line of the binary that `startServer` runs. */
export function workerdVersion(): string {
  const wranglerPackage = createRequire(import.meta.url).resolve("wrangler/package.json");
  const workerd: unknown = createRequire(wranglerPackage)("workerd/package.json");
  const hasVersion = typeof workerd === "object" && workerd !== null && "version" in workerd;
  return hasVersion ? String(workerd.version) : "unknown";
}

/** workerd writes one JSON line per socket to its control descriptor once it listens. */
async function listeningPort(child: ChildProcess): Promise<number> {
  const control = child.stdio[3] as Readable;
  const expired = AbortSignal.timeout(startLimitMs);
  const exited = once(child, "exit", { signal: expired }).then(() => {
    throw new Error(`workerd ended with status ${child.exitCode ?? child.signalCode}`);
  });
  let received = "";
  const listening = (async (): Promise<number> => {
    for await (const chunk of control.setEncoding("utf8")) {
      received += String(chunk);
      const port = new RegExp(`"socket":\\s*"${socketName}",\\s*"port":\\s*(\\d+)`, "u").exec(
        received,
      )?.[1];
      if (port !== undefined) {
        return Number(port);
      }
    }
    throw new Error("workerd closed its control descriptor");
  })();
  exited.catch(() => undefined);
  listening.catch(() => undefined);
  return Promise.race([listening, exited]);
}

async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) {
    return;
  }
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  const force = setTimeout(() => child.kill("SIGKILL"), stopLimitMs);
  await exited;
  clearTimeout(force);
}
