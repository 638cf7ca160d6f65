/** What the demo shows: a bar that moves on a terminal, and a table. */

const barWidth = 40;
const isTerminal = process.stdout.isTTY;

/** A bar that is drawn over itself on a terminal, and once when it is full elsewhere. */
export function progressBar(label: string, total: number): (done: number) => void {
  return (done) => {
    const isFull = done >= total;
    if (!isTerminal && !isFull) return;
    const filled = Math.round((done / total) * barWidth);
    const bar = "█".repeat(filled) + "░".repeat(barWidth - filled);
    const line = `${label.padEnd(12)} ${bar} ${done}/${total}`;
    process.stdout.write(`${isTerminal ? "\r" : ""}${line}${isFull ? "\n" : ""}`);
  };
}

/** Columns as wide as their widest cell; the first and the last are aligned left, the others right. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = heads.map((head, column) =>
    Math.max(head.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  return [heads, ...rows]
    .map((row) =>
      row
        .map((cell, column) => {
          const width = widths[column] ?? 0;
          const isLeft = column === 0 || column === row.length - 1;
          return isLeft ? cell.padEnd(width) : cell.padStart(width);
        })
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
