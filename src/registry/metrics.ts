/** The registry's figures, of one partition or of all, and their Prometheus text format 0.0.4. */
import { hub, partitionNames } from "../core/partitions.ts";
import { Counters } from "../core/counters.ts";
import { success, type Result } from "../protocol/result.ts";
import type { Figures } from "../protocol/registry-calls.ts";
import { asProblem, type RegistryOwner } from "./part.ts";

/** Those of all partitions; fails when one cannot be reached, since counters must not fall. */
export async function gatherFigures(
  owner: RegistryOwner,
  own: () => Figures,
): Promise<Result<{ readonly text: string }>> {
  const { partitions } = owner.rooms.deployment;
  const names = owner.name === hub ? partitionNames(partitions) : [owner.name];
  const replies = await Promise.all(
    names.map(async (name) =>
      name === owner.name ? success(own()) : owner.ask(name, { type: "figures" }),
    ),
  );
  const counters = new Counters();
  const totals = { rooms: 0, connections: 0 };
  for (const reply of replies) {
    if (!reply.ok) return asProblem(reply);
    counters.add(reply.value.counters);
    totals.rooms += reply.value.rooms;
    totals.connections += reply.value.connections;
  }
  return success({ text: renderMetrics(counters.entries(), totals) });
}

function renderMetrics(
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
