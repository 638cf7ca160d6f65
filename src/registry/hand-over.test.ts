import fc from "fast-check";
import { expect, test } from "vitest";
import { lost, type Call } from "../../test/support/fake-calls.ts";
import { fakePorts } from "../../test/support/fake-ports.ts";
import {
  FakeShards,
  createRequest,
  id,
  RegistryRig,
  reserveRequest,
} from "../../test/support/registry-rig.ts";
import { hub, partitionNames, partitionOf } from "../core/partitions.ts";
import { defineRooms } from "../core/rooms.ts";
import { digestOf } from "../protocol/snapshot.ts";
import type { RegistryRequest } from "./part.ts";

/** Every partition that there has been, on one network and one clock. */
class Deployment {
  readonly rigs = new Map<string, RegistryRig>();
  readonly shards = new FakeShards();
  readonly #ports = fakePorts();
  count = 0;
  /** Says what happens to a call between partitions. */
  fate: (call: Call) => "arrives" | "is lost" | "answer is lost" = () => "arrives";

  /** The code is deployed anew, with so many partitions; objects that nobody calls stay asleep. */
  async deploy(count: number): Promise<this> {
    this.count = count;
    const rigs = [...this.rigs.values()];
    this.rigs.clear();
    for (const old of rigs) await this.#wake(old.name, old);
    for (const name of partitionNames(count)) if (!this.rigs.has(name)) await this.#wake(name);
    return this;
  }

  at(room: string): RegistryRig {
    return this.named(partitionOf(room, this.count));
  }

  named(name: string): RegistryRig {
    const rig = this.rigs.get(name);
    if (rig === undefined) throw new Error(name);
    return rig;
  }

  /** Every partition's object dies and starts again. */
  restart(): Promise<this> {
    return this.deploy(this.count);
  }

  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 500) {
      this.#ports.clock.advance(500);
      for (const rig of this.rigs.values()) await rig.pass(0);
    }
  }

  /** Keys of rows of rooms and locks, by partition. */
  rows(): Map<string, string[]> {
    return new Map(
      [...this.rigs].map(([name, { ports }]) => [
        name,
        [...ports.storage.rows.keys()].filter((key) => /^(?:room|seats|lock)\//.test(key)),
      ]),
    );
  }

  /** Whether each row is where it belongs, and nowhere else. */
  isInPlace(): boolean {
    return [...this.rows()].every(([name, keys]) =>
      keys.every((key) => partitionOf(key.slice(key.indexOf("/") + 1), this.count) === name),
    );
  }

  async #wake(name: string, old?: RegistryRig): Promise<void> {
    const rooms = defineRooms({ game: { maxPlayers: 4 } }, { partitions: this.count });
    const rig = new RegistryRig(rooms, name);
    const { clock, entropy } = this.#ports;
    rig.ports = { ...(old?.ports ?? fakePorts()), clock, entropy };
    await rig.start();
    rig.ports.calls.answer = async (call) => {
      if (call.role !== "registry") return this.shards.answer(call);
      const fate = this.fate(call);
      const to = this.rigs.get(call.id);
      if (fate === "is lost" || to === undefined) return lost;
      const answer = await to.handle(call.request as RegistryRequest);
      return fate === "arrives" ? answer : lost;
    };
    this.rigs.set(name, rig);
  }
}

const names = Array.from({ length: 40 }, (_, index) => `game:${index}`);

test("DI15 seats that were on their way when a room's row came are not counted for ever", async () => {
  const rig = await new RegistryRig().start();
  const shards = new FakeShards();
  const late = Promise.withResolvers<typeof lost>();
  rig.ports.calls.answer = (call) =>
    call.request.type === "reserve" ? late.promise : shards.answer(call);
  await rig.table("game:1");
  const held = rig.failed(reserveRequest({ room: id("game:1"), players: ["a", "b", "c"] }));
  const row = { metadata: { mode: "duel" }, keepMs: 90_000, createdAt: 1, updatedAt: 2 };
  await rig.ask({ type: "adopt", rows: { "room/game:1": row } });
  late.resolve(lost);
  expect(await held).toBe("unavailable");
  rig.ports.calls.answer = shards.answer;
  const wanted = { query: { metadata: { mode: "duel" } }, players: ["d", "e", "f", "g"] };
  expect((await rig.reserve(wanted)).room).toBe("game:1");
  shards.seats.clear();
  await rig.report("game:1", { reserved: 0 });
  await rig.passInSteps(89_000);
  expect(await rig.list()).toEqual(["game:1"]);
  await rig.passInSteps(2_000);
  expect(await rig.list()).toEqual([]);
});

test.each(["used", "changed"])(
  "DI15 a room that was %s here before its row came is not taken for an empty one",
  async (how) => {
    const rig = await new RegistryRig().start();
    const shards = new FakeShards();
    rig.ports.calls.answer = shards.answer;
    await rig.table("game:1");
    await rig.pass(1_000);
    if (how === "changed") await rig.ask({ type: "change", room: id("game:1"), isLocked: true });
    shards.seats.set("game:1-1", ["ann"]);
    await rig.ask({ type: "adopt", rows: { "room/game:1": { keepMs: null, createdAt: 1 } } });
    await rig.passInSteps(120_000);
    expect(await rig.list()).toEqual(["game:1"]);
    shards.seats.clear();
    await rig.report("game:1", { players: [] });
    await rig.passInSteps(120_000);
    expect(await rig.list()).toEqual([]);
  },
);

test("DI15 when there are more partitions, every room comes to its own with all that is known of it", async () => {
  const deployment = await new Deployment().deploy(1);
  for (const [index, name] of names.entries()) {
    await deployment.at(name).create(name, { metadata: { index }, isLocked: index % 2 === 0 });
  }
  await deployment.named(hub).ask({ type: "lock", key: "my-lock", ttlMs: 600_000 });
  await deployment.deploy(4);
  await deployment.pass(10_000);
  expect(deployment.isInPlace()).toBe(true);
  expect([...deployment.rows().values()].filter((keys) => keys.length > 0).length).toBeGreaterThan(
    2,
  );
  for (const [index, name] of names.entries()) {
    const room = await deployment.at(name).ask({ type: "room", room: id(name) });
    expect(room).toMatchObject({ metadata: { index }, isLocked: index % 2 === 0 });
  }
  const again = { type: "lock", key: "my-lock", ttlMs: 1_000 } as const;
  expect(await deployment.at("my-lock").failed(again)).toBe("lock-held");
});

test.each([
  [1, 4],
  [4, 1],
  [3, 2],
])("LO3 tokens never fall when %i partitions become %i", async (before, after) => {
  const deployment = await new Deployment().deploy(before);
  const keys = Array.from({ length: 12 }, (_, index) => `key-${index}`);
  const take = async (key: string): Promise<number> => {
    const rig = deployment.at(key);
    const { token } = await rig.ask({ type: "lock", key, ttlMs: 1_000 });
    // Without a row of its own, only the last token tells of it.
    await rig.ask({ type: "release", key, token });
    return token;
  };
  // The clocks of these objects ran ahead.
  const ahead = 3_000_000_000_000;
  for (const { ports } of deployment.rigs.values()) ports.storage.put({ "last-token": ahead });
  await deployment.restart();
  const first = new Map<string, number>();
  for (const key of keys) first.set(key, await take(key));
  deployment.fate = ({ request }) => (request.type === "adopt" ? "is lost" : "arrives");
  await deployment.deploy(after);
  await deployment.pass(2_000);
  deployment.fate = () => "arrives";
  await deployment.pass(10_000);
  for (const key of keys) expect(await take(key)).toBeGreaterThan(first.get(key) ?? Infinity);
  await deployment.restart();
  for (const key of keys) expect(await take(key)).toBeGreaterThan(ahead);
});

test("DI15 when there are fewer, those that are no more hand over too; then nobody is asked again", async () => {
  const deployment = await new Deployment().deploy(5);
  for (const name of names) await deployment.at(name).create(name);
  await deployment.deploy(2);
  await deployment.pass(10_000);
  expect(deployment.isInPlace()).toBe(true);
  const listed = await Promise.all(partitionNames(2).map((name) => deployment.named(name).list()));
  expect(listed.flat().toSorted()).toEqual(names.toSorted());
  await deployment.restart();
  await deployment.pass(5_000);
  const asked = [...deployment.rigs.values()].flatMap(({ ports }) => ports.calls.of("handOver"));
  const before = asked.length;
  await deployment.pass(60_000);
  expect(
    [...deployment.rigs.values()].flatMap(({ ports }) => ports.calls.of("handOver")),
  ).toHaveLength(before);
});

test("DI15 a room that was used before its row came has the row's metadata; one that was created stays", async () => {
  const deployment = await new Deployment().deploy(1);
  for (const name of names)
    await deployment.at(name).create(name, { metadata: { from: "before" } });
  deployment.fate = ({ request }) => (request.type === "adopt" ? "is lost" : "arrives");
  await deployment.deploy(3);
  const moved = names.filter((name) => partitionOf(name, 3) !== hub);
  const [used = "", created = ""] = moved;
  deployment.shards.players.set(`${used}-1`, ["ann"]);
  await deployment.at(used).report(used, { players: ["ann"] });
  await deployment.at(created).create(created, { metadata: { from: "after" } });
  deployment.fate = () => "arrives";
  await deployment.pass(120_000);
  expect(deployment.isInPlace()).toBe(true);
  const show = (name: string) => deployment.at(name).ask({ type: "room", room: id(name) });
  expect(await show(used)).toMatchObject({ metadata: { from: "before" }, playerCount: 1 });
  expect(await show(created)).toMatchObject({ metadata: { from: "after" } });
});

test("DI15 whatever is lost, repeated or dies meanwhile, every room arrives and none is lost", async () => {
  const someStep = fc.oneof(
    fc.constant({ step: "restart" } as const),
    fc.record({ step: fc.constant("deploy" as const), count: fc.integer({ min: 1, max: 4 }) }),
    fc.record({ step: fc.constant("pass" as const), ms: fc.constantFrom(500, 2_000) }),
  );
  const someFate = fc.constantFrom("arrives", "is lost", "answer is lost");
  await fc.assert(
    fc.asyncProperty(
      fc.array(someStep, { maxLength: 8, size: "max" }),
      fc.array(someFate, { maxLength: 30, size: "max" }),
      async (steps, fates) => {
        const deployment = await new Deployment().deploy(2);
        for (const name of names) await deployment.at(name).create(name, { metadata: { name } });
        let calls = 0;
        deployment.fate = () => fates[(calls += 1) - 1] ?? "arrives";
        for (const step of steps) {
          if (step.step === "pass") await deployment.pass(step.ms);
          else if (step.step === "restart") await deployment.restart();
          else await deployment.deploy(step.count);
        }
        // Then all is well for a while.
        deployment.fate = () => "arrives";
        await deployment.pass(130_000);
        expect(deployment.isInPlace()).toBe(true);
        for (const name of names) {
          const room = await deployment.at(name).ask({ type: "room", room: id(name) });
          expect(room.metadata).toEqual({ name });
        }
      },
    ),
    { numRuns: 20 },
  );
});

test("DI14 figures of all partitions are added up; without one of them there are none", async () => {
  const deployment = await new Deployment().deploy(3);
  for (const name of names) await deployment.at(name).report(name, { players: ["ann", "bob"] });
  await deployment.at("game:1").ask({ type: "count", counters: { "room-full": 2 } });
  await deployment.at("game:2").ask({ type: "count", counters: { "room-full": 3 } });
  const { text } = await deployment.named(hub).ask({ type: "metrics" });
  expect(text).toContain("\npartyshard_rooms 40\n");
  expect(text).toContain("\npartyshard_connections 80\n");
  expect(text).toContain('kind="room-full"} 5\n');
  deployment.fate = () => "is lost";
  expect(await deployment.named(hub).failed({ type: "metrics" })).toBe("unavailable");
});

test("DI14 a partition takes no room that another keeps, and counts nothing twice", async () => {
  const deployment = await new Deployment().deploy(2);
  const foreign = id(names.find((name) => partitionOf(name, 2) !== hub) ?? "");
  const rig = deployment.named(hub);
  const counters = { "room-full": 1 };
  expect(await rig.failed({ type: "table", room: foreign, counters })).toBe("unavailable");
  expect(await rig.failed(createRequest(foreign))).toBe("unavailable");
  expect(await rig.failed(reserveRequest({ create: foreign }))).toBe("unavailable");
  expect(await rig.failed({ type: "room", room: foreign })).toBe("unavailable");
  await expect(rig.report(foreign, { players: ["ann"] })).rejects.toThrow("unavailable");
  expect(await rig.list()).toEqual([]);
  expect((await rig.ask({ type: "figures" })).counters).toEqual({});
});

function partsOf(name: string): string[] {
  return [name.repeat(30_000), "", `end of ${name}`];
}

/** Stores a snapshot of these parts at the partition that keeps the room. */
async function storeSnapshot(rig: RegistryRig, name: string, parts: string[]): Promise<void> {
  const room = id(name);
  const digests = await Promise.all(parts.map(digestOf));
  const position = { epoch: "e", seq: parts.length };
  const begun = await rig.ask({ type: "beginSnapshot", room, position, digests });
  for (const [index, text] of parts.entries()) {
    await rig.ask({ type: "snapshotPart", room, id: begun.id, index, text });
  }
  await rig.ask({ type: "commitSnapshot", room, id: begun.id });
}

async function readSnapshot(rig: RegistryRig, name: string): Promise<string[]> {
  const room = id(name);
  const { id: snapshot, digests } = await rig.ask({ type: "snapshot", room });
  const parts: string[] = [];
  for (const index of digests.keys()) {
    parts.push((await rig.ask({ type: "readSnapshot", room, id: snapshot, index })).text);
  }
  return parts;
}

test("SN14 snapshots go with their rooms when the number of partitions changes, whatever is lost", async () => {
  const deployment = await new Deployment().deploy(1);
  const few = names.slice(0, 8);
  for (const name of few) await storeSnapshot(deployment.named(hub), name, partsOf(name));
  let calls = 0;
  deployment.fate = ({ request }) => {
    if (request.type !== "adopt") return "arrives";
    calls += 1;
    return calls % 5 === 0 ? "is lost" : calls % 7 === 0 ? "answer is lost" : "arrives";
  };
  await deployment.deploy(3);
  await waitUntil(deployment, () => few.every((name) => isOnlyAt(deployment, name)));
  for (const name of few) {
    expect(await readSnapshot(deployment.at(name), name)).toEqual(partsOf(name));
  }
});

/** Whether the room has rows of a snapshot at its own partition and nowhere else. */
function isOnlyAt(deployment: Deployment, name: string): boolean {
  return [...deployment.rigs.values()].every((rig) => {
    const keys = [...rig.ports.storage.rows.keys()];
    const has = keys.some((key) => key === `snapshot/${name}`);
    const hasParts = keys.some((key) => key.startsWith(`snapshot-part/${name}/`));
    const isHere = rig === deployment.at(name);
    return has === isHere && hasParts === isHere;
  });
}

async function waitUntil(deployment: Deployment, isSo: () => boolean): Promise<void> {
  while (!isSo()) await deployment.pass(1_000);
}

test("SN14 a snapshot that is there already stays when an older one comes", async () => {
  const deployment = await new Deployment().deploy(1);
  const name = names.find((each) => partitionOf(each, 2) !== hub) ?? "";
  await storeSnapshot(deployment.named(hub), name, ["old"]);
  deployment.fate = ({ request }) => (request.type === "adopt" ? "is lost" : "arrives");
  await deployment.deploy(2);
  await deployment.pass(1_000);
  await storeSnapshot(deployment.at(name), name, ["new", "er"]);
  deployment.fate = () => "arrives";
  await waitUntil(deployment, () => isOnlyAt(deployment, name));
  expect(await readSnapshot(deployment.at(name), name)).toEqual(["new", "er"]);
  const rows = [...deployment.at(name).ports.storage.rows.keys()];
  expect(rows.filter((key) => key.startsWith("snapshot-part/"))).toHaveLength(2);
});
