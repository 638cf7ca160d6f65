/** The figures of W8 as JSON, short enough to be read and compared. Pure. */
import type { ScaleFigures, Second } from "../../test/sim/scale/scale-run.ts";

/**
 * An array of the runs, a line for each of their figures. The course is told of the largest run alone,
 * in columns that have a number for each second.
 */
export function record(runs: readonly ScaleFigures[]): string {
  const objects = runs.map((run) => {
    const { seconds, ...figures } = run;
    const lines = Object.entries(figures).map(([name, value]) => line(name, value));
    const course = run === runs.at(-1) ? [`  "seconds": {\n${columns(seconds)}\n  }`] : [];
    return ` {\n${[...lines, ...course].join(",\n")}\n }`;
  });
  return `[\n${objects.join(",\n")}\n]\n`;
}

function columns(seconds: readonly Second[]): string {
  const names = ["at", "connections", "unevenness", "registryCalls", "replaced"] as const;
  return names
    .map(
      (name) =>
        `  ${line(
          name,
          seconds.map((second) => second[name]),
        )}`,
    )
    .join(",\n");
}

function line(name: string, value: unknown): string {
  return `  ${JSON.stringify(name)}: ${JSON.stringify(value, rounded)}`;
}

function rounded(_name: string, value: unknown): unknown {
  return typeof value === "number" ? Number(value.toFixed(3)) : value;
}
