/** One of the examples as a process of its own: what it prints, and its end. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { root } from "./partykit-dev.ts";
import { Recording } from "./recording.ts";

export class ExampleProcess {
  readonly #child;
  readonly #lines = new Recording<string>((line) => line);
  readonly #exited: Promise<unknown>;

  /** Killed when the test is over. */
  constructor(script: string, env: Readonly<Record<string, string>>, args: readonly string[] = []) {
    const child = spawn(process.execPath, [join(root, "examples", script), ...args], {
      env: { PATH: process.env["PATH"] ?? "", ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    this.#exited = once(child, "exit");
    for (const stream of [child.stdout, child.stderr]) {
      let rest = "";
      stream.setEncoding("utf8").on("data", (text: string) => {
        const lines = (rest + text).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) this.#lines.add(line);
      });
    }
    child.once("close", () => this.#lines.end());
    onTestFinished(() => this.end("SIGKILL"));
  }

  get lines(): readonly string[] {
    return this.#lines.items;
  }

  /** The first line in which this is found, once it has been printed; its first group, if it has one. */
  async printed(pattern: RegExp): Promise<string> {
    const find = (): string | undefined => this.lines.find((line) => pattern.test(line));
    await this.#lines.until(() => find() !== undefined, String(pattern), 30_000);
    const line = find() ?? "";
    return pattern.exec(line)?.[1] ?? line;
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill(signal);
    await this.#exited;
  }
}
