/** Owns measuring a stretch of time: its length, what the server used and what this process used. */
import { cpuMsOf, machineCpuMs } from "../process-usage.ts";

export interface Usage {
  readonly elapsedMs: number;
  readonly serverCpuMs: number;
  /** Of one core. */
  readonly serverShare: number;
  readonly generatorShare: number;
  /** What other processes took meanwhile: much of it makes a figure worthless. */
  readonly othersShare: number;
}

export class UsageWindow {
  readonly #serverPid: number;
  readonly #startMs = performance.now();
  readonly #serverStartMs: number;
  readonly #ownStart = process.cpuUsage();
  readonly #machineStartMs = machineCpuMs();

  /** Opens the window now. */
  constructor(serverPid: number) {
    this.#serverPid = serverPid;
    this.#serverStartMs = cpuMsOf(serverPid);
  }

  /** Reads the window; `endMs` is when the work ended, if that was before now: shares are up to now. */
  read(endMs: number = performance.now()): Usage {
    const elapsedMs = endMs - this.#startMs;
    const windowMs = performance.now() - this.#startMs;
    const serverCpuMs = cpuMsOf(this.#serverPid) - this.#serverStartMs;
    const own = process.cpuUsage(this.#ownStart);
    const ownCpuMs = (own.user + own.system) / 1_000;
    const machineMs = machineCpuMs() - this.#machineStartMs;
    return {
      elapsedMs,
      serverCpuMs,
      serverShare: serverCpuMs / windowMs,
      generatorShare: ownCpuMs / windowMs,
      othersShare: Math.max(0, machineMs - serverCpuMs - ownCpuMs) / windowMs,
    };
  }
}
