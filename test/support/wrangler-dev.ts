/** A real `wrangler dev` in a process group of its own: its start on a free port, and its end. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { endGroup, freePort, root, untilReady } from "./partykit-dev.ts";

export interface WranglerDev {
  readonly port: number;
  readonly stop: () => Promise<void>;
}

/**
 * Starts the Workers of these configurations, paths from the repository's root, and resolves once the
 * first, which alone listens, answers. `persist` is the directory of their storage, `variables` are theirs.
 */
export async function startWranglerDev(
  configs: readonly string[],
  persist: string,
  variables: Readonly<Record<string, string>> = {},
): Promise<WranglerDev> {
  const port = await freePort();
  const settings = { port: String(port), "inspector-port": String(await freePort()) };
  const options = { ...settings, "persist-to": persist, "show-interactive-dev-session": "false" };
  const args = [
    "dev",
    ...configs.flatMap((config) => ["--config", config]),
    ...Object.entries(options).map(([name, value]) => `--${name}=${value}`),
    ...Object.entries(variables).map(([name, value]) => `--var=${name}:${value}`),
  ];
  const child = spawn(join(root, "node_modules/.bin/wrangler"), args, {
    cwd: root,
    env: { ...process.env, WRANGLER_SEND_METRICS: "false" },
    // A group of its own: wrangler starts a workerd, which must not outlive it.
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (chunk: string) => (output += chunk));
  }
  const stop = (): Promise<void> => endGroup(child, "SIGTERM");
  try {
    await untilReady(child, port);
  } catch (error) {
    await stop();
    throw new Error(`wrangler dev did not start:\n${output}`, { cause: error });
  }
  return { port, stop };
}
