/**
 * Owns one measurement: a server of its own, a generator process of its own, both gone afterwards.
 *
 * Each measurement has a fresh server, and no other server is alive meanwhile: what one side left
 * behind (heap, compiled code, storage, open sockets) cannot reach the other's figures, and there is
 * no second process that competes for two cores. Warming up is part of each workload.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Bundle } from "./bundle.ts";
import { isJobResult, type Job, type Measurement } from "./load/job.ts";
import { startServer } from "./server.ts";

/** Far above what any workload takes: a measurement that hangs is ended and reported as failed. */
const measurementLimitMs = 150_000;

export interface MeasurementRequest {
  readonly bundle: Bundle;
  /** Holds the server's configuration and storage; deleted afterwards. */
  readonly directory: string;
  readonly isInspected: boolean;
  readonly job: Omit<Job, "port" | "serverPid" | "inspectorPort">;
  /** Ends the measurement early, with everything it started. */
  readonly signal: AbortSignal;
}

export async function measureOnce(request: MeasurementRequest): Promise<Measurement> {
  const { bundle, directory, isInspected, job, signal } = request;
  signal.throwIfAborted();
  const server = await startServer({ bundle, directory, isInspected });
  try {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(measurementLimitMs)]);
    const { port, pid: serverPid, inspectorPort } = server;
    return await generate({ ...job, port, serverPid, inspectorPort }, limit);
  } catch (error) {
    const detail = server.errors();
    throw new Error(
      `${job.workload}, ${job.side}: ${error instanceof Error ? error.message : String(error)}` +
        (detail === "" ? "" : `\nworkerd said: ${detail}`),
      { cause: error },
    );
  } finally {
    await server.stop();
  }
}

async function generate(job: Job, signal: AbortSignal): Promise<Measurement> {
  const child = fork(join(import.meta.dirname, "load", "generator.ts"));
  try {
    const answer = once(child, "message", { signal }).then(([message]): unknown => message);
    const ended = once(child, "exit", { signal }).then(([status]) => {
      throw new Error(`the generator ended with status ${String(status)} and no answer`);
    });
    answer.catch(() => undefined);
    ended.catch(() => undefined);
    child.send(job);
    const result = await Promise.race([answer, ended]);
    if (!isJobResult(result)) {
      throw new Error("the generator gave an answer that is none");
    }
    if (!result.ok) {
      throw new Error(result.reason);
    }
    return result.measurement;
  } finally {
    await end(child);
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) {
    return;
  }
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}
