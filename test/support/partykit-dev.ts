/**
 * A real `partykit dev` in a process group of its own: its start on a free port, its logs, its end.
 * Knows nothing of what the app does.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { request } from "node:http";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Recording } from "./recording.ts";

export const root = fileURLToPath(new URL("../..", import.meta.url));
const startLimitMs = 60_000;
const retryMs = 50;
const stopLimitMs = 5_000;

export type PartykitDevOptions = {
  /** Path of the app's partykit.json, from the repository's root. */
  readonly config: string;
  /** Directory of the app's storage; survives the process. */
  readonly persist: string;
  readonly variables?: Readonly<Record<string, string>>;
  /** A free one when left out. */
  readonly port?: number;
};

export interface PartykitDev {
  readonly port: number;
  /** Resolves once the processes have printed this, so many times. */
  readonly printed: (text: string, times?: number) => Promise<void>;
  readonly timesPrinted: (text: string) => number;
  /** Kills every process of the server at once, as a crash would, and waits for its end. */
  readonly kill: () => Promise<void>;
  /** Asks the server to end, and makes sure that it does. */
  readonly stop: () => Promise<void>;
}

/** Starts the app and resolves once it answers requests. */
export async function startPartykitDev(options: PartykitDevOptions): Promise<PartykitDev> {
  const port = options.port ?? (await freePort());
  const directory = join(root, dirname(options.config));
  const variables = Object.entries(options.variables ?? {}).map(
    ([name, value]) => `${name}=${value}`,
  );
  const args = ["dev", "--port", String(port), "--persist", options.persist, "--no-hotkeys"];
  if (variables.length > 0) args.push("--var", ...variables);
  const child = spawn(join(root, "node_modules/.bin/partykit"), args, {
    cwd: directory,
    // A group of its own: partykit starts a workerd, which must not outlive it.
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = new Recording<string>((chunk) => chunk);
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (chunk: string) => output.add(chunk));
  }
  const timesPrinted = (text: string): number => output.items.join("").split(text).length - 1;
  const printed = (text: string, times = 1): Promise<void> =>
    output.until(() => timesPrinted(text) >= times, `${times} times "${text}" in its log`);
  const kill = (): Promise<void> => endGroup(child, "SIGKILL");
  const stop = (): Promise<void> => endGroup(child, "SIGTERM");
  try {
    await untilReady(child, port);
  } catch (error) {
    await kill();
    throw new Error(`partykit dev did not start:\n${output.items.join("")}`, { cause: error });
  }
  return { port, printed, timesPrinted, kill, stop };
}

/** One that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no free port");
  return address.port;
}

/** Whether nobody listens on the port yet. */
export async function isPortFree(port: number): Promise<boolean> {
  const server = createServer().listen(port);
  const isFree = await once(server, "listening").then(
    () => true,
    () => false,
  );
  server.close();
  return isFree;
}

/**
 * A free port that no outgoing connection is given (by default Linux takes those from 32768 up). While
 * nobody listens on it, clients that try it again and again could else take it themselves.
 */
export async function lastingPort(): Promise<number> {
  let port = 20_000 + (process.pid % 10_000);
  while (!(await isPortFree(port))) port += 1;
  return port;
}

/** Asks until there is an answer: a dev server tells nobody but its log when it listens. */
export async function untilReady(child: ChildProcess, port: number): Promise<void> {
  const deadline = Date.now() + startLimitMs;
  while (!(await answers(port))) {
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`it ended with status ${child.exitCode ?? child.signalCode}`);
    }
    if (Date.now() > deadline) throw new Error(`no answer after ${startLimitMs} ms`);
    const { promise, resolve } = Promise.withResolvers<undefined>();
    setTimeout(() => resolve(undefined), retryMs);
    await promise;
  }
}

async function answers(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const probe = request({ host: "127.0.0.1", port, path: "/", agent: false }, (response) => {
    response.resume();
    resolve(true);
  });
  probe.on("error", () => resolve(false));
  probe.end();
  return promise;
}

/** Signals every process of the child's group, in the end by force, and waits for the child's end. */
export async function endGroup(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.pid === undefined) return;
  const isOver = child.exitCode !== null || child.signalCode !== null;
  const exited = isOver ? Promise.resolve() : once(child, "exit");
  signalGroup(child.pid, signal);
  const force = setTimeout(() => signalGroup(child.pid ?? 0, "SIGKILL"), stopLimitMs);
  await exited;
  clearTimeout(force);
  // partykit may end before its workerd does.
  signalGroup(child.pid, "SIGKILL");
}

function signalGroup(group: number, signal: NodeJS.Signals): void {
  if (group <= 1) return;
  try {
    process.kill(-group, signal);
  } catch {
    // The group has ended.
  }
}
