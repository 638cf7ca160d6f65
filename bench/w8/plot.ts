/**
 * The plot of W8, as SVG: how figures grow with the size, both axes logarithmic, and the course of
 * the largest run. Pure.
 */
import type { ScaleFigures } from "../../test/sim/scale/scale-run.ts";

type Point = readonly [x: number, y: number];
type Line = { readonly label: string; readonly color: string; readonly points: readonly Point[] };
type Axis = {
  readonly label: string;
  readonly min: number;
  readonly max: number;
  readonly ticks: readonly number[];
  readonly isLogarithmic: boolean;
};
type Chart = {
  readonly title: string;
  readonly top: number;
  readonly x: Axis;
  readonly y: Axis;
  readonly lines: readonly Line[];
};

const width = 760;
const area = { left: 80, width: 480, height: 220 };
const colors = ["#1f6feb", "#d1242f", "#1a7f37", "#9a6700"] as const;

export function plot(runs: readonly ScaleFigures[]): string {
  const largest = runs.at(-1);
  if (largest === undefined) return "";
  const alike = runs.filter(({ options }) => {
    return options.capacity === largest.options.capacity && options.loss === largest.options.loss;
  });
  const charts = [growth(alike), placement(largest), calls(largest)];
  const height = charts.length * 310 + 10;
  const content = charts.map(draw).join("\n");
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">
<rect width="${width}" height="${height}" fill="#fff"/>
${content}
</svg>
`;
}

function growth(runs: readonly ScaleFigures[]): Chart {
  const line = (label: string, index: number, value: (run: ScaleFigures) => number): Line => ({
    label,
    color: colors[index] ?? "#000",
    points: runs.map((run) => [run.options.sockets, Math.max(1, value(run))]),
  });
  return {
    title: "Growth with the number of sockets (1,000 a shard)",
    top: 40,
    x: powers("sockets", 4, 6),
    y: powers("", 0, 4),
    lines: [
      line("frames a message", 0, ({ sequencer }) => sequencer.framesPerMessage),
      line("registry calls/s, peak", 1, ({ registry }) => registry.peakPerSecond),
      line("registry calls/s, storm", 2, ({ registry }) => registry.meanInStorm),
      line("time to replace all, ms", 3, ({ loss }) => loss.lastReplacedMs ?? Number.NaN),
    ],
  };
}

function placement(run: ScaleFigures): Chart {
  const points = run.seconds.map(({ at, unevenness }): Point => [at, Math.min(1.4, unevenness)]);
  const end = run.seconds.length;
  return {
    title: `Largest shard over the mean, ${run.options.sockets} sockets`,
    top: 350,
    x: evenly("second", 0, end, 20),
    y: { label: "", min: 1, max: 1.4, ticks: [1, 1.05, 1.1, 1.2, 1.3, 1.4], isLogarithmic: false },
    lines: [
      { label: "largest / mean", color: colors[0], points },
      {
        label: "share that is connected",
        color: colors[2],
        points: run.seconds.map(({ at, connections }) => [
          at,
          1 + (0.4 * connections) / run.options.sockets,
        ]),
      },
    ],
  };
}

function calls(run: ScaleFigures): Chart {
  const most = Math.max(100, ...run.seconds.map(({ registryCalls }) => registryCalls));
  const top = Math.ceil(most / 100) * 100;
  return {
    title: "Calls to the room's partition of the registry, in each second",
    top: 660,
    x: evenly("second", 0, run.seconds.length, 20),
    y: evenly("", 0, top, top / 5),
    lines: [
      {
        label: "calls",
        color: colors[1],
        points: run.seconds.map(({ at, registryCalls }) => [at, registryCalls]),
      },
      {
        label: "target",
        color: colors[2],
        points: [
          [0, 100],
          [run.seconds.length, 100],
        ],
      },
    ],
  };
}

function powers(label: string, from: number, to: number): Axis {
  const ticks = Array.from({ length: to - from + 1 }, (_, index) => 10 ** (from + index));
  return { label, min: 10 ** from, max: 10 ** to, ticks, isLogarithmic: true };
}

function evenly(label: string, min: number, max: number, step: number): Axis {
  const count = Math.floor((max - min) / step) + 1;
  const ticks = Array.from({ length: count }, (_, index) => min + index * step);
  return { label, min, max, ticks, isLogarithmic: false };
}

function draw({ title, top, x, y, lines }: Chart): string {
  const toX = (value: number): number => area.left + area.width * share(x, value);
  const toY = (value: number): number => top + area.height * (1 - share(y, value));
  const [right, bottom] = [area.left + area.width, top + area.height];
  const grid = [
    ...y.ticks.map((tick) => {
      const at = toY(tick).toFixed(1);
      return `<path d="M${area.left} ${at}H${right}" stroke="#ddd"/>${text(area.left - 8, toY(tick) + 4, name(tick), "end")}`;
    }),
    ...x.ticks.map((tick) => text(toX(tick), bottom + 18, name(tick), "middle")),
  ];
  const curves = lines.map(({ label, color, points }, index) => {
    const known = points.filter(([, value]) => Number.isFinite(value));
    const path = known.map(([px, py]) => `${toX(px).toFixed(1)} ${toY(py).toFixed(1)}`).join("L");
    const key = text(right + 14, top + 14 + index * 18, label, "start", color);
    return `<path d="M${path}" fill="none" stroke="${color}" stroke-width="2"/>${key}`;
  });
  const heads = [
    text(area.left, top - 12, title, "start"),
    text(right + 14, bottom + 18, x.label, "start"),
  ];
  return [...heads, ...grid, ...curves].join("\n");
}

/** Where on the axis a value is, from 0 to 1. */
function share({ min, max, isLogarithmic }: Axis, value: number): number {
  const scale = isLogarithmic ? Math.log10 : (plain: number): number => plain;
  const place = (scale(value) - scale(min)) / (scale(max) - scale(min));
  return Math.min(1, Math.max(0, place));
}

function name(value: number): string {
  return value.toLocaleString("en");
}

function text(x: number, y: number, content: string, anchor: string, color = "#333"): string {
  const place = `x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" fill="${color}"`;
  return `<text ${place}>${content}</text>`;
}
