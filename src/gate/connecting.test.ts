import { expect, test } from "vitest";
import { lost, type Answer } from "../../test/support/fake-calls.ts";
import { GateRig, problemOf } from "../../test/support/gate-rig.ts";
import { turns } from "../../test/support/turns.ts";
import type { Region } from "../protocol/registry.ts";

const full = { ok: false, code: "full" } as const;
const queryOf = (units: number): string => `?_pk=me&a=${"x".repeat(units - "_pk=me&a=".length)}`;
const shardsOf = (rig: GateRig): string[] => rig.connects.map(({ shard }) => shard);

test("NM4 a client's own connection id goes on with its query, untouched", async () => {
  const rig = new GateRig();
  const answer = await rig.upgrade("?_pk=me&name=a%20b&name=c+d");
  expect(await answer.text()).toBe("taken");
  expect(rig.connects).toMatchObject([{ connection: "me", query: "_pk=me&name=a%20b&name=c+d" }]);
});

test("NM4 a client that brings no id is given one", async () => {
  const rig = new GateRig();
  await rig.upgrade("?a=b");
  await rig.upgrade("");
  expect(rig.connects).toMatchObject([
    { connection: "id-1", query: "a=b&_pk=id-1" },
    { connection: "id-2", query: "_pk=id-2" },
  ]);
});

test.each([
  "?_pk=",
  "?_pk=a~b",
  "?_pk=%20",
  "?_pk=%C3%A4",
  `?_pk=${"a".repeat(129)}`,
  "?protocol=x",
])("HT4, NM4 an upgrade with %s is refused, and reaches no shard", async (query) => {
  const rig = new GateRig();
  expect(await problemOf(await rig.upgrade(query))).toBe("400 malformed-query");
  expect(rig.connects).toEqual([]);
});

test("HT4 a query too long for a shard to keep is refused with 414", async () => {
  const rig = new GateRig();
  expect((await rig.upgrade(queryOf(1_024))).status).toBe(200);
  expect(await problemOf(await rig.upgrade(queryOf(1_025)))).toBe("414 uri-too-long");
});

test("PL1 a socket goes to the shard with the fewest connections", async () => {
  const rig = new GateRig();
  rig.loads = rig.loads.map((load, index) => ({ ...load, connections: index === 2 ? 1 : 9 }));
  await rig.upgrade();
  expect(shardsOf(rig)).toEqual(["lobby-3"]);
});

test("PL4 1,000 sockets through one gate leave no shard above 1.05 times the mean", async () => {
  const rig = new GateRig({ shards: 10 });
  await Promise.all(Array.from({ length: 1_000 }, () => rig.upgrade()));
  const counts = Map.groupBy(rig.connects, ({ shard }) => shard);
  expect(counts.size).toBe(10);
  expect(Math.max(...[...counts.values()].map((each) => each.length))).toBeLessThanOrEqual(105);
});

test("PL5 a burst of connects asks the registry once, and later ones once a second", async () => {
  const rig = new GateRig();
  await Promise.all(Array.from({ length: 200 }, () => rig.upgrade()));
  expect(rig.calls.of("table")).toHaveLength(1);
  for (let n = 0; n < 100; n += 1) {
    await rig.upgrade();
    rig.clock.advance(50);
  }
  expect(rig.calls.of("table")).toHaveLength(5);
});

test("PL5 a registry that is down is asked no more often, and sockets are placed all the same", async () => {
  const rig = new GateRig();
  rig.calls.answer = () => lost;
  for (let n = 0; n < 100; n += 1) {
    expect((await rig.upgrade()).status).toBe(200);
    rig.clock.advance(50);
  }
  expect(rig.calls.of("table")).toHaveLength(5);
  expect(new Set(shardsOf(rig)).size).toBe(4);
});

test.each(["full", "unreachable", "unavailable", "overloaded"])(
  "PL5 when the shards are %s too, the registry is asked no more often",
  async (code) => {
    const rig = new GateRig();
    rig.connect = () => ({ ok: false, code });
    for (let n = 0; n < 300; n += 1) {
      await rig.upgrade();
      rig.clock.advance(10);
    }
    expect(rig.calls.of("table").length).toBeLessThanOrEqual(3);
  },
);

test("PL5 a gate that has just told of shards asks a second later", async () => {
  const rig = new GateRig();
  await rig.upgrade();
  rig.clock.advance(900);
  rig.connect = () => lost;
  await rig.upgrade();
  expect(rig.calls.of("suspect")).toHaveLength(1);
  rig.connect = () => new Response("taken");
  for (const [ms, asked] of [
    [100, 1],
    [899, 1],
    [1, 2],
  ] as const) {
    rig.clock.advance(ms);
    await rig.upgrade();
    expect(rig.calls.of("table")).toHaveLength(asked);
  }
});

test("PL5 each room has a table of its own", async () => {
  const rig = new GateRig();
  await rig.upgrade("", "one");
  await rig.upgrade("", "other");
  expect(rig.calls.of("table").map(({ room }) => room)).toEqual(["one", "other"]);
});

test("PL6 a shard that is known to be full is tried last", async () => {
  const rig = new GateRig({ capacity: 5 });
  rig.loads = rig.loads.map((load, index) => ({ ...load, connections: index === 3 ? 4 : 5 }));
  await rig.upgrade();
  rig.connect = () => full;
  await rig.upgrade();
  expect(shardsOf(rig)[0]).toBe("lobby-4");
  expect(rig.connects).toHaveLength(4);
});

test("AD2 a client that a shard refuses is tried on two others, each once", async () => {
  const rig = new GateRig();
  rig.connect = () => (rig.connects.length < 3 ? full : new Response("taken"));
  expect(await (await rig.upgrade("?_pk=me")).text()).toBe("taken");
  expect(new Set(shardsOf(rig)).size).toBe(3);
  expect(new Set(rig.connects.map(({ connection }) => connection))).toEqual(new Set(["me"]));
});

test.each([
  ["full", ["full", "full", "full"], "503 room-full"],
  ["full and unreachable", ["unreachable", "full", "unreachable"], "503 room-full"],
  ["unreachable", ["unreachable", "unavailable", "overloaded"], "503 unavailable"],
])(
  "AD2 when three shards are %s, the client is told when to come back",
  async (_, codes, problem) => {
    const rig = new GateRig();
    rig.connect = () => ({ ok: false, code: codes[rig.connects.length - 1] ?? "" });
    const answer = await rig.upgrade();
    expect(answer.headers.get("retry-after")).toBe("2");
    expect(await problemOf(answer)).toBe(problem);
    expect(rig.connects).toHaveLength(3);
  },
);

test.each(["full", "unreachable", "unavailable", "overloaded", "draining"])(
  "PL11 a shard that is %s costs one client an attempt in a second, and the others none",
  async (code) => {
    const rig = new GateRig({ shards: 2 });
    rig.connect = (shard) => {
      return shard === "lobby-1" ? { ok: false, code } : new Response("taken");
    };
    for (let n = 0; n < 20; n += 1) expect((await rig.upgrade()).status).toBe(200);
    expect(shardsOf(rig).filter((shard) => shard === "lobby-1")).toHaveLength(1);
    rig.clock.advance(1_000);
    for (let n = 0; n < 20; n += 1) expect((await rig.upgrade()).status).toBe(200);
    expect(shardsOf(rig).filter((shard) => shard === "lobby-1")).toHaveLength(2);
  },
);

test("PL11 a shard that hangs is waited for by the clients that were there, and by no others", async () => {
  const rig = new GateRig({ shards: 2 });
  rig.connect = (shard) => (shard === "lobby-1" ? never() : new Response("taken"));
  while (!shardsOf(rig).includes("lobby-1")) {
    void rig.upgrade();
    await turns();
  }
  await rig.passWait();
  for (let n = 0; n < 20; n += 1) expect((await rig.upgrade()).status).toBe(200);
  expect(shardsOf(rig).filter((shard) => shard === "lobby-1")).toHaveLength(1);
});

test("PL11, RA19 so is one that a session leads to", async () => {
  const rig = new GateRig({ shards: 2 });
  rig.connect = (shard) => (shard === "lobby-1" ? lost : new Response("taken"));
  expect((await rig.upgrade("?session=1.s1")).status).toBe(200);
  for (let n = 0; n < 20; n += 1) expect((await rig.upgrade()).status).toBe(200);
  expect(shardsOf(rig).filter((shard) => shard === "lobby-1")).toHaveLength(1);
});

test("AD2 a room of one shard has nothing else to try", async () => {
  const rig = new GateRig({ shards: 1 });
  rig.connect = () => full;
  expect(await problemOf(await rig.upgrade())).toBe("503 room-full");
  expect(rig.connects).toHaveLength(1);
});

test("AD2, PL4 a refusal is not counted as a placement", async () => {
  const rig = new GateRig({ shards: 2 });
  rig.connect = (shard) => (shard === "lobby-1" ? full : new Response("taken"));
  for (let n = 0; n < 10; n += 1) await rig.upgrade();
  rig.clock.advance(1_000);
  // Had the refusals been counted, the shard that refused would look as loaded as the other.
  rig.connect = () => new Response("taken");
  for (let n = 0; n < 9; n += 1) await rig.upgrade();
  expect(new Set(shardsOf(rig).slice(-9))).toEqual(new Set(["lobby-1"]));
});

/** An answer that never comes. */
const never = <Value>(): Promise<Value> => new Promise(() => {});

test("AD5 a shard that hangs is given half of the time, and another one the rest", async () => {
  const rig = new GateRig({ connectTimeoutMs: 8_000 });
  rig.connect = () => (rig.connects.length === 1 ? never() : new Response("taken"));
  const upgrading = rig.upgrade();
  await rig.passWait();
  expect(await (await upgrading).text()).toBe("taken");
  expect(rig.waits.map(({ ms }) => ms)).toEqual([4_000, 4_000, 4_000]);
  const [hung, taken] = rig.connects;
  expect([hung?.signal.aborted, taken?.signal.aborted]).toEqual([true, false]);
});

test("AD5 when all shards hang the client is told when to come back, and no third is tried", async () => {
  const rig = new GateRig();
  rig.connect = never;
  const upgrading = rig.upgrade();
  await rig.passWait();
  await rig.passWait();
  const answer = await upgrading;
  expect(answer.headers.get("retry-after")).toBe("2");
  expect(await problemOf(answer)).toBe("503 unavailable");
  expect(rig.connects.map(({ signal }) => signal.aborted)).toEqual([true, true]);
});

test("AD5 a registry that hangs is not waited for longer, and the socket is placed all the same", async () => {
  const rig = new GateRig();
  rig.calls.answer = (call) => (call.request.type === "table" ? never() : rig.answer(call));
  const upgrading = rig.upgrade();
  await rig.passWait();
  expect(await (await upgrading).text()).toBe("taken");
  rig.connect = never;
  rig.clock.advance(1_000);
  const hopeless = rig.upgrade();
  await rig.passWait();
  await rig.passWait();
  expect(await problemOf(await hopeless)).toBe("503 unavailable");
  expect(rig.connects).toHaveLength(2);
});

test("AD5, AD4 a shard that hangs when it is asked for a place is not connected to later", async () => {
  const rig = new GateRig({ shards: 1, capacity: 1 }, { canRefuseUpgrades: false });
  const held = Promise.withResolvers<Answer>();
  rig.calls.answer = (call) => (call.request.type === "hold" ? held.promise : rig.answer(call));
  const upgrading = rig.upgrade();
  await rig.passWait();
  expect(await problemOf(await upgrading)).toBe("503 unavailable");
  held.resolve({ ok: true, value: null });
  await turns();
  expect(rig.connects).toEqual([]);
});

test("AD4 where upgrades cannot be refused, a nearly full shard is asked for a place first", async () => {
  const rig = new GateRig({ shards: 1, capacity: 100 }, { canRefuseUpgrades: false });
  rig.loads = rig.loads.map((load) => ({ ...load, connections: 83 }));
  await rig.upgrade("?_pk=a");
  expect(rig.calls.of("hold")).toEqual([]);
  await rig.upgrade("?_pk=b");
  expect(rig.calls.of("hold")).toEqual([
    { type: "hold", connection: "b", claim: null, session: null },
  ]);
  expect(rig.connects.map(({ connection }) => connection)).toEqual(["a", "b"]);
});

test("AD4 a shard that has no place to hold is not connected to, and others are asked", async () => {
  const rig = new GateRig({ shards: 4, capacity: 10 }, { canRefuseUpgrades: false });
  rig.calls.answer = (call) =>
    call.request.type === "hold" ? { ...full, detail: "" } : rig.answer(call);
  expect(await problemOf(await rig.upgrade())).toBe("503 room-full");
  expect([rig.calls.of("hold").length, rig.connects.length]).toEqual([3, 0]);
});

test("AD4 where upgrades can be refused, no place is asked for", async () => {
  const rig = new GateRig({ shards: 1, capacity: 1 });
  await rig.upgrade();
  expect(rig.calls.of("hold")).toEqual([]);
});

const world = ["enam", "weur", "apac", "oc", "weur", "weur", "weur"] as const;

/** A room around the world, and a client from a region. */
function worldRig(from: Region | null, registryKnows = true): GateRig {
  const options = { shards: world.length, regions: world, placement: "nearest" } as const;
  const rig = new GateRig(options, { region: () => from });
  rig.loads = rig.loads.map((load, index) => ({ ...load, region: world[index] ?? "enam" }));
  if (!registryKnows) rig.calls.answer = () => lost;
  return rig;
}

test.each([
  ["weur", true, ["lobby-2", "lobby-5", "lobby-6", "lobby-7"]],
  ["weur", false, ["lobby-2", "lobby-5", "lobby-6", "lobby-7"]],
  ["afr", true, ["lobby-2", "lobby-5", "lobby-6", "lobby-7"]],
  ["wnam", true, ["lobby-1"]],
  ["me", true, ["lobby-2", "lobby-5", "lobby-6", "lobby-7"]],
] as const)(
  "RE4 nearest takes a client from %s to the nearest shards, told by the registry (%j) or not",
  async (from, registryKnows, near) => {
    const rig = worldRig(from, registryKnows);
    for (let n = 0; n < 8; n += 1) await rig.upgrade();
    expect([...new Set(shardsOf(rig))].toSorted()).toEqual(near);
  },
);

test("RE4 a client whose region is not known goes to the least loaded shard", async () => {
  const rig = worldRig(null);
  for (let n = 0; n < 70; n += 1) await rig.upgrade();
  expect(new Set(shardsOf(rig)).size).toBe(world.length);
});

test("RE4 shards that are full are passed over for the next nearest", async () => {
  const rig = worldRig("weur");
  rig.loads = rig.loads.map((load) =>
    load.region === "weur" ? { ...load, connections: load.capacity } : load,
  );
  await rig.upgrade();
  expect(shardsOf(rig)).toEqual(["lobby-1"]);
});

/** Regions of the shards that were tried, in turn. */
async function tried(rig: GateRig, takes: (shard: string) => boolean): Promise<string[]> {
  rig.connect = (shard) => (takes(shard) ? new Response("taken") : full);
  expect(await (await rig.upgrade()).text()).toBe("taken");
  return shardsOf(rig).map((shard) => world[Number(shard.split("-")[1]) - 1] ?? "none");
}

test("RE4 a shard that refuses, as it is full, is followed by another of its region", async () => {
  let first: string | null = null;
  const regions = await tried(worldRig("weur"), (shard) => shard !== (first ??= shard));
  expect(regions).toEqual(["weur", "weur"]);
});

test("RE4 after two that refuse, as they are full, the next nearest region is tried", async () => {
  const regions = await tried(worldRig("weur"), (shard) => shard === "lobby-1");
  expect(regions).toEqual(["weur", "weur", "enam"]);
});

test("RE4 a region of which every other shard is thought to be full is not tried again", async () => {
  const rig = worldRig("weur");
  rig.loads = rig.loads.map((load, index) =>
    index > 3 ? { ...load, connections: load.capacity } : load,
  );
  const regions = await tried(rig, (shard) => shard === "lobby-3");
  expect(regions).toEqual(["weur", "enam", "apac"]);
});

test("RE4 a shard that cannot be reached is followed by another of its region", async () => {
  const rig = worldRig("weur");
  rig.connect = () => lost;
  await rig.upgrade();
  const regions = shardsOf(rig).map((shard) => world[Number(shard.split("-")[1]) - 1]);
  expect(regions).toEqual(["weur", "weur", "weur"]);
});
