/**
 * `npm start`: the app under `partykit dev`, on PORT or 1999, with an admin token and a secret made for
 * this run, and the addresses and commands to try it with. Ends as partykit ends.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { constants } from "node:os";
import { join } from "node:path";
import { endGroup, isPortFree, root, untilReady } from "../test/support/partykit-dev.ts";

const port = Number(process.env["PORT"] ?? 1999);
const adminToken = randomBytes(24).toString("base64url");
/** Signs tickets, which are good while this process runs. */
const secret = randomBytes(32).toString("base64url");
const parentCheckMs = 500;

function banner(): string {
  const host = `127.0.0.1:${port}`;
  const room = `${host}/parties/router/my-room`;
  const registry = `${host}/parties/registry/default`;
  return `
  WebSocket    ws://${room}
  HTTP         http://${room}

  Broadcast to every client of the room:
    curl 'http://${room}?wait=delivered' -d 'hello'
  Read its status:
    curl 'http://${room}'

  Admin token  ${adminToken}
  Read the metrics:
    curl 'http://${registry}/metrics' -H 'Authorization: Bearer ${adminToken}'
  Reserve a seat in an open room, or a new one:
    curl 'http://${registry}/reserve' -H 'Authorization: Bearer ${adminToken}' \\
      -d '{"roomType":"game","playerId":"ann"}'
`;
}

function startPartykit(): ChildProcess {
  const args = ["dev", "--port", String(port), "--no-hotkeys"];
  args.push("--var", `PARTYSHARD_ADMIN_TOKEN=${adminToken}`, `PARTYSHARD_SECRET=${secret}`);
  // On a terminal it clears the screen, and with that what is written here.
  const child = spawn(join(root, "node_modules/.bin/partykit"), args, {
    cwd: root,
    // A group of its own: partykit starts a workerd, which must not outlive it.
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  child.stdout.pipe(process.stdout);
  child.stderr.pipe(process.stderr);
  return child;
}

/** npm hands a signal on to its shell, which dies of it and tells nobody (npm 11, dash). */
function endWithNpm(end: () => void): void {
  if (process.env["npm_lifecycle_event"] === undefined) return;
  const shell = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid === shell) return;
    clearInterval(watch);
    end();
  }, parentCheckMs);
  watch.unref();
}

/** The status of the child, or what a shell makes of the signal that ended it. */
function statusOf(child: ChildProcess): number {
  if (child.signalCode !== null) return 128 + constants.signals[child.signalCode];
  return child.exitCode ?? 1;
}

async function main(): Promise<number> {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    console.error("PORT must be a whole number from 1 to 65535");
    return 1;
  }
  if (!(await isPortFree(port))) {
    console.error(`Port ${port} is taken: set PORT to another one`);
    return 1;
  }
  const child = startPartykit();
  const ended = once(child, "exit");
  endWithNpm(() => void endGroup(child, "SIGTERM"));
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => void endGroup(child, signal));
  }
  untilReady(child, port).then(
    () => console.log(banner()),
    (error: unknown) => {
      console.error(error instanceof Error ? error.message : error);
      void endGroup(child, "SIGTERM");
    },
  );
  await ended;
  await endGroup(child, "SIGTERM");
  return statusOf(child);
}

process.exitCode = await main();
