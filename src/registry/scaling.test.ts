import fc from "fast-check";
import { expect, test } from "vitest";
import { lost, type Answer, type Call } from "../../test/support/fake-calls.ts";
import { id, RegistryRig } from "../../test/support/registry-rig.ts";
import { defineRooms, type RoomTypeOptions } from "../core/rooms.ts";
import type { ShardId } from "../protocol/names.ts";

/** A partition, and shards that let go of their clients as soon as they are told to drain. */
class ScalingRig extends RegistryRig {
  /** Clients of each shard. */
  readonly clients = new Map<string, number>();
  /** Shards that do not let go, and do not answer when told to. */
  readonly stubborn = new Set<string>();
  readonly events: { type: string; serverId?: string }[] = [];

  constructor(options: RoomTypeOptions) {
    super(defineRooms({ default: options }));
  }

  override async start(): Promise<this> {
    await super.start();
    this.ports.calls.answer = (call) => this.#answer(call);
    return this;
  }

  #answer({ role, id: name, request }: Call): Answer {
    if (request.type === "events") {
      this.events.push(...request.events);
      return { ok: true, value: { isHeard: true } };
    }
    if (role !== "shard") return { ok: true, value: null };
    if (request.type === "drain") {
      if (this.stubborn.has(name)) return lost;
      this.clients.set(name, 0);
    }
    const connections = this.clients.get(name) ?? 0;
    return { ok: true, value: { connections, players: null, reserved: 0 } };
  }

  async layout() {
    return (await this.ask({ type: "layout", room: id("lobby") })).shards;
  }

  async shards(): Promise<string[]> {
    return (await this.layout()).map(({ id: shard, status }) =>
      status === "online" ? shard : `${shard} ${status}`,
    );
  }

  async online(): Promise<string[]> {
    return (await this.shards()).filter((shard) => !shard.includes(" "));
  }

  /** The shard has so many clients, and says so. */
  async fill(shard: string, connections: number): Promise<void> {
    this.clients.set(shard, connections);
    const load = { connections, players: null, reserved: 0, counters: {} };
    await this.handle({ type: "report", shard: shard as ShardId, ...load });
  }

  refuse() {
    return this.ask({ type: "table", room: id("lobby"), counters: {}, isRefusing: true });
  }

  resize(shards: number | null) {
    return this.ask({ type: "resize", room: id("lobby"), shards });
  }

  /** Lets the audience spread evenly, and every shard report. */
  async spread(audience: number): Promise<void> {
    const online = await this.online();
    for (const [index, shard] of online.entries()) {
      const share = Math.floor((audience + index) / online.length);
      await this.fill(shard, share);
    }
  }
}

const following = { shards: { min: 1, max: 4 }, capacity: 10 } as const;

test("AS1 a room grows when its shards are used for more than 0.7, and the table has the new ones", async () => {
  const rig = await new ScalingRig(following).start();
  await rig.fill("lobby-1", 7);
  expect(await rig.shards()).toEqual(["lobby-1"]);
  await rig.fill("lobby-1", 8);
  expect(await rig.shards()).toEqual(["lobby-1", "lobby-2"]);
  expect((await rig.table("lobby")).shards).toHaveLength(2);
  const listed = await rig.ask({ type: "room", room: id("lobby") });
  expect(listed.serverIds).toEqual(["lobby-1", "lobby-2"]);
});

test("AS1 a client that found no place makes the room grow at once, and a crowd of them no further", async () => {
  const rig = await new ScalingRig(following).start();
  await rig.table("lobby");
  const answers = await Promise.all(Array.from({ length: 50 }, () => rig.refuse()));
  for (const { shards } of answers) expect(shards).toHaveLength(2);
  await rig.pass(1_000);
  expect((await rig.refuse()).shards).toHaveLength(3);
});

test("AS1 a group that finds no seats gets them on a new shard", async () => {
  const rig = await new ScalingRig(following).start();
  await rig.table("lobby");
  const { answer } = rig.ports.calls;
  rig.ports.calls.answer = (call) => {
    if (call.request.type !== "reserve") return answer(call);
    return call.id === "lobby-1"
      ? { ok: false, code: "full", detail: "no place" }
      : { ok: true, value: { expiresAt: 5 } };
  };
  const held = await rig.reserve({ roomType: "default", room: id("lobby") });
  expect(held.server).toBe("lobby-2");
});

test("AS2 the emptiest is drained after a minute of calm, and leaves when it is empty", async () => {
  const rig = await new ScalingRig(following).start();
  await rig.fill("lobby-1", 8);
  await rig.fill("lobby-1", 3);
  await rig.fill("lobby-2", 1);
  rig.stubborn.add("lobby-2");
  await rig.passInSteps(59_000);
  expect(await rig.shards()).toEqual(["lobby-1", "lobby-2"]);
  await rig.passInSteps(2_000);
  expect(await rig.shards()).toEqual(["lobby-1", "lobby-2 draining"]);
  rig.stubborn.delete("lobby-2");
  await rig.passInSteps(5_000);
  expect(await rig.shards()).toEqual(["lobby-1"]);
  await rig.fill("lobby-1", 8);
  expect(await rig.shards()).toEqual(["lobby-1", "lobby-2~2"]);
});

test("AS5 a shard that does not let go is told again, and leaves when its minute is over", async () => {
  const rig = await new ScalingRig({ shards: 2 }).start();
  await rig.fill("lobby-1", 1);
  await rig.fill("lobby-2", 1);
  rig.stubborn.add("lobby-2");
  await rig.ask({ type: "drainShard", shard: "lobby-2" as ShardId });
  await rig.passInSteps(60_000);
  expect(await rig.shards()).toEqual(["lobby-1", "lobby-2 draining", "lobby-3"]);
  const limits = rig.ports.calls
    .of("drain")
    .map((request) => ("limitMs" in request ? request.limitMs : 0));
  expect(limits.length).toBeGreaterThan(20);
  expect(limits[0]).toBe(60_000);
  expect(limits.toSorted((one, other) => other - one)).toEqual(limits);
  await rig.passInSteps(10_000);
  expect(await rig.shards()).toEqual(["lobby-1", "lobby-3"]);
  expect(rig.ports.calls.of("fence")).toEqual([{ type: "fence", shard: "lobby-2~2" }]);
});

test("AS5 a drain goes on after the registry has died", async () => {
  const rig = await new ScalingRig({ shards: 2 }).start();
  await rig.fill("lobby-2", 1);
  rig.stubborn.add("lobby-2");
  await rig.ask({ type: "drainShard", shard: "lobby-2" as ShardId });
  await rig.passInSteps(3_000);
  expect(rig.ports.wakeups.durableAt).not.toBeNull();
  await rig.start();
  rig.stubborn.clear();
  await rig.passInSteps(3_000);
  expect(await rig.shards()).toEqual(["lobby-1", "lobby-3"]);
});

test("AS5 a drain goes on in the partition that takes the room over", async () => {
  const former = await new ScalingRig({ shards: 2 }).start();
  await former.fill("lobby-2", 1);
  former.stubborn.add("lobby-2");
  await former.ask({ type: "drainShard", shard: "lobby-2" as ShardId });
  const rig = await new ScalingRig({ shards: 2 }).start();
  for (const key of ["layout/lobby", "room/lobby"]) {
    await rig.ask({ type: "adopt", rows: { [key]: former.ports.storage.rows.get(key) } });
  }
  expect(await rig.shards()).toEqual(["lobby-1", "lobby-2 draining", "lobby-3"]);
  await rig.passInSteps(3_000);
  expect(await rig.shards()).toEqual(["lobby-1", "lobby-3"]);
});

test("AS5 a drained shard that says it is empty leaves at once", async () => {
  const rig = await new ScalingRig({ shards: 2 }).start();
  await rig.fill("lobby-2", 1);
  rig.stubborn.add("lobby-2");
  await rig.ask({ type: "drainShard", shard: "lobby-2" as ShardId });
  const load = { connections: 0, players: null, reserved: 0, counters: {} };
  const shard = "lobby-2" as ShardId;
  await rig.ask({ type: "report", shard, ...load });
  expect(await rig.shards()).toHaveLength(3);
  await rig.ask({ type: "report", shard, status: "draining", ...load });
  expect(await rig.shards()).toEqual(["lobby-1", "lobby-3"]);
});

test("AS6 a resize by hand holds until it is taken back", async () => {
  const rig = await new ScalingRig(following).start();
  await rig.fill("lobby-1", 1);
  expect((await rig.resize(3)).serverIds).toEqual(["lobby-1", "lobby-2", "lobby-3"]);
  await rig.passInSteps(200_000);
  expect(await rig.shards()).toEqual(["lobby-1", "lobby-2", "lobby-3"]);
  await rig.resize(1);
  await rig.passInSteps(3_000);
  expect(await rig.online()).toHaveLength(1);
  await rig.fill((await rig.online())[0] ?? "", 10);
  expect(await rig.online()).toHaveLength(1);
  await rig.resize(null);
  expect((await rig.online()).length).toBeGreaterThan(1);
});

test.each([0, 5])(
  "AS6 a resize to %j, outside of the type's bounds, is refused",
  async (shards) => {
    const rig = await new ScalingRig(following).start();
    await rig.fill("lobby-1", 1);
    expect(await rig.failed({ type: "resize", room: id("lobby"), shards })).toBe("malformed-body");
    expect(await rig.failed({ type: "resize", room: id("nobody"), shards: 2 })).toBe(
      "unknown-room",
    );
  },
);

test("AS6, GD11 a shard is migrated to a fresh object of another slot, and drains", async () => {
  const rig = await new ScalingRig({ shards: 1, capacity: 10 }).start();
  await rig.fill("lobby-1", 5);
  rig.stubborn.add("lobby-1");
  const listed = await rig.ask({ type: "migrate", shard: "lobby-1" as ShardId });
  expect(listed.serverIds).toEqual(["lobby-2", "lobby-1"]);
  expect(await rig.shards()).toEqual(["lobby-1 draining", "lobby-2"]);
  // Nobody shuts it out while it has clients.
  expect(rig.ports.calls.of("fence")).toEqual([]);
  rig.stubborn.clear();
  await rig.passInSteps(3_000);
  expect(await rig.shards()).toEqual(["lobby-2"]);
  expect(rig.ports.calls.of("fence")).toEqual([{ type: "fence", shard: "lobby-1~2" }]);
  expect(await rig.failed({ type: "migrate", shard: "lobby-1" as ShardId })).toBe("unknown-server");
  await rig.ask({ type: "migrate", shard: "lobby-2" as ShardId });
  expect(await rig.online()).toEqual(["lobby-1~2"]);
});

test.each(["drainShard", "migrate"] as const)(
  "AS6 a room's own limit goes with it to the shard that takes over after %s",
  async (type) => {
    const rig = await new ScalingRig({ shards: 1 }).start();
    await rig.create("lobby", { maxPlayers: 3 });
    await rig.fill("lobby-1", 2);
    rig.ports.calls.made.length = 0;
    await rig.ask({ type, shard: "lobby-1" as ShardId });
    await rig.passInSteps(3_000);
    expect(await rig.shards()).toEqual(["lobby-2"]);
    const limits = rig.ports.calls.made.filter(({ request }) => request.type === "limit");
    expect(limits).toMatchObject([{ id: "lobby-2", request: { maxPlayers: 3 } }]);
  },
);

test("AS6 no table names a fresh shard as open before it knows the room's own limit", async () => {
  const rig = await new ScalingRig({ shards: 1 }).start();
  await rig.create("lobby", { maxPlayers: 3 });
  await rig.fill("lobby-1", 2);
  rig.stubborn.add("lobby-1");
  const { answer } = rig.ports.calls;
  rig.ports.calls.answer = (call) =>
    call.request.type === "limit"
      ? { ok: false, code: "unavailable", detail: "not now" }
      : answer(call);
  await rig.ask({ type: "migrate", shard: "lobby-1" as ShardId });
  const statuses = async () => (await rig.table("lobby")).shards.map(({ status }) => status);
  expect(await statuses()).toEqual(["draining", "offline"]);
  await rig.start();
  rig.ports.calls.answer = answer;
  expect(await statuses()).toEqual(["draining", "online"]);
  expect(rig.ports.calls.of("limit").at(-1)).toMatchObject({ maxPlayers: 3 });
});

test.each(["drainShard", "migrate"] as const)(
  "AS6 %s that comes twice moves a shard's clients once",
  async (type) => {
    const rig = await new ScalingRig({ shards: 1 }).start();
    await rig.fill("lobby-1", 2);
    rig.stubborn.add("lobby-1");
    for (let call = 0; call < 2; call += 1) {
      await rig.ask({ type, shard: "lobby-1" as ShardId });
      expect(await rig.shards()).toEqual(["lobby-1 draining", "lobby-2"]);
    }
    rig.stubborn.clear();
    await rig.passInSteps(3_000);
    expect(await rig.shards()).toEqual(["lobby-2"]);
  },
);

test("AS7 a shard with clients that the layout lacks is emptied where it is one too many", async () => {
  const rig = await new ScalingRig({ shards: 2 }).start();
  await rig.fill("lobby-1", 1);
  await rig.fill("lobby-5", 1);
  expect(await rig.shards()).toEqual(["lobby-1", "lobby-2", "lobby-5 draining"]);
  await rig.passInSteps(3_000);
  expect(await rig.shards()).toEqual(["lobby-1", "lobby-2"]);
  await rig.fill("lobby-5", 1);
  expect(await rig.shards()).toEqual(["lobby-1", "lobby-2"]);
});

test("AS4 a plain room has no row of its layout, and one that has shrunk only its generations", async () => {
  const rig = await new ScalingRig(following).start();
  const rows = (): string[] =>
    [...rig.ports.storage.rows.keys()].filter((key) => key.startsWith("layout/"));
  await rig.fill("lobby-1", 5);
  expect(rows()).toEqual([]);
  await rig.fill("lobby-1", 9);
  expect(rows()).toEqual(["layout/lobby"]);
});

const life = fc.array(
  fc.oneof(
    fc.record({ what: fc.constant("audience" as const), number: fc.nat(60) }),
    fc.record({ what: fc.constant("pass" as const), number: fc.nat(90_000) }),
    fc.record({ what: fc.constant("refuse" as const), number: fc.constant(0) }),
    fc.record({ what: fc.constant("resize" as const), number: fc.integer({ min: 2, max: 5 }) }),
    fc.record({ what: fc.constant("drain" as const), number: fc.nat(6) }),
    fc.record({ what: fc.constant("restart" as const), number: fc.constant(0) }),
  ),
  { maxLength: 15 },
);

test("AS8 a room grows for the clients of a shard that is offline, which its capacity is not counted for", async () => {
  const shards = { min: 2, max: 4 } as const;
  const rig = await new ScalingRig({ shards, capacity: 10, failover: false }).start();
  const { answer } = rig.ports.calls;
  rig.ports.calls.answer = (call) => (call.id === "lobby-1" ? lost : answer(call));
  await rig.fill("lobby-2", 6);
  expect(await rig.shards()).toEqual(["lobby-1", "lobby-2"]);
  await rig.ask({ type: "suspect", shard: "lobby-1" as ShardId });
  await rig.passInSteps(3_000);
  expect(await rig.shards()).toEqual(["lobby-1 offline", "lobby-2"]);
  await rig.fill("lobby-2", 8);
  expect(await rig.shards()).toEqual(["lobby-1 offline", "lobby-2", "lobby-3"]);
});

test("AS3 whatever comes, a room never has fewer shards than its least nor more than its most", async () => {
  await fc.assert(
    fc.asyncProperty(life, async (all) => {
      const rig = await new ScalingRig({ shards: { min: 2, max: 5 }, capacity: 10 }).start();
      for (const { what, number } of all) {
        if (what === "audience") await rig.spread(number);
        else if (what === "pass") await rig.passInSteps(number);
        else if (what === "refuse") await rig.refuse();
        else if (what === "resize")
          await rig.handle({ type: "resize", room: id("lobby"), shards: number });
        else if (what === "restart") await rig.start();
        else {
          const shard = (await rig.online())[number];
          if (shard === undefined) continue;
          await rig.handle({ type: "drainShard", shard: shard as ShardId });
        }
        const online = await rig.online();
        expect(online.length).toBeGreaterThanOrEqual(2);
        expect(online.length).toBeLessThanOrEqual(5);
      }
    }),
    { numRuns: 60 },
  );
});

test("AS3 an audience that stays never makes a room flap", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 38 }), async (audience) => {
      const rig = await new ScalingRig({ shards: { min: 1, max: 5 }, capacity: 10 }).start();
      await rig.table("lobby");
      await rig.resize(5);
      await rig.spread(audience);
      await rig.resize(null);
      const sizes: number[] = [];
      for (let minute = 0; minute < 10; minute += 1) {
        for (let step = 0; step < 6; step += 1) {
          await rig.passInSteps(10_000);
          await rig.spread(audience);
        }
        sizes.push((await rig.online()).length);
      }
      expect(sizes).toEqual(sizes.toSorted((one, other) => other - one));
    }),
    { numRuns: 20 },
  );
});

const worldwide = {
  shards: { min: 1, max: 6 },
  capacity: 10,
  regions: ["weur", "enam", "oc"],
} as const;

async function regionsOf(rig: ScalingRig): Promise<string[]> {
  const serving = (await rig.layout()).filter(({ status }) => status === "online");
  return serving.map(({ region = "none" }) => region);
}

test("RE2, RE5 a room that grows comes to every region of its type, and keeps them while it shrinks", async () => {
  const rig = await new ScalingRig(worldwide).start();
  await rig.fill("lobby-1", 5);
  expect(await regionsOf(rig)).toEqual(["weur"]);
  await rig.fill("lobby-1", 10);
  expect(await regionsOf(rig)).toEqual(["weur", "enam"]);
  await rig.resize(6);
  expect(await regionsOf(rig)).toEqual(["weur", "enam", "oc", "weur", "enam", "oc"]);
  await rig.fill("lobby-2", 9);
  await rig.fill("lobby-5", 8);
  await rig.resize(3);
  await rig.passInSteps(3_000);
  // The emptier ones of each region leave, though the last in Oceania has nobody.
  expect((await regionsOf(rig)).toSorted()).toEqual(["enam", "oc", "weur"]);
  expect(await rig.online()).toContain("lobby-2");
});

test("RE1, RE5 a shard that is replaced or moved stays in its region, as the table tells", async () => {
  const rig = await new ScalingRig({ shards: 3, regions: ["weur", "enam"] }).start();
  await rig.fill("lobby-2", 5);
  await rig.ask({ type: "migrate", shard: "lobby-2" as ShardId });
  await rig.passInSteps(3_000);
  const { shards } = await rig.table("lobby");
  expect(shards.map(({ id: shard, region }) => [shard, region])).toEqual([
    ["lobby-1", "weur"],
    ["lobby-3", "weur"],
    ["lobby-4", "enam"],
  ]);
});
