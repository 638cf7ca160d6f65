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
  /** Where its inspector listens, if it was asked for. */
  readonly inspectorPort: number | null;
  /** The end of what workerd wrote to its error stream. */
  readonly errors: () => string;
  /** Ends the process at once, as a crash would, and leaves its storage to the next one. */
  readonly kill: () => Promise<void>;
  /** Ends the process and deletes its storage. Safe to call twice. */
  readonly stop: () => Promise<void>;
}

export interface ServerOptions {
  readonly bundle: Bundle;
  readonly directory: string;
  readonly isInspected: boolean;
  /** One that the system chooses when left out. */
  readonly port?: number;
}

/** Starts `workerd serve` on the storage below `directory`, which is new and empty the first time. */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { bundle, directory, isInspected, port: wantedPort = 0 } = options;
  const storagePath = join(directory, "storage");
  mkdirSync(storagePath, { recursive: true });
  const configPath = join(directory, "config.capnp");
  const bundlePath = relative(directory, bundle.directory);
  const places = { bundlePath, storagePath, port: wantedPort };
  writeFileSync(configPath, workerdConfig(bundle, places));

  const inspection = isInspected ? ["--inspector-addr=127.0.0.1:0"] : [];
  const child = spawn(workerdBinary(), ["serve", "--control-fd=3", ...inspection, configPath], {
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
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    await endProcess(child, signal);
    process.off("exit", killNow);
  };
  const kill = (): Promise<void> => end("SIGKILL");
  const stop = async (): Promise<void> => {
    await end("SIGTERM");
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    const { port, inspectorPort } = await listeningPorts(child, isInspected);
    if (child.pid === undefined) {
      throw new Error("workerd did not start");
    }
    return { port, inspectorPort, pid: child.pid, errors: () => errors, kill, stop };
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

type Ports = { readonly port: number; readonly inspectorPort: number | null };

/** workerd writes one JSON line per socket to its control descriptor once it listens. */
async function listeningPorts(child: ChildProcess, isInspected: boolean): Promise<Ports> {
  const control = child.stdio[3] as Readable;
  const expired = AbortSignal.timeout(startLimitMs);
  const exited = once(child, "exit", { signal: expired }).then(() => {
    throw new Error(`workerd ended with status ${child.exitCode ?? child.signalCode}`);
  });
  let received = "";
  const listening = (async (): Promise<Ports> => {
    for await (const chunk of control.setEncoding("utf8")) {
      received += String(chunk);
      const port = portAfter(received, `"socket":\\s*"${socketName}"`);
      const inspectorPort = portAfter(received, '"event":\\s*"listen-inspector"');
      if (port !== null && (inspectorPort !== null || !isInspected)) {
        return { port, inspectorPort };
      }
    }
    throw new Error("workerd closed its control descriptor");
  })();
  exited.catch(() => undefined);
  listening.catch(() => undefined);
  return Promise.race([listening, exited]);
}

function portAfter(received: string, name: string): number | null {
  const port = new RegExp(`${name},\\s*"port":\\s*(\\d+)`, "u").exec(received)?.[1];
  return port === undefined ? null : Number(port);
}

async function endProcess(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) {
    return;
  }
  const exited = once(child, "exit");
  child.kill(signal);
  const force = setTimeout(() => child.kill("SIGKILL"), stopLimitMs);
  await exited;
  clearTimeout(force);
}
