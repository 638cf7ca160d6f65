/** How the gate follows a room's layout: status, growth, and shards that cannot be reached. */
import { expect, test } from "vitest";
import { lost, type Answer } from "../../test/support/fake-calls.ts";
import { GateRig, problemOf } from "../../test/support/gate-rig.ts";
import { turns } from "../../test/support/turns.ts";
import type { ShardLoad } from "../protocol/registry-calls.ts";
import type { ShardId } from "../protocol/names.ts";

const full = { ok: false, code: "full" } as const;
const unreachable = { ok: false, code: "unreachable" } as const;
const load = (shard: string, more: Partial<ShardLoad> = {}): ShardLoad => ({
  id: shard as ShardId,
  status: "online",
  connections: 0,
  capacity: 1_000,
  generation: 1,
  reportedAt: 0,
  ...more,
});

const following = { shards: { min: 1, max: 4 } } as const;

test("HT5 the status follows the layout: slots, generations, and what is being emptied", async () => {
  const rig = new GateRig(following);
  rig.loads = [
    load("lobby-1", { status: "draining" }),
    load("lobby-2~2", { generation: 2 }),
    load("lobby-3", { status: "offline" }),
  ];
  const status = (await (await rig.ask("/parties/router/lobby")).json()) as {
    shards: Record<string, unknown>[];
  };
  expect(status.shards.map(({ id, status: state, generation }) => [id, state, generation])).toEqual(
    [
      ["lobby-1", "draining", 1],
      ["lobby-2", "online", 2],
      ["lobby-3", "offline", 1],
    ],
  );
});

test.each([false, true])(
  "HT5 the status has a slot once, with the clients of all its objects (reversed: %s)",
  async (isReversed) => {
    const rig = new GateRig(following);
    rig.loads = [
      load("lobby-1", { status: "draining" }),
      load("lobby-1~2", { generation: 2 }),
      load("lobby-2"),
    ];
    if (isReversed) rig.loads.reverse();
    const subscribers = [
      { shard: "lobby-1", connections: 3, acked: 7, stateError: null },
      { shard: "lobby-1~2", connections: 4, acked: 9, stateError: null },
    ];
    const told = { epoch: "e", seq: 9, history: null, snapshot: null, subscribers };
    rig.calls.answer = (call) => {
      return call.request.type === "status" ? { ok: true, value: told } : rig.answer(call);
    };
    const status = (await (await rig.ask("/parties/router/lobby")).json()) as {
      connections: number;
      shards: { id: string }[];
    };
    expect(status.connections).toBe(7);
    const capacity = 1_000;
    expect(status.shards.toSorted((a, b) => a.id.localeCompare(b.id))).toEqual([
      { id: "lobby-1", status: "online", connections: 7, capacity, acked: 7, generation: 2 },
      { id: "lobby-2", status: "online", connections: 0, capacity, acked: 9, generation: 1 },
    ]);
  },
);

test("HT5 the status tells the region of each shard, where the type has regions", async () => {
  const rig = new GateRig(following);
  rig.loads = [load("lobby-1", { region: "weur" }), load("lobby-2")];
  const status = (await (await rig.ask("/parties/router/lobby")).json()) as {
    shards: Record<string, unknown>[];
  };
  expect(status.shards[0]).toHaveProperty("region", "weur");
  expect(status.shards[1]).not.toHaveProperty("region");
});

test("HT5 a status without the registry is unavailable, and no guess", async () => {
  const rig = new GateRig(following);
  rig.calls.answer = (call) => (call.role === "registry" ? lost : rig.answer(call));
  expect(await problemOf(await rig.ask("/parties/router/lobby"))).toBe("503 unavailable");
});

test("AS1 a gate whose client finds no place asks once more, and the client gets the new shard", async () => {
  const rig = new GateRig(following);
  rig.connect = (shard) => (shard === "lobby-1" ? full : new Response("taken"));
  rig.calls.answer = (call): Answer => {
    const { request } = call;
    if (request.type === "table" && request.isRefusing === true) rig.loads.push(load("lobby-2"));
    return rig.answer(call);
  };
  const answers = await Promise.all(Array.from({ length: 20 }, () => rig.upgrade()));
  for (const answer of answers) expect(await answer.text()).toBe("taken");
  const refusing = rig.calls.of("table").filter(({ isRefusing }) => isRefusing === true);
  expect(refusing).toHaveLength(1);
});

test("AS1 in a room that cannot grow, refusals ask the registry about once a second", async () => {
  const rig = new GateRig(following);
  rig.connect = () => full;
  for (let n = 0; n < 20; n += 1) {
    expect(await problemOf(await rig.upgrade())).toBe("503 room-full");
    rig.clock.advance(100);
  }
  const refusing = rig.calls.of("table").filter(({ isRefusing }) => isRefusing === true);
  expect(refusing).toHaveLength(2);
  const fixed = new GateRig({ shards: 2 });
  fixed.connect = () => full;
  expect(await problemOf(await fixed.upgrade())).toBe("503 room-full");
  expect(fixed.calls.of("table").some(({ isRefusing }) => isRefusing === true)).toBe(false);
});

/** A tenth of a second of connects, whose answers are given. */
async function burst(rig: GateRig): Promise<string[]> {
  const answers: string[] = [];
  for (let n = 0; n < 100; n += 1) {
    answers.push(await problemOf(await rig.upgrade(n % 2 === 0 ? "" : "?session=s1")));
    rig.clock.advance(1);
  }
  return answers;
}

test("PL5 a seat that is gone is no reason to ask the registry", async () => {
  const rig = new GateRig({ shards: 1 });
  rig.connect = () => ({ ok: false, code: "ticket-expired" });
  await burst(rig);
  expect(rig.calls.of("table")).toHaveLength(1);
});

test.each([
  ["draining", 1],
  ["fenced", 4],
  ["fenced", 10],
])(
  "PL5 shards that are %s (of %i), though the registry names them, have it asked five times a second",
  async (code, shards) => {
    const rig = new GateRig({ shards });
    rig.connect = () => ({ ok: false, code });
    for (let n = 0; n < 10; n += 1) {
      expect(new Set(await burst(rig))).toEqual(new Set(["503 unavailable"]));
    }
    // Each of the shards is news once.
    expect(rig.calls.of("table").length).toBeLessThanOrEqual(5 + 1 + shards);
  },
);

test("PL5 a registry that does not answer is asked no more often about shards that are no more", async () => {
  const rig = new GateRig({ shards: 2 });
  rig.calls.answer = () => lost;
  rig.connect = () => ({ ok: false, code: "fenced" });
  for (let n = 0; n < 10; n += 1) await burst(rig);
  expect(rig.calls.of("table").length).toBeLessThanOrEqual(5 + 1 + 2);
});

test("PL5, AD1 a shard that moves while another is contested has the registry asked at once", async () => {
  const rig = new GateRig({ shards: 2 });
  const gone = new Set(["lobby-1"]);
  rig.connect = (shard) => {
    return gone.has(shard) ? { ok: false, code: "fenced" } : new Response("taken");
  };
  rig.loads = [load("lobby-1")];
  expect(await problemOf(await rig.upgrade())).toBe("503 unavailable");
  rig.loads = [load("lobby-1"), load("lobby-2")];
  rig.clock.advance(200);
  expect((await rig.upgrade()).status).toBe(200);
  gone.add("lobby-2");
  rig.loads = [load("lobby-1"), load("lobby-2~2")];
  rig.clock.advance(1);
  expect((await rig.upgrade()).status).toBe(200);
});

test("PL5, AD1 a shard that is replaced beside a full one has the registry asked", async () => {
  const rig = new GateRig({ shards: 2 });
  await rig.upgrade();
  const codes: Record<string, string> = { "lobby-1": "full", "lobby-2": "fenced" };
  rig.connect = (shard) => {
    const code = codes[shard];
    return code === undefined ? new Response("taken") : { ok: false, code };
  };
  rig.loads = [load("lobby-1"), load("lobby-2~2")];
  rig.clock.advance(1);
  expect((await rig.upgrade()).status).toBe(200);
});

test("FO7 a shard whose call failed is told of at once, and at most once a second", async () => {
  const rig = new GateRig({ shards: 2 });
  rig.connect = (shard) => (shard === "lobby-1" ? unreachable : new Response("taken"));
  for (let n = 0; n < 30; n += 1) await rig.upgrade();
  expect(rig.calls.of("suspect")).toEqual([{ type: "suspect", shard: "lobby-1" }]);
  rig.clock.advance(1_000);
  for (let n = 0; n < 30; n += 1) await rig.upgrade();
  expect(rig.calls.of("suspect")).toHaveLength(2);
});

test("FO4, FO7 a shard that has too much to do is told of as such, and others take its clients", async () => {
  const rig = new GateRig({ shards: 2 });
  const overloaded = { ok: false, code: "overloaded" } as const;
  rig.connect = (shard) => (shard === "lobby-1" ? overloaded : new Response("taken"));
  for (let n = 0; n < 30; n += 1) expect((await rig.upgrade()).status).toBe(200);
  const told = { type: "suspect", shard: "lobby-1", isOverloaded: true };
  expect(rig.calls.of("suspect")).toEqual([told]);
});

test("FO7 a shard that has no answer in time is told of the second time", async () => {
  const rig = new GateRig({ shards: 1 });
  rig.connect = () => Promise.withResolvers<Response>().promise;
  for (const told of [0, 1]) {
    const answer = rig.upgrade();
    await rig.passWait();
    expect(await problemOf(await answer)).toBe("503 unavailable");
    expect(rig.calls.of("suspect")).toHaveLength(told);
  }
});

test("FO7 a shard that hung, and is known to have been replaced since, is not told of", async () => {
  const rig = new GateRig({ shards: 1 });
  rig.connect = () => Promise.withResolvers<Response>().promise;
  const slow = rig.upgrade();
  await rig.passWait();
  expect(await problemOf(await slow)).toBe("503 unavailable");
  const late = rig.upgrade();
  await turns();
  const hanging = rig.waits.at(-1);
  rig.clock.advance(1_000);
  rig.loads = [load("lobby-1~2")];
  rig.connect = () => new Response("taken");
  expect((await rig.upgrade()).status).toBe(200);
  hanging?.end();
  expect((await late).status).toBe(200);
  expect(rig.connects.map(({ shard }) => shard)).toEqual([
    "lobby-1",
    "lobby-1",
    "lobby-1~2",
    "lobby-1~2",
  ]);
  expect(rig.calls.of("suspect")).toEqual([]);
});

test("FO7 of shards that die together one call a second tells", async () => {
  const rig = new GateRig({ shards: 30 });
  rig.connect = () => unreachable;
  for (let n = 0; n < 40; n += 1) await rig.upgrade();
  expect(rig.calls.of("suspect")).toHaveLength(1);
  rig.clock.advance(1_000);
  await rig.upgrade();
  const [, second] = rig.calls.of("suspect");
  expect(new Set([second?.shard, ...(second?.others ?? [])]).size).toBeGreaterThan(20);
});

test.each(["draining", "fenced"])(
  "FO7 a shard that is %s and that a newer table names all the same is told of, once a second",
  async (code) => {
    const rig = new GateRig({ shards: 1 });
    rig.connect = () => ({ ok: false, code });
    for (let n = 0; n < 10; n += 1) await burst(rig);
    expect(rig.calls.of("suspect")).toEqual([{ type: "suspect", shard: "lobby-1" }]);
    rig.clock.advance(1_000);
    rig.calls.answer = (call) => {
      if (call.request.type === "suspect") rig.loads = [load("lobby-1~2")];
      return rig.answer(call);
    };
    rig.connect = (shard) => (shard === "lobby-1" ? { ok: false, code } : new Response("taken"));
    await rig.upgrade();
    rig.clock.advance(200);
    expect((await rig.upgrade()).status).toBe(200);
    expect(rig.calls.of("suspect")).toHaveLength(2);
  },
);

test("FO7 also when all who come bring sessions of it", async () => {
  const rig = new GateRig({ shards: 1 });
  rig.connect = () => ({ ok: false, code: "draining" });
  expect(await problemOf(await rig.upgrade("?session=1.s1"))).toBe("503 unavailable");
  expect(rig.calls.of("suspect")).toEqual([{ type: "suspect", shard: "lobby-1" }]);
});

test("FO7 a shard that moved, as the newer table says, is not told of", async () => {
  const rig = new GateRig({ shards: 2 });
  await rig.upgrade();
  rig.connect = (shard) => {
    return rig.loads.some(({ id, status }) => id === shard && status === "online")
      ? new Response("taken")
      : { ok: false, code: "draining" };
  };
  rig.loads = [load("lobby-1", { status: "draining" }), load("lobby-2~2"), load("lobby-3")];
  for (let n = 0; n < 4; n += 1) expect((await rig.upgrade()).status).toBe(200);
  expect((await rig.upgrade("?session=1.s1")).status).toBe(200);
  expect(rig.calls.of("suspect")).toEqual([]);
});

test("FO7 a shard that is full or refuses a ticket can be reached", async () => {
  const rig = new GateRig({ shards: 1 });
  rig.connect = () => full;
  for (let n = 0; n < 5; n += 1) await rig.upgrade();
  expect(rig.calls.of("suspect")).toEqual([]);
});

test("AS6 resize, migrate and drain ask the room's partition", async () => {
  const rig = new GateRig(following);
  const listed = { roomId: "lobby", address: null, serverIds: ["lobby-1"] };
  rig.calls.answer = (call): Answer => {
    const { type } = call.request;
    if (type === "resize" || type === "migrate") return { ok: true, value: listed };
    if (type === "drain") return { ok: false, code: "unknown-server", detail: "not outside" };
    return rig.answer(call);
  };
  const resized = await rig.admin("rooms/lobby/resize", { method: "POST", body: { shards: 3 } });
  expect(await resized.json()).toMatchObject({ serverIds: ["lobby-1"] });
  const body = { from: "lobby-1" };
  expect((await rig.admin("rooms/lobby/migrate", { method: "POST", body })).status).toBe(200);
  rig.loads = [load("lobby-1", { status: "draining", connections: 7, region: "weur" })];
  const drained = await rig.admin("servers/lobby-1/drain", { method: "POST" });
  expect(await drained.json()).toMatchObject({
    serverId: "lobby-1",
    kind: "shard",
    status: "draining",
    playerCount: 7,
    region: "weur",
  });
  expect(rig.calls.of("resize")).toEqual([{ type: "resize", room: "lobby", shards: 3 }]);
  expect(rig.calls.of("migrate")).toEqual([{ type: "migrate", shard: "lobby-1" }]);
  expect(rig.calls.of("drainShard")).toEqual([{ type: "drainShard", shard: "lobby-1" }]);
});

test.each([
  ["rooms/lobby/resize", { shards: 0 }, "400 malformed-body"],
  ["rooms/lobby/resize", { shards: 1.5 }, "400 malformed-body"],
  ["rooms/lobby/resize", {}, "400 malformed-body"],
  ["rooms/chess:1/resize", { shards: 2 }, "404 unknown-room-type"],
  ["rooms/lobby/migrate", { from: "another-1" }, "400 malformed-body"],
  ["rooms/lobby/migrate", { from: "lobby" }, "400 malformed-body"],
  ["rooms/lobby/migrate", {}, "400 malformed-body"],
])("RA3 POST %s with %j is %s, and nothing is asked", async (path, body, problem) => {
  const rig = new GateRig(following);
  expect(await problemOf(await rig.admin(path, { method: "POST", body }))).toBe(problem);
  expect(rig.calls.made).toEqual([]);
});
