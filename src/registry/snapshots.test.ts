import fc from "fast-check";
import { expect, test } from "vitest";
import { fakePorts } from "../../test/support/fake-ports.ts";
import { FakeStorage } from "../../test/support/fake-storage.ts";
import type { RoomId } from "../protocol/names.ts";
import type { Result } from "../protocol/result.ts";
import { digestOf } from "../protocol/snapshot.ts";
import { Snapshots } from "./snapshots.ts";

const room = "game:1" as RoomId;
const lifetimeMs = 1_000_000;

function valueOf<Value>(result: Result<Value>): Value {
  if (!result.ok) throw new Error(`${result.code}: ${result.detail}`);
  return result.value;
}

class Rig {
  readonly ports = { ...fakePorts(), storage: new FakeStorage(new Map(), 4) };
  wakeAt: number[] = [];

  async start(storage = this.ports.storage): Promise<Snapshots> {
    return Snapshots.start({ ...this.ports, storage, wakeAt: (at) => this.wakeAt.push(at) });
  }
}

const at = (seq: number, epoch = "1") => ({ epoch, seq });

async function begin(snapshots: Snapshots, seq: number, parts: readonly string[]): Promise<string> {
  const digests = await Promise.all(parts.map(digestOf));
  return valueOf(snapshots.begin(room, at(seq), digests, lifetimeMs)).id;
}

async function store(snapshots: Snapshots, seq: number, parts: readonly string[]): Promise<void> {
  const id = await begin(snapshots, seq, parts);
  for (const [index, text] of parts.entries()) {
    valueOf(await snapshots.part(room, id, index, text));
  }
  valueOf(snapshots.commit(room, id));
}

async function load(snapshots: Snapshots): Promise<{ seq: number; parts: string[] } | null> {
  const newest = snapshots.newest(room);
  if (!newest.ok) return null;
  const { id, digests, position } = newest.value;
  const parts: string[] = [];
  for (const index of digests.keys()) {
    parts.push(valueOf(await snapshots.read(room, id, index)).text);
  }
  return { seq: position.seq, parts };
}

test("SN3 a snapshot larger than a row comes back whole, after a restart too", async () => {
  const rig = new Rig();
  const parts = ["abcdefghi", "", "jk"];
  await store(await rig.start(), 5, parts);
  await rig.ports.storage.sync();
  const next = await rig.start(rig.ports.storage.restart());
  expect(await load(next)).toEqual({ seq: 5, parts });
});

test("SN3 until the last part is in, and whenever the object dies, the older one is whole", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ maxLength: 12 }), { minLength: 1, maxLength: 4 }),
      fc.nat(6),
      async (parts, steps) => {
        const rig = new Rig();
        const first = await rig.start();
        await store(first, 1, ["old"]);
        const acts: (() => Promise<unknown>)[] = [];
        let id = "";
        acts.push(async () => (id = await begin(first, 2, parts)));
        for (const [index, text] of parts.entries()) {
          acts.push(() => first.part(room, id, index, text));
        }
        acts.push(() => Promise.resolve(first.commit(room, id)));
        for (const act of acts.slice(0, steps)) await act();
        await rig.ports.storage.sync();
        const storage = rig.ports.storage.restart();
        const second = await rig.start(storage);
        const isDone = steps >= acts.length;
        expect(await load(second)).toEqual(isDone ? { seq: 2, parts } : { seq: 1, parts: ["old"] });
        // What the unfinished one left is dropped in time, and nothing else.
        rig.ports.clock.advance(120_000);
        second.wake(rig.ports.clock.now());
        const count = (await storage.list("snapshot-part/")).size;
        const slices = (isDone ? parts : ["old"]).map((text) =>
          Math.max(1, Math.ceil(text.length / 4)),
        );
        expect(count).toBe(slices.reduce((sum, each) => sum + each, 0));
      },
    ),
  );
});

test("SN4 only a newer position takes the place of a snapshot", async () => {
  const rig = new Rig();
  const snapshots = await rig.start();
  await store(snapshots, 5, ["five"]);
  const digests = [await digestOf("x")];
  const codes = [at(4), at(5), at(9, "0")].map((position) => {
    const result = snapshots.begin(room, position, digests, lifetimeMs);
    return result.ok ? "ok" : result.code;
  });
  expect(codes).toEqual(["snapshot-stale", "snapshot-stale", "snapshot-stale"]);
  expect(snapshots.begin(room, at(1, "2"), digests, lifetimeMs).ok).toBe(true);
});

test("SN4 of shards that would store one position, one does; a later position takes over", async () => {
  const snapshots = await new Rig().start();
  const first = await begin(snapshots, 5, ["a"]);
  const digests = [await digestOf("a")];
  expect(snapshots.begin(room, at(5), digests, lifetimeMs)).toMatchObject({ ok: false });
  const second = await begin(snapshots, 6, ["b"]);
  expect(await snapshots.part(room, first, 0, "a")).toMatchObject({ code: "snapshot-superseded" });
  expect(snapshots.commit(room, first)).toMatchObject({ code: "snapshot-superseded" });
  valueOf(await snapshots.part(room, second, 0, "b"));
  valueOf(snapshots.commit(room, second));
  expect(await load(snapshots)).toEqual({ seq: 6, parts: ["b"] });
});

test("SN4 a timed snapshot leaves one on its way alone for ten seconds, one that was asked for does not", async () => {
  const rig = new Rig();
  const snapshots = await rig.start();
  const digests = [await digestOf("a")];
  const timed = (seq: number, epoch = "1"): Result<unknown> =>
    snapshots.begin(room, at(seq, epoch), digests, lifetimeMs, true);
  expect(timed(5).ok).toBe(true);
  expect(timed(6)).toMatchObject({ code: "snapshot-stale" });
  rig.ports.clock.advance(9_999);
  expect(timed(7)).toMatchObject({ code: "snapshot-stale" });
  rig.ports.clock.advance(1);
  expect(timed(5)).toMatchObject({ code: "snapshot-stale" });
  expect(timed(7).ok).toBe(true);
  const id = await begin(snapshots, 8, ["a"]);
  expect(timed(9)).toMatchObject({ code: "snapshot-stale" });
  valueOf(await snapshots.part(room, id, 0, "a"));
  valueOf(snapshots.commit(room, id));
  expect(timed(9).ok).toBe(true);
  expect(timed(1, "2").ok).toBe(true);
});

test("SN4 a call that comes twice does no harm", async () => {
  const snapshots = await new Rig().start();
  const id = await begin(snapshots, 5, ["aaaaaa"]);
  for (let time = 0; time < 2; time += 1) valueOf(await snapshots.part(room, id, 0, "aaaaaa"));
  expect(valueOf(snapshots.commit(room, id))).toEqual(valueOf(snapshots.commit(room, id)));
  expect(valueOf(snapshots.newest(room)).size).toBe(6);
});

test("SN5 a part that is missing, or not what its digest says, stops the snapshot", async () => {
  const snapshots = await new Rig().start();
  const id = await begin(snapshots, 1, ["a", "b"]);
  expect(await snapshots.part(room, id, 0, "x")).toMatchObject({ code: "snapshot-damaged" });
  expect(await snapshots.part(room, id, 2, "a")).toMatchObject({ code: "snapshot-damaged" });
  valueOf(await snapshots.part(room, id, 0, "a"));
  expect(snapshots.commit(room, id)).toMatchObject({ code: "snapshot-damaged" });
  expect(snapshots.newest(room)).toMatchObject({ code: "not-found" });
});

test("SN5 rows that were damaged are noticed when they are read", async () => {
  const rig = new Rig();
  const snapshots = await rig.start();
  await store(snapshots, 1, ["abcdefgh"]);
  const [key = ""] = (await rig.ports.storage.list("snapshot-part/")).keys();
  rig.ports.storage.put({ [key]: "abcX" });
  const { id } = valueOf(snapshots.newest(room));
  expect(await snapshots.read(room, id, 0)).toMatchObject({ code: "snapshot-damaged" });
});

test("SN6 more than 32 Mi characters, or digests that are none, are refused, and the old one stays", async () => {
  const snapshots = await new Rig().start();
  await store(snapshots, 1, ["old"]);
  const many = Array.from({ length: 70 }, () => "0".repeat(64));
  expect(snapshots.begin(room, at(2), many, lifetimeMs)).toMatchObject({
    code: "snapshot-too-large",
  });
  expect(snapshots.begin(room, at(2), [], lifetimeMs)).toMatchObject({ code: "malformed-call" });
  expect(snapshots.begin(room, at(2), ["z"], lifetimeMs)).toMatchObject({ code: "malformed-call" });
  const long = "x".repeat(512 * 1024 + 1);
  const id = valueOf(snapshots.begin(room, at(2), [await digestOf(long)], lifetimeMs)).id;
  expect(await snapshots.part(room, id, 0, long)).toMatchObject({ code: "snapshot-too-large" });
  expect(await load(snapshots)).toEqual({ seq: 1, parts: ["old"] });
});

test("SN7 a snapshot is gone when its lifetime is over, and nothing of it is left", async () => {
  const rig = new Rig();
  const snapshots = await rig.start();
  await store(snapshots, 1, ["abcdefgh", "x"]);
  rig.ports.clock.advance(lifetimeMs);
  expect(snapshots.newest(room)).toMatchObject({ code: "not-found" });
  snapshots.wake(rig.ports.clock.now());
  expect((await rig.ports.storage.list("")).size).toBe(0);
  expect(snapshots.nextDeadline()).toBeNull();
});

test("SN7 until it expires a snapshot asks for an alarm, and for a timer only at the end", async () => {
  const rig = new Rig();
  const first = await rig.start();
  await store(first, 1, ["old"]);
  const expiresAt = rig.ports.clock.now() + lifetimeMs;
  await rig.ports.storage.sync();
  for (const snapshots of [first, await rig.start(rig.ports.storage.restart())]) {
    expect(snapshots.nextDeadline()).toBeNull();
    expect(snapshots.nextDurableDeadline()).toBe(expiresAt);
  }
  rig.ports.clock.advance(lifetimeMs - 60_000);
  expect(first.nextDeadline()).toBe(expiresAt);
});

test("SN7 a later snapshot lives for its own time, though the one before had an alarm", async () => {
  const rig = new Rig();
  const snapshots = await rig.start();
  await store(snapshots, 1, ["old"]);
  rig.ports.clock.advance(lifetimeMs / 2);
  await store(snapshots, 2, ["new"]);
  rig.ports.clock.advance(lifetimeMs / 2);
  snapshots.wake(rig.ports.clock.now());
  expect(await load(snapshots)).toEqual({ seq: 2, parts: ["new"] });
  expect(snapshots.nextDurableDeadline()).toBe(rig.ports.clock.now() + lifetimeMs / 2);
});

test("SN7 a room that is disposed takes its snapshot, and the one on its way, along", async () => {
  const rig = new Rig();
  const snapshots = await rig.start();
  await store(snapshots, 1, ["abcdefgh"]);
  const id = await begin(snapshots, 2, ["later"]);
  valueOf(await snapshots.part(room, id, 0, "later"));
  snapshots.drop(room);
  expect((await rig.ports.storage.list("")).size).toBe(0);
});
