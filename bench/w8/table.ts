/** The figures of W8 as a table for people to read. Pure. */
import type { ScaleFigures } from "../../test/sim/scale/scale-run.ts";

type Row = readonly [label: string, value: (figures: ScaleFigures) => string];

const rows: readonly Row[] = [
  ["sockets", ({ options }) => String(options.sockets)],
  ["shards", ({ options }) => String(options.shards)],
  ["capacity of a shard", ({ options }) => String(options.capacity)],
  ["how sockets end", ({ options }) => options.loss],
  ["lost / repeated / wrong", ({ lost, repeated, wrong }) => `${lost} / ${repeated} / ${wrong}`],
  ["max/mean after the storm", ({ unevennessAfterStorm }) => unevennessAfterStorm.toFixed(3)],
  ["max/mean a minute after", ({ unevennessAfterLoss }) => unevennessAfterLoss.toFixed(3)],
  ["registry calls/s, storm", ({ registry }) => registry.meanInStorm.toFixed(1)],
  ["registry calls/s, at rest", ({ registry }) => registry.meanAtRest.toFixed(1)],
  ["registry calls/s, minute after", ({ registry }) => registry.meanAfterLoss.toFixed(1)],
  ["registry calls/s, peak", ({ registry }) => String(registry.peakPerSecond)],
  ["clients that lost their shard", ({ loss }) => String(loss.clients)],
  ["half of them back", ({ loss }) => seconds(loss.halfBackMs)],
  ["all of them back", ({ loss }) => seconds(loss.allBackMs)],
  ["first shard replaced", ({ loss }) => seconds(loss.firstReplacedMs)],
  ["last shard replaced", ({ loss }) => seconds(loss.lastReplacedMs)],
  ["connects refused meanwhile", ({ loss }) => String(loss.refusedAttempts)],
  ["frames a message", ({ sequencer }) => sequencer.framesPerMessage.toFixed(0)],
  ["frames back a message", ({ sequencer }) => sequencer.answersPerMessage.toFixed(0)],
  ["characters a message", ({ sequencer }) => sequencer.charactersPerMessage.toFixed(0)],
  ["characters of a table", ({ registry }) => String(registry.tableCharacters)],
];

export function table(runs: readonly ScaleFigures[]): string {
  const lines = rows.map(([label, value]) => [label, ...runs.map(value)]);
  const widths = [0, ...runs.map((_, index) => index + 1)].map((column) =>
    Math.max(...lines.map((line) => line[column]?.length ?? 0)),
  );
  return lines
    .map((line) => {
      const cells = line.map((cell, column) =>
        column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      );
      return `| ${cells.join(" | ")} |`;
    })
    .join("\n");
}

function seconds(ms: number | null): string {
  return ms === null ? "not in the minute" : `${(ms / 1_000).toFixed(1)} s`;
}
