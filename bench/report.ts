/** Owns how results are shown and kept: the table on the terminal and the JSON file. */
import { mkdirSync, writeFileSync } from "node:fs";
import { arch, cpus, platform, totalmem } from "node:os";
import { join } from "node:path";
import type { Options } from "./options.ts";
import { disturbingShare } from "./quiet.ts";
import { workerdVersion } from "./server.ts";
import { type Figure, type Line, shareOf, summarize, type WorkloadRuns } from "./summary.ts";
import type { Target } from "./workloads/workload.ts";

/** Above this share of a core the generator has nothing left to give. */
const saturatedShare = 0.95;
const header = ["workload", "metric", "naive", "ours", "ratio", "target", "met"] as const;

/** The table, one line per figure, and below it who used how much of a core. */
export function formatReport(results: readonly WorkloadRuns[]): string {
  const rows = results.flatMap((result) =>
    summarize(result)
      .filter(({ naive, ours }) => naive !== undefined || ours !== undefined)
      .map(cellsOf),
  );
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`;
  const shares = results.flatMap(sharesOf);
  const failures = results.flatMap(({ failures: reasons }) => reasons);
  const complaints = results.flatMap(({ workload, runs }) =>
    (["naive", "ours"] as const).flatMap((side) =>
      runs[side].flatMap((run) => run.complaints.map((text) => `${workload.id} ${side}: ${text}`)),
    ),
  );
  return [
    line(header),
    rule,
    ...rows.map(line),
    "",
    "Share of one core (server, load generator, everything else on the machine), median:",
    ...shares,
    ...section("Failed measurements:", failures),
    ...section("Complaints:", complaints.slice(0, 20)),
    "",
  ].join("\n");
}

/** Writes everything measured, and what it was measured on, and returns the file's path. */
export function writeReport(
  directory: string,
  results: readonly WorkloadRuns[],
  options: Options,
): string {
  const at = new Date().toISOString();
  const path = join(directory, `${at.replaceAll(/[:.]/gu, "-")}.json`);
  mkdirSync(directory, { recursive: true });
  const content = {
    at,
    options,
    machine: machine(),
    lines: results.flatMap(summarize),
    runs: results.map(({ workload, runs, failures }) => ({
      workload: workload.id,
      title: workload.title,
      ...runs,
      failures,
    })),
  };
  writeFileSync(path, `${JSON.stringify(content, undefined, 2)}\n`);
  return path;
}

/** True when every measurement came about and nothing was lost, repeated or out of order. */
export function isSound(results: readonly WorkloadRuns[]): boolean {
  return results.every(
    (result) =>
      result.failures.length === 0 &&
      summarize(result).every(({ target, isMet }) => target?.kind !== "zero" || isMet !== false),
  );
}

function machine(): Readonly<Record<string, string | number>> {
  return {
    platform: `${platform()} ${arch()}`,
    processor: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memoryGigabytes: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    workerd: workerdVersion(),
  };
}

function cellsOf(line: Line): readonly string[] {
  return [
    line.workload,
    line.label,
    formatFigure(line.naive, line),
    formatFigure(line.ours, line),
    line.ratio === undefined ? "–" : line.ratio.toFixed(2),
    formatTarget(line.target),
    line.isMet === undefined ? "–" : line.isMet ? "yes" : "NO",
  ];
}

function formatFigure(figure: Figure | undefined, { digits, target }: Line): string {
  if (figure === undefined) {
    return "–";
  }
  const value = figure.median.toLocaleString("en", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  return target?.kind === "zero" ? value : `${value} (±${(figure.spread * 50).toFixed(0)} %)`;
}

function formatTarget(target: Target | undefined): string {
  switch (target?.kind) {
    case undefined:
      return "–";
    case "zero":
      return "0";
    case "at-most":
      return `≤ ${target.limit.toLocaleString("en")}`;
    case "at-least":
      return `≥ ${target.limit.toLocaleString("en")}`;
    case "ratio-at-most":
      return `≤ ${target.limit.toFixed(2)} ×`;
    case "ratio-at-least":
      return `≥ ${target.limit.toFixed(2)} ×`;
  }
}

function sharesOf({ workload, runs }: WorkloadRuns): readonly string[] {
  return (["naive", "ours"] as const).flatMap((side) => {
    const server = shareOf(runs[side], "serverShare");
    const generator = shareOf(runs[side], "generatorShare");
    const others = shareOf(runs[side], "othersShare");
    if (server === undefined || generator === undefined || others === undefined) {
      return [];
    }
    const isLimiting = generator > saturatedShare && generator > server;
    return [
      `  ${workload.id.padEnd(9)} ${side.padEnd(6)} ${percent(server)} ${percent(generator)} ${percent(others)}` +
        (isLimiting ? "  the load generator, not the server, limits this figure" : "") +
        (others > disturbingShare ? "  something else was running: measure again" : ""),
    ];
  });
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`.padStart(6);
}

function section(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : ["", title, ...lines.map((line) => `  ${line}`)];
}
