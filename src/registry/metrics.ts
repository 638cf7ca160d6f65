/** The registry's figures in Prometheus text format 0.0.4. */
export function renderMetrics(
  counters: readonly (readonly [name: string, count: number])[],
  totals: { readonly rooms: number; readonly connections: number },
): string {
  const lines = [
    "# HELP partyshard_rooms Rooms that have clients.",
    "# TYPE partyshard_rooms gauge",
    `partyshard_rooms ${totals.rooms}`,
    "# HELP partyshard_connections Open client sockets, as last reported.",
    "# TYPE partyshard_connections gauge",
    `partyshard_connections ${totals.connections}`,
    "# HELP partyshard_events_total Refusals and failures, by kind.",
    "# TYPE partyshard_events_total counter",
    ...counters.map(([name, count]) => `partyshard_events_total{kind="${name}"} ${count}`),
  ];
  return `${lines.join("\n")}\n`;
}
