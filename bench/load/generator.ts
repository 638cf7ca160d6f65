/**
 * A generator process: takes one job from its parent, runs that workload against the server, answers
 * with the measurement and ends. When the parent dies before, even without a word, the generator ends
 * and takes the server that it was given along, so that nothing is left running.
 */
import { workloads } from "../workloads/catalogue.ts";
import { isJob, type JobResult } from "./job.ts";

let serverPid: number | undefined;

process.once("disconnect", () => {
  if (serverPid !== undefined) {
    process.kill(serverPid);
  }
  process.exit(1);
});
process.once("message", (message) => {
  void run(message).then((result) => {
    process.send?.(result, () => process.exit(0));
  });
});

async function run(message: unknown): Promise<JobResult> {
  if (!isJob(message)) {
    return { ok: false, reason: "the generator got no job" };
  }
  serverPid = message.serverPid;
  const workload = workloads.find(({ id }) => id === message.workload);
  if (workload === undefined) {
    return { ok: false, reason: `there is no workload ${message.workload}` };
  }
  try {
    return { ok: true, measurement: await workload.measure(message) };
  } catch (error) {
    return {
      ok: false,
      reason: error instanceof Error ? (error.stack ?? error.message) : String(error),
    };
  }
}
