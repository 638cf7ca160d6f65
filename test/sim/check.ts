/** Runs random schedules and reports the first failure with its smallest form. */
import fc from "fast-check";
import type { PlantedBug } from "./environment.ts";
import type { Schedule } from "./schedule.ts";
import { simulate } from "./simulate.ts";

/** What a schedule of any kind has. */
type Planned = { readonly options: { readonly planted?: PlantedBug; readonly isTraced?: boolean } };
type Simulate<Plan> = (schedule: Plan) => Promise<unknown>;

/** How long a failure is made smaller, ms. */
const shrinkMs = 30_000;

export type Outcome =
  | { readonly isFine: true }
  | { readonly isFine: false; readonly runs: number; readonly report: string };

/** Runs up to `runs` schedules, all from one seed, the run's own when left out. `planted` breaks the worlds on purpose. */
export function checkSchedules(
  schedules: fc.Arbitrary<Schedule>,
  runs: number,
  seed?: number,
  planted?: PlantedBug,
): Promise<Outcome> {
  return checkWorlds(schedules, simulate, { runs, seed, planted });
}

export type Check = {
  readonly runs: number;
  readonly seed?: number | undefined;
  readonly planted?: PlantedBug | undefined;
};

/** The same for schedules of another world. */
export async function checkWorlds<Plan extends Planned>(
  schedules: fc.Arbitrary<Plan>,
  run: Simulate<Plan>,
  { runs, seed, planted }: Check,
): Promise<Outcome> {
  const property = fc.asyncProperty(schedules, async (schedule) => {
    await run(plant(schedule, planted));
  });
  const found = await fc.check(property, {
    numRuns: runs,
    endOnFailure: true,
    ...(seed === undefined ? {} : { seed }),
  });
  if (!found.failed) return { isFine: true };
  if (planted !== undefined) {
    return { isFine: false, runs: found.numRuns, report: messageOf(found.errorInstance) };
  }
  const smallest = await fc.check(property, {
    numRuns: runs,
    seed: found.seed,
    path: found.counterexamplePath ?? "",
    interruptAfterTimeLimit: shrinkMs,
  });
  const [schedule] = smallest.counterexample ?? found.counterexample ?? [];
  const report = [
    `SIM_SEED=${found.seed} fails at schedule ${found.numRuns} of SIM_RUNS=${runs}.`,
    messageOf(smallest.errorInstance ?? found.errorInstance),
    JSON.stringify(schedule),
    ...(schedule === undefined ? [] : await story(schedule, run)),
  ];
  return { isFine: false, runs: found.numRuns, report: report.join("\n") };
}

function plant<Plan extends Planned>(schedule: Plan, planted: PlantedBug | undefined): Plan {
  if (planted === undefined) return schedule;
  return { ...schedule, options: { ...schedule.options, planted } };
}

/** What happened last before the schedule failed. */
async function story<Plan extends Planned>(schedule: Plan, run: Simulate<Plan>): Promise<string[]> {
  try {
    await run({ ...schedule, options: { ...schedule.options, isTraced: true } });
    return ["The schedule does not fail again: the world depends on something beside its seed."];
  } catch (error) {
    return messageOf(error).split("\n").slice(-100);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
