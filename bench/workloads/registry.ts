/**
 * A directory of 100,000 rooms in one partition, over HTTP through the gate: lists, reserves,
 * joinOrCreate with 64 in flight. Server CPU is the whole process's: gate, registry and shards, and
 * what these put off. That nothing grows with the number of rooms is seen from the lists of a
 * hundredth of the rooms.
 *
 * The first seat in a room makes its shard, a new object with a row: most of what that costs is the
 * platform's and the file system's (seven `fsync` for a new SQLite file; 20 November 2026), measured
 * beside it as "a row in a new object". Rooms that fill up pay it once for all their seats.
 */
import { join } from "node:path";
import { Histogram } from "../load/histogram.ts";
import type { Job, Measurement } from "../load/job.ts";
import { RegistryLane } from "../load/registry-lane.ts";
import { sleep } from "../load/room-load.ts";
import { UsageWindow } from "../load/usage-window.ts";
import type { Row, Workload } from "./workload.ts";

const fewRooms = 1_000;
const manyRooms = 100_000;
const lanes = 8;
const manyLanes = 64;
const settleMs = 2_000;
/** Seats of a room of each type in bench/registry/worker.ts. */
const seats = { match: 8, game: 4 } as const;
type RoomType = keyof typeof seats;
/** Long enough that no seat of a measurement comes free again. */
const ttlMs = 600_000;

/** Lists of the first 50 that fit: what they are asked for, and how they are named. */
const lists = {
  first: { label: "first page", query: "" },
  deep: { label: "from the middle on", query: "&cursor=match:MIDDLE" },
  open: { label: "hasSpace, notLocked", query: "&hasSpace=true&notLocked=true" },
  ranked: { label: "metadata of a tenth", query: "&metadata.mode=ranked" },
  none: { label: "metadata of none", query: "&metadata.mode=none" },
} as const;
type List = keyof typeof lists;
const listNames = ["first", "deep", "open", "ranked", "none"] as const satisfies readonly List[];

const listRows = (rooms: "few" | "many", title: string): readonly Row[] =>
  listNames.map((name) => ({
    metric: `${rooms}.${name}`,
    label: `GET rooms of ${title}, ${lists[name].label}, CPU ms`,
    digits: 2,
    target: { kind: "at-most", limit: 20 },
  }));

const reserveRow = (metric: string, label: string): Row => ({
  metric,
  label: `POST reserve, ${label}, CPU ms`,
  digits: 2,
  target: { kind: "at-most", limit: 2 },
});

export const registry: Workload = {
  id: "registry",
  title: "100,000 rooms in one partition, over HTTP",
  sides: ["ours"],
  configPath: join(import.meta.dirname, "..", "registry", "wrangler.jsonc"),
  rows: [
    ...listRows("few", "1,000"),
    ...listRows("many", "100,000"),
    reserveRow("reserve.stream", "no query, rooms of four made as needed"),
    reserveRow("reserve.open", "in open rooms"),
    reserveRow("reserve.metadata", "in open rooms with metadata"),
    reserveRow("reserve.named", "in a named room, its shard awake"),
    reserveRow("reserve.woken", "in a named room, its shard's first"),
    reserveRow("reserve.created", "metadata of none, rooms of eight made as needed"),
    { metric: "newObject", label: "a row in a new object and no more, CPU ms", digits: 2 },
    { metric: "joinsPerSecond", label: "joinOrCreate, 64 in flight, 1/s", digits: 0 },
    reserveRow("reserve.joins", "joinOrCreate, 64 in flight"),
    { metric: "joinP50Ms", label: "joinOrCreate, 64 in flight, p50 ms", digits: 1 },
    { metric: "joinP99Ms", label: "joinOrCreate, 64 in flight, p99 ms", digits: 1 },
    { metric: "createMicroseconds", label: "creating a room at the registry, CPU µs", digits: 0 },
    {
      metric: "faults",
      label: "seats sold twice, requests failed",
      digits: 0,
      target: { kind: "zero" },
    },
  ],
  measure,
};

async function measure(job: Job): Promise<Measurement> {
  const { port, serverPid, isQuick } = job;
  const all = Array.from({ length: manyLanes }, () => new RegistryLane(port));
  const some = all.slice(0, lanes);
  const [first] = all;
  if (first === undefined) {
    throw new Error("there are no lanes");
  }
  const repeats = isQuick ? 150 : 500;
  const metrics: Record<string, number> = {};
  const sold = new Sold();
  const failures: string[] = [];
  const whole = new UsageWindow(serverPid);
  const times = (count: number, act: Act, using = some) => inLanes(using, count, act, serverPid);

  const measureLists = async (rooms: "few" | "many"): Promise<void> => {
    for (const name of listNames) {
      const middle = numbered((rooms === "few" ? fewRooms : manyRooms) / 2);
      const path = `type=match&limit=50${lists[name].query}`.replace("MIDDLE", middle);
      const ask: Act = (lane) => lane.rooms(path);
      await times(20, ask);
      metrics[`${rooms}.${name}`] = await times(repeats, ask);
    }
  };
  const reserve = (more: (number: number) => object, roomType: RoomType = "match"): Act => {
    return async (lane, number) => {
      const player = { playerId: `player-${number}`, roomType, ttlMs };
      // One that breaks may have held a seat: it is not tried again.
      const answered = await lane.reserve({ ...player, ...more(number) }).catch(String);
      if (!sold.add(answered, seats[roomType])) {
        failures.push(answered);
      }
    };
  };

  await first.fill(0, fewRooms);
  await measureLists("few");
  const filling = new UsageWindow(serverPid);
  await first.fill(fewRooms, manyRooms);
  await sleep(settleMs);
  metrics["createMicroseconds"] = (filling.read().serverCpuMs * 1_000) / (manyRooms - fewRooms);
  await measureLists("many");

  const open = reserve(() => ({}));
  // As many as are measured: after fewer the first case alone would pay for code that is compiled.
  await times(repeats, open);
  metrics["reserve.open"] = await times(repeats, open);
  const withMetadata = reserve(() => ({ query: { metadata: { mode: "ranked" } } }));
  metrics["reserve.metadata"] = await times(repeats, withMetadata);
  const rooms = Math.ceil(repeats / (seats.match - 1));
  const inNamed = reserve((number) => ({ roomId: farRoom(number % rooms) }));
  metrics["reserve.woken"] = await times(rooms, inNamed);
  metrics["reserve.named"] = await times(rooms * (seats.match - 2), inNamed);
  const stream = reserve(() => ({}), "game");
  metrics["reserve.stream"] = await times(repeats, stream);
  const created = reserve(() => ({ query: { metadata: { mode: "none" } } }));
  metrics["reserve.created"] = await times(repeats, created);
  metrics["newObject"] = await times(repeats, (lane, number) => lane.writeObject(`${number}`));
  await sleep(settleMs);

  const histogram = new Histogram();
  const timedJoin = async (lane: RegistryLane, number: number): Promise<void> => {
    const startMs = performance.now();
    await open(lane, number);
    histogram.add(performance.now() - startMs);
  };
  const joins = isQuick ? 1_000 : 4_000;
  const startMs = performance.now();
  metrics["reserve.joins"] = await times(joins, timedJoin, all);
  metrics["joinsPerSecond"] = (joins * 1_000) / (performance.now() - startMs);
  const usage = whole.read();
  all.forEach((lane) => lane.close());
  return {
    metrics: {
      ...metrics,
      joinP50Ms: histogram.percentile(0.5),
      joinP99Ms: histogram.percentile(0.99),
      faults: sold.twice + failures.length,
      serverShare: usage.serverShare,
      generatorShare: usage.generatorShare,
      othersShare: usage.othersShare,
    },
    complaints: failures.slice(0, 10),
  };
}

/** A room far from those that fill up first, and not locked. */
function farRoom(index: number): string {
  return `match:${numbered(manyRooms / 2 + 4 * index)}`;
}

/** As rooms are numbered in bench/registry/worker.ts. */
function numbered(room: number): string {
  return String(room).padStart(6, "0");
}

type Act = (lane: RegistryLane, number: number) => Promise<unknown>;

/** Does it so many times, one at a time on each lane; server CPU of one, in milliseconds. */
async function inLanes(
  using: readonly RegistryLane[],
  count: number,
  act: Act,
  serverPid: number,
): Promise<number> {
  const window = new UsageWindow(serverPid);
  let next = 0;
  await Promise.all(
    using.map(async (lane) => {
      while (next < count) {
        const number = next;
        next += 1;
        await act(lane, number);
      }
    }),
  );
  return window.read().serverCpuMs / count;
}

/** Who got seats: no seat may be given twice, and no room more than it has. */
class Sold {
  readonly #seats = new Set<string>();
  readonly #byRoom = new Map<string, number>();
  twice = 0;

  /** Returns whether the text is an answer at all. */
  add(answer: string, seatsOfRoom: number): boolean {
    if (!answer.startsWith("{")) {
      return false;
    }
    const { roomId, seat } = JSON.parse(answer) as { roomId: string; seat: { id: string } };
    const inRoom = (this.#byRoom.get(roomId) ?? 0) + 1;
    if (this.#seats.has(seat.id) || inRoom > seatsOfRoom) {
      this.twice += 1;
    }
    this.#seats.add(seat.id);
    this.#byRoom.set(roomId, inRoom);
    return true;
  }
}
