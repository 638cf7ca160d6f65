/**
 * Owns telling whether the machine is free for a measurement, and how much patience is left when it
 * is not. Two cores are all that server and generator need; a third busy process makes every
 * operation dearer, not only slower.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { machineCpuMs } from "./process-usage.ts";

/** Above this share of a core, what else runs on the machine disturbs a measurement. */
export const disturbingShare = 0.15;

const sampleMs = 500;
/** For one run of the benchmark, so that it ends on a machine that is never idle. */
const totalWaitMs = 180_000;
const totalRepeats = 10;

export class Patience {
  #waitMs = totalWaitMs;
  #repeats = totalRepeats;

  /** Resolves when the machine is idle, or when all waiting is used up. */
  async untilQuiet(signal: AbortSignal): Promise<void> {
    while (this.#waitMs > 0) {
      const beforeMs = machineCpuMs();
      await sleep(sampleMs, undefined, { signal });
      if ((machineCpuMs() - beforeMs) / sampleMs <= disturbingShare) {
        return;
      }
      this.#waitMs -= sampleMs;
    }
  }

  /** Whether a measurement during which others used this share of a core is worth repeating. */
  shouldRepeat(othersShare: number): boolean {
    if (othersShare <= disturbingShare || this.#repeats === 0) {
      return false;
    }
    this.#repeats -= 1;
    return true;
  }
}
