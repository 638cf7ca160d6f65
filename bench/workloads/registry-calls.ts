/**
 * Calls that reach the registry while sockets connect to one room of ten shards, as the registry
 * counts them: until the last is open, and in the two seconds after, when shards tell their load.
 * Each room is new, so that the first calls for a room are among them. Of ten thousand sockets at most
 * 8,000 are open at a time, since workerd needs two file descriptors for each: the first close before
 * the last connect, which takes time and with it calls.
 */
import { join } from "node:path";
import { type Audience, openAudience } from "../load/audience.ts";
import type { Job, Measurement } from "../load/job.ts";
import { Receipts } from "../load/receipts.ts";
import { RegistryLane } from "../load/registry-lane.ts";
import { sleep } from "../load/room-load.ts";
import { UsageWindow } from "../load/usage-window.ts";
import type { Workload } from "./workload.ts";

const concurrency = 64;
const warmUpSockets = 200;
const fewSockets = 1_000;
const manySockets = 10_000;
const partSockets = 2_000;
const openParts = 4;
/** Shards report within a second; then nothing more comes but renewals of their leases. */
const afterMs = 2_000;
const settleMs = 4_000;

export const registryCalls: Workload = {
  id: "W5-calls",
  title: "registry calls during 1,000 and 10,000 connects to one room, 64 at a time",
  sides: ["ours"],
  configPath: join(import.meta.dirname, "..", "registry", "wrangler.jsonc"),
  rows: [
    { metric: "fewCalls", label: "calls during 1,000 connects", digits: 0 },
    { metric: "fewAfterCalls", label: "calls in the 2 s after", digits: 0 },
    { metric: "manyCalls", label: "calls during 10,000 connects", digits: 0 },
    { metric: "manyTables", label: "of these, tables for the gate", digits: 0 },
    { metric: "manyReports", label: "of these, reports of shards", digits: 0 },
    { metric: "manyAfterCalls", label: "calls in the 2 s after", digits: 0 },
    { metric: "fewPercent", label: "calls per 100 connects, of 1,000", digits: 2 },
    {
      metric: "manyPercent",
      label: "calls per 100 connects, of 10,000",
      digits: 2,
      target: { kind: "at-most", limit: 1 },
    },
    { metric: "manyConnectsPerSecond", label: "connects/s, of 10,000", digits: 0 },
    { metric: "faults", label: "strays", digits: 0, target: { kind: "zero" } },
  ],
  measure,
};

async function measure({ port, serverPid, room }: Job): Promise<Measurement> {
  const name = room.replace(/^[^:]*:/, "");
  const receipts = new Receipts(warmUpSockets + fewSockets + manySockets, 0);
  const registry = new RegistryLane(port);
  const options = { port, concurrency, sink: receipts };
  const warm = await openAudience({ ...options, room: `wide:${name}-warm`, count: warmUpSockets });
  await warm.close();
  await sleep(settleMs);

  const window = new UsageWindow(serverPid);
  const wave = async (type: string, count: number, firstIndex: number) => {
    const before = await registry.calls();
    const startMs = performance.now();
    const open: Audience[] = [];
    for (let opened = 0; opened < count; opened += partSockets) {
      if (open.length === openParts) {
        await open.shift()?.close();
      }
      const part = {
        count: Math.min(partSockets, count - opened),
        firstIndex: firstIndex + opened,
      };
      open.push(await openAudience({ ...options, ...part, room: `${type}:${name}` }));
    }
    const during = await registry.calls();
    const elapsedMs = performance.now() - startMs;
    await sleep(afterMs);
    const after = await registry.calls();
    await Promise.all(open.map((audience) => audience.close()));
    await sleep(settleMs);
    return { during: difference(before, during), after: difference(during, after), elapsedMs };
  };
  const few = await wave("wide", fewSockets, warmUpSockets);
  const many = await wave("vast", manySockets, warmUpSockets + fewSockets);
  const usage = window.read();
  registry.close();
  return {
    metrics: {
      fewCalls: total(few.during),
      fewAfterCalls: total(few.after),
      fewPercent: (total(few.during) * 100) / fewSockets,
      manyCalls: total(many.during),
      manyTables: many.during.get("table") ?? 0,
      manyReports: many.during.get("report") ?? 0,
      manyAfterCalls: total(many.after),
      manyPercent: (total(many.during) * 100) / manySockets,
      fewConnectsPerSecond: (fewSockets * 1_000) / few.elapsedMs,
      manyConnectsPerSecond: (manySockets * 1_000) / many.elapsedMs,
      faults: receipts.verdict(0, new Set()).strays,
      serverShare: usage.serverShare,
      generatorShare: usage.generatorShare,
      othersShare: usage.othersShare,
    },
    complaints: receipts.strayReasons,
  };
}

type Counts = ReadonlyMap<string, number>;

function difference(before: Counts, after: Counts): Counts {
  return new Map([...after].map(([type, count]) => [type, count - (before.get(type) ?? 0)]));
}

function total(counts: Counts): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0);
}
