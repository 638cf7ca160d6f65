/** Owns the command line of the benchmark. */
import { parseArgs } from "node:util";

export interface Options {
  /** Ids of workloads, upper case, e.g. `W2A`; empty means all. */
  readonly only: readonly string[];
  readonly isQuick: boolean;
  readonly isOursOnly: boolean;
  readonly isNaiveOnly: boolean;
  /** Measurements of each side and workload. */
  readonly rounds: number;
  /** Whether the figures are to be kept with the sources. */
  readonly isSaved: boolean;
}

export const usage = `npm run bench -- [options]
  --only W1,W3    these workloads only; W2 means all whose name begins so
  --quick         shorter, and one round: to see that everything works, not to quote
  --rounds N      measurements of each side (default 5, at most 20)
  --ours-only     without the naive design, so without ratios
  --naive-only    the naive design alone
  --save          write the figures to bench/results/, not to its git-ignored raw/
  --help
`;

const defaultRounds = 5;
const maxRounds = 20;

/** Returns a sentence where the arguments make no sense, `undefined` when help is asked for. */
export function parseOptions(args: readonly string[]): Options | string | undefined {
  const parsed = parse(args);
  if (typeof parsed === "string") {
    return parsed;
  }
  if (parsed.help === true) {
    return undefined;
  }
  const isQuick = parsed.quick === true;
  const rounds = Number(parsed.rounds ?? (isQuick ? 1 : defaultRounds));
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > maxRounds) {
    return `--rounds takes a whole number from 1 to ${maxRounds}`;
  }
  if (parsed["ours-only"] === true && parsed["naive-only"] === true) {
    return "--ours-only and --naive-only leave nothing to measure";
  }
  return {
    only: (parsed.only ?? "")
      .toUpperCase()
      .split(",")
      .filter((id) => id !== ""),
    isQuick,
    isOursOnly: parsed["ours-only"] === true,
    isNaiveOnly: parsed["naive-only"] === true,
    rounds,
    isSaved: parsed.save === true,
  };
}

interface Flags {
  only?: string;
  rounds?: string;
  quick?: boolean;
  save?: boolean;
  help?: boolean;
  "ours-only"?: boolean;
  "naive-only"?: boolean;
}

function parse(args: readonly string[]): Flags | string {
  try {
    return parseArgs({
      args: [...args],
      options: {
        only: { type: "string" },
        rounds: { type: "string" },
        quick: { type: "boolean" },
        "ours-only": { type: "boolean" },
        "naive-only": { type: "boolean" },
        save: { type: "boolean" },
        help: { type: "boolean" },
      },
    }).values;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
