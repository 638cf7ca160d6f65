/** Shards that leave service: fenced, because a later generation has their slot, or drained. */
import { expect, test } from "vitest";
import { FakeLink, FakeSocket } from "../../test/support/fake-socket.ts";
import { lost, type Answer } from "../../test/support/fake-calls.ts";
import { ShardRig } from "../../test/support/shard-rig.ts";
import { turns } from "../../test/support/turns.ts";
import { failure } from "../protocol/result.ts";

const fenced: Answer = failure("fenced", "a later generation serves");

/** A shard with two clients, a plain one and one of protocol 1, whose link is open. */
async function inUse(options: Parameters<typeof ShardRig.start>[0] = {}) {
  const rig = await ShardRig.start({ publishOverSocket: true, ...options });
  const plain = await rig.join();
  const speaker = await rig.joinProtocol();
  const link = rig.openLink();
  await rig.batch(link, 0, "one");
  await rig.pass(2_000);
  return { rig, plain, speaker, link };
}

/** What makes a shard hear that it is over. */
const tidings: Record<string, (used: Awaited<ReturnType<typeof inUse>>) => Promise<unknown>> = {
  "in a call": async ({ rig }) => rig.shard.handle({ type: "fenced" }),
  "for its report": async ({ rig }) => {
    await rig.join();
    rig.ports.calls.answer = () => fenced;
    await rig.pass(2_000);
  },
  "for a subscription after its link broke": async ({ rig, link }) => {
    rig.ports.calls.answer = () => fenced;
    rig.shard.handleLinkClose(link);
    await rig.passToWake();
  },
  "for a publish without a link": async ({ rig, link, speaker }) => {
    rig.shard.handleLinkClose(link);
    rig.ports.calls.answer = () => fenced;
    rig.receive(speaker, { type: "publish", id: "p", data: "x" });
    await turns();
  },
};

test.each(Object.keys(tidings))("GD5 a shard that is told %s is over", async (how) => {
  const used = await inUse();
  await tidings[how]?.(used);
  await turns();
  const { rig, plain, speaker, link } = used;
  expect([plain.closedWith, speaker.socket.closedWith]).toEqual([4000, 4000]);
  const { made } = rig.ports.calls;
  const calls = made.length;
  const sent = plain.sent.length;
  await rig.batch(link, 1, "two");
  rig.shard.leave(plain);
  rig.shard.leave(speaker.socket);
  rig.shard.handleLinkClose(link);
  await rig.pass(100_000);
  expect([made.length, plain.sent.length, rig.ports.wakeups.at]).toEqual([calls, sent, null]);
  expect(await rig.shard.admit("c9")).toMatchObject({ ok: false, code: "fenced" });
  expect(rig.openLink().closedWith).toBe(4014);
  const hold = { type: "hold", connection: "c9", claim: null, session: null } as const;
  expect(rig.shard.handle(hold)).toMatchObject({ ok: false, code: "fenced" });
  expect(rig.shard.handle({ type: "drain", limitMs: 0 })).toMatchObject({ code: "fenced" });
  const at = rig.ports.clock.now();
  const load = { status: "fenced", connections: 0, players: null, reserved: 0, at };
  expect(rig.shard.handle({ type: "load" })).toEqual({ ok: true, value: load });
  expect([...rig.ports.storage.rows]).toEqual([["service", { status: "fenced" }]]);
});

test("GD5 an open link is closed by a shard that was told elsewhere", async () => {
  const { rig, link } = await inUse();
  rig.shard.handle({ type: "fenced" });
  expect(link.closedWith).toBe(4014);
  rig.shard.handle({ type: "fenced" });
  rig.shard.handle({ type: "dispose" });
  expect(rig.shard.handle({ type: "load" })).toMatchObject({ value: { status: "fenced" } });
});

test("GD5 a later life of a fenced shard sends those who are still there away", async () => {
  const { rig } = await inUse();
  rig.shard.handle({ type: "fenced" });
  const survivor = new FakeSocket();
  const link = new FakeLink();
  const later = await rig.sleep([survivor], [link]);
  expect([survivor.closedWith, link.closedWith]).toEqual([4000, 4014]);
  expect(await later.shard.admit("c9")).toMatchObject({ code: "fenced" });
  await later.pass(100_000);
  expect(later.ports.wakeups.at).toBeNull();
});

test("GD5 who is on the way in when the shard is fenced does not get in", async () => {
  const rig = await ShardRig.start();
  const { promise, resolve } = Promise.withResolvers<Answer>();
  rig.ports.calls.answer = () => promise;
  const waiting = rig.shard.admit("c1");
  resolve(fenced);
  expect(await waiting).toMatchObject({ ok: false, code: "fenced" });
  const other = await ShardRig.start();
  const admitted = await other.shard.admit("c1");
  if (!admitted.ok) throw new Error(admitted.code);
  other.shard.handle({ type: "fenced" });
  const socket = new FakeSocket();
  expect(other.shard.welcome(socket, "c1", undefined, admitted.value)).toBe(false);
  expect([socket.closedWith, socket.sent]).toEqual([4000, []]);
});

test("GD5 a link that waits for the subscription's answer is closed when that is a refusal", async () => {
  const rig = await ShardRig.start();
  const { promise, resolve } = Promise.withResolvers<Answer>();
  rig.ports.calls.answer = () => promise;
  const waiting = rig.shard.admit("c1");
  const link = rig.openLink();
  resolve(fenced);
  await waiting;
  expect([link.closedWith, link.sent]).toEqual([4014, []]);
});

test("GD5 what a room class is at work on when the shard is fenced reaches nobody", async () => {
  const handed: unknown[] = [];
  const { promise, resolve } = Promise.withResolvers<string>();
  const rig = await ShardRig.start({
    onBroadcast: ({ data }) => {
      handed.push(data);
      return promise;
    },
  });
  const client = await rig.join();
  const link = rig.openLink();
  const first = rig.batch(link, 0, "one");
  const second = rig.batch(link, 1, "two");
  rig.shard.handle({ type: "fenced" });
  resolve("late");
  await Promise.all([first, second]);
  expect([client.sent, handed, link.frames.length]).toEqual([[], ["one"], 1]);
});

test("GD5, PR8 what clients published and nobody answered is neither sent again nor answered", async () => {
  const { rig, link, speaker } = await inUse();
  for (const id of ["a", "b"]) rig.receive(speaker, { type: "publish", id, data: id });
  rig.shard.handle({ type: "fenced" });
  await turns();
  speaker.take();
  expect([speaker.others, rig.ports.calls.of("publish")]).toEqual([[], []]);
  expect(link.closedWith).toBe(4014);
});

test("GD7 a shard that drains takes nobody, and says so", async () => {
  const { rig, plain } = await inUse();
  const at = rig.ports.clock.now();
  const load = { status: "draining", connections: 2, players: null, reserved: 0, at };
  expect(rig.shard.handle({ type: "drain", limitMs: 60_000 })).toEqual({ ok: true, value: load });
  expect(await rig.shard.admit("c9")).toMatchObject({ ok: false, code: "draining" });
  const hold = { type: "hold", connection: "c9", claim: null, session: null } as const;
  expect(rig.shard.handle(hold)).toMatchObject({ ok: false, code: "draining" });
  const seats = [{ id: "s", player: "p" }];
  expect(rig.shard.handle({ type: "reserve", seats, ttlMs: 1_000 })).toMatchObject({
    ok: false,
    code: "draining",
  });
  await rig.pass(1_000);
  expect(rig.ports.calls.of("report").at(-1)).toMatchObject({ status: "draining" });
  expect(plain.closedWith === null || plain.closedWith === 4000).toBe(true);
});

test("GD7 who was admitted before the drain and is welcomed after it comes again", async () => {
  const rig = await ShardRig.start();
  const admitted = await rig.shard.admit("c1");
  if (!admitted.ok) throw new Error(admitted.code);
  rig.shard.handle({ type: "drain", limitMs: 60_000 });
  const socket = new FakeSocket();
  expect(rig.shard.welcome(socket, "c1", undefined, admitted.value)).toBe(false);
  expect([socket.closedWith, rig.shard.connections]).toEqual([4000, 0]);
});

test("GD7, SE2 seats that nobody sits in are freed by a drain, and of who is moved nothing is kept", async () => {
  const rig = await ShardRig.start({ maxPlayers: 4 });
  const seats = [{ id: "s", player: "p" }];
  rig.shard.handle({ type: "reserve", seats, ttlMs: 60_000 });
  const gone = await rig.joinProtocol({}, "gone");
  const there = await rig.joinProtocol({}, "there");
  rig.shard.leave(gone.socket);
  expect(rig.shard.handle({ type: "load" })).toMatchObject({
    value: { players: ["gone", "there"], reserved: 1 },
  });
  rig.shard.handle({ type: "drain", limitMs: 60_000 });
  const draining = { status: "draining", reserved: 0 };
  expect(rig.shard.handle({ type: "load" })).toMatchObject({
    value: { ...draining, players: ["there"] },
  });
  while (there.socket.closedWith === null) await rig.passToWake();
  expect(rig.shard.handle({ type: "load" })).toMatchObject({
    value: { ...draining, players: [], connections: 0 },
  });
  expect([...rig.ports.storage.rows.keys()].filter((key) => key.startsWith("seat/"))).toEqual([]);
});

async function drained(count: number, limitMs: number) {
  const rig = await ShardRig.start();
  const clients = await Promise.all(Array.from({ length: count }, () => rig.join()));
  const startedAt = rig.ports.clock.now();
  rig.shard.handle({ type: "drain", limitMs });
  const waves: { readonly at: number; readonly size: number }[] = [];
  const open = (): number => clients.filter(({ closedWith }) => closedWith === null).length;
  while (open() > 0) {
    const before = open();
    await rig.passToWake();
    if (open() < before)
      waves.push({ at: rig.ports.clock.now() - startedAt, size: before - open() });
  }
  return { rig, clients, waves };
}

test("GD8 clients go in waves of a tenth, drawn at random, about a second apart", async () => {
  const { rig, clients, waves } = await drained(45, 60_000);
  expect(waves.map(({ size }) => size)).toEqual([5, 5, 5, 5, 5, 5, 5, 5, 5]);
  expect(waves[0]?.at).toBeGreaterThanOrEqual(1_000);
  const gaps = waves.slice(1).map(({ at }, index) => at - (waves[index]?.at ?? 0));
  for (const gap of gaps) {
    expect(gap).toBeGreaterThanOrEqual(500);
    expect(gap).toBeLessThanOrEqual(1_500);
  }
  expect(clients.map(({ closedWith }) => closedWith)).toEqual(clients.map(() => 4000));
  await rig.pass(2_000);
  const last = rig.ports.calls.of("report").at(-1);
  expect(last).toMatchObject({ status: "draining", connections: 0 });
  await rig.pass(5_000);
  expect(rig.ports.calls.of("unsubscribe")).toHaveLength(1);
});

test.each([
  [3, 60_000, 3],
  [30, 3_000, 3],
  [30, 0, 1],
])("GD8 %i clients with a limit of %i ms go in %i waves", async (count, limitMs, expected) => {
  const { waves } = await drained(count, limitMs);
  expect(waves.length).toBeLessThanOrEqual(expected);
  expect(waves.at(-1)?.at).toBeLessThanOrEqual(limitMs);
  expect(waves.reduce((sum, { size }) => sum + size, 0)).toBe(count);
});

test("GD8 a shard that is told to drain again goes on as it was told first", async () => {
  const rig = await ShardRig.start();
  const client = await rig.join();
  rig.shard.handle({ type: "drain", limitMs: 0 });
  rig.shard.handle({ type: "drain", limitMs: 60_000 });
  await rig.passToWake();
  expect(client.closedWith).toBe(4000);
});

test("GD8 a shard that lost its memory goes on draining", async () => {
  const rig = await ShardRig.start();
  const clients = await Promise.all(Array.from({ length: 20 }, () => rig.join()));
  rig.shard.handle({ type: "drain", limitMs: 60_000 });
  const open = () => clients.filter(({ closedWith }) => closedWith === null);
  while (open().length === 20) await rig.passToWake();
  const left = open();
  const later = await rig.sleep(left);
  expect(await later.shard.admit("c99")).toMatchObject({ code: "draining" });
  await later.passToWake();
  const rest = left.filter(({ closedWith }) => closedWith === null);
  expect([left.length, rest.length]).toEqual([18, 16]);
});

test("GD8, DL3 until its turn comes a client gets every message", async () => {
  const { rig, plain, link } = await inUse();
  rig.shard.handle({ type: "drain", limitMs: 60_000 });
  await rig.batch(link, 1, "two");
  expect([plain.closedWith, plain.sent]).toEqual([null, ["one", "two"]]);
});

test("GD5, GD8 a shard that drains and is fenced is over", async () => {
  const { rig, plain } = await inUse();
  rig.shard.handle({ type: "drain", limitMs: 60_000 });
  rig.shard.handle({ type: "fenced" });
  expect(plain.closedWith).toBe(4000);
  expect(rig.shard.handle({ type: "load" })).toMatchObject({ value: { status: "fenced" } });
});

test("GD10 a player of a former generation comes as a new one, and of the first is refused", async () => {
  const session = "1.secret";
  const former = await ShardRig.start({ maxPlayers: 2 });
  const asked = { speaksProtocol: true, resume: null, topics: [], session };
  expect(await former.shard.admit("c1", asked)).toMatchObject({ code: "ticket-expired" });
  const later = await ShardRig.start({ maxPlayers: 2, id: "lobby-1~2" });
  await later.joinProtocol({ session });
  expect(later.shard.handle({ type: "load" })).toMatchObject({ value: { connections: 1 } });
});

test("GD5 a call that is lost is no verdict", async () => {
  const { rig, plain } = await inUse();
  rig.ports.calls.answer = () => lost;
  await rig.join();
  await rig.pass(2_000);
  expect(plain.closedWith).toBeNull();
});
