import { expect, test } from "vitest";
import { fakePorts } from "../../test/support/fake-ports.ts";
import { SequencerRig } from "../../test/support/sequencer-rig.ts";
import { turns } from "../../test/support/turns.ts";
import { keyLifetimeMs } from "../core/idempotency.ts";
import { newEpoch } from "./epoch.ts";

test("DL1 writes get numbers from 1 without gaps, in one epoch", async () => {
  const room = await SequencerRig.start();
  const published = await Promise.all(["a", "b", "c"].map((text) => room.publish(text)));
  expect(published.map(({ first, seq }) => [first, seq])).toEqual([
    [1, 1],
    [2, 2],
    [3, 3],
  ]);
  expect(new Set(published.map(({ epoch }) => epoch)).size).toBe(1);
});

test("DL1 a room that begins again has a later epoch, also by a clock that has gone back", () => {
  const ports = fakePorts();
  const first = newEpoch(ports, "");
  ports.clock.advance(1);
  // Nothing is left of the room, but time has passed.
  const second = newEpoch(ports, "");
  ports.clock.advance(-60_000);
  const third = newEpoch(ports, second);
  expect([first, second, third].toSorted()).toEqual([first, second, third]);
  expect(new Set([first, second, third].map((epoch) => epoch.split(".")[0])).size).toBe(3);
});

test("DL2 a row is written before anything is sent, in the same turn", async () => {
  const room = await SequencerRig.start();
  await room.subscribe(1);
  await room.publish("a");
  const dial = room.dialOf(1);
  const { epoch } = await room.status();
  await dial.greet(epoch, 1);
  const written = room.ports.storage.writes;
  const sentBefore = dial.socket.sent.length;
  const publishing = room.publish("b");
  expect([room.ports.storage.writes, dial.socket.sent.length]).toEqual([
    written + 1,
    sentBefore + 1,
  ]);
  await publishing;
});

test("DL5 writes that arrive while a batch is under way become one row and one frame a shard", async () => {
  const room = await SequencerRig.start();
  const { epoch } = await room.subscribe(1);
  await room.publish("first");
  await room.dialOf(1).greet(epoch, 1);
  const before = room.ports.storage.writes;
  const texts = Array.from({ length: 50 }, (_, n) => `m${n}`);
  const publishing = Promise.all(texts.map((text) => room.publish(text)));
  await turns();
  room.dialOf(1).ack(epoch, 2);
  const published = await publishing;
  expect(published.map(({ seq }) => seq)).toEqual(texts.map((_, n) => n + 2));
  expect(room.dialOf(1).batches).toEqual(["1-2", "2-51"]);
  expect(room.ports.storage.writes - before).toBe(2);
});

test("DL10 the messages of one write lie next to each other, whatever comes at the same time", async () => {
  const room = await SequencerRig.start();
  const [one, many, other] = await Promise.all([
    room.publish("a"),
    room.publish(["b", "c", "d"]),
    room.publish("e"),
  ]);
  expect([one.seq, many.first, many.seq, other.seq]).toEqual([1, 2, 4, 5]);
});

test("DL11 a volatile message has no number and no row", async () => {
  const room = await SequencerRig.start();
  await room.publish("a");
  const written = room.ports.storage.writes;
  expect(await room.publish("x", { isVolatile: true })).toMatchObject({ seq: 1 });
  expect(room.ports.storage.writes).toBe(written);
  await room.pass(5);
  expect((await room.publish("b")).seq).toBe(2);
});

test("DL12 when more waits than the room can take, further writes are refused as overloaded", async () => {
  const room = await SequencerRig.start();
  const { epoch } = await room.subscribe(1);
  await room.publish("first");
  await room.dialOf(1).greet(epoch, 1);
  const large = "x".repeat(1024 * 1024);
  const replies = Array.from({ length: 20 }, () => room.tryPublish([large]));
  const early = await Promise.race([replies[19], turns()]);
  expect(early).toMatchObject({ ok: false, code: "overloaded" });
  // Those that were taken are not lost: time lets them out.
  for (let n = 0; n < 40; n += 1) {
    await room.pass(1_000);
    room.dialOf(1).ack(epoch, (await room.status()).seq);
    await turns();
  }
  const results = await Promise.all(replies);
  expect(results.filter(({ ok }) => ok)).toHaveLength(17);
});

test("DL4 two writes with one key have one effect and one place", async () => {
  const room = await SequencerRig.start();
  const [one, other] = await Promise.all([
    room.publish(["a", "b"], { key: "k" }),
    room.publish(["a", "b"], { key: "k" }),
  ]);
  const later = await room.publish(["a", "b"], { key: "k" });
  expect([one, other, later].map(({ first, seq }) => [first, seq])).toEqual([
    [1, 2],
    [1, 2],
    [1, 2],
  ]);
  expect((await room.status()).seq).toBe(2);
});

test("DL4 writes with one key while neither is committed have one place", async () => {
  const room = await SequencerRig.start();
  const [, one, other] = await Promise.all([
    room.publish("first"),
    room.publish("a", { key: "k" }),
    room.publish("a", { key: "k" }),
  ]);
  expect([one.seq, other.seq, (await room.status()).seq]).toEqual([2, 2, 2]);
});

test("DL4 the same key with another body is refused, also while the first is not committed", async () => {
  const room = await SequencerRig.start();
  const refused = { ok: false, code: "idempotency-key-reused" };
  const [, , early] = await Promise.all([
    room.tryPublish(["first"]),
    room.tryPublish(["a"], { key: "k" }),
    room.tryPublish(["b"], { key: "k" }),
  ]);
  expect(early).toMatchObject(refused);
  expect(await room.tryPublish(["b"], { key: "k" })).toMatchObject(refused);
});

test("DL4 a key's place is known after a restart, and is new after five minutes", async () => {
  const room = await SequencerRig.start({ history: { messages: 1 } });
  await room.publish("a", { key: "k" });
  for (const text of ["b", "c", "d"]) await room.publish(text);
  await room.restart();
  expect((await room.publish("a", { key: "k" })).seq).toBe(1);
  expect(await room.tryPublish(["x"], { key: "k" })).toMatchObject({ ok: false });
  room.ports.clock.advance(keyLifetimeMs);
  expect((await room.publish("a", { key: "k" })).seq).toBe(5);
});

test("SU1 a shard's subscription is written in the turn that answers it, and survives", async () => {
  const room = await SequencerRig.start();
  await room.publish("a");
  const { seq } = await room.subscribe(1);
  expect(seq).toBe(1);
  expect([...room.ports.storage.rows.keys()]).toContain("sub/lobby-1");
  await room.restart();
  expect((await room.status()).subscribers).toEqual([
    { shard: "lobby-1", acked: 1, connections: null, stateError: null },
  ]);
});

test("SU2 a shard that unsubscribed gets no traffic", async () => {
  const room = await SequencerRig.start();
  const { subscription } = await room.subscribe(1);
  await room.unsubscribe(1, subscription);
  expect(await room.publish("a")).toMatchObject({ shards: { delivered: 0, pending: 0 } });
  expect(room.ports.dialer.dials).toEqual([]);
  expect([...room.ports.storage.rows.keys()]).not.toContain("sub/lobby-1");
});

test("SU3 an unsubscribe that comes late ends no newer subscription", async () => {
  const room = await SequencerRig.start();
  const former = await room.subscribe(1);
  const newer = await room.subscribe(1);
  await room.unsubscribe(1, former.subscription);
  expect((await room.status()).subscribers).toHaveLength(1);
  await room.unsubscribe(1, newer.subscription);
  expect((await room.status()).subscribers).toEqual([]);
});

test("LK4 a shard that says it has no clients is forgotten, also by those who wait for it", async () => {
  const room = await SequencerRig.start();
  await room.subscribe(1);
  const waiting = room.publish("a", { waitDelivered: true });
  await turns();
  await room.dialOf(1).accept();
  room.dialOf(1).close(4010);
  expect((await waiting).shards).toEqual({ delivered: 0, pending: 0 });
  await room.restart();
  expect((await room.status()).subscribers).toEqual([]);
});

test("HT1 the answer says how many shards have the message and how many do not yet", async () => {
  const room = await SequencerRig.start();
  await room.subscribe(1);
  await room.subscribe(2);
  expect((await room.publish("a")).shards).toEqual({ delivered: 0, pending: 2 });
});

test("HT2 wait=delivered answers when every subscribed shard has the message", async () => {
  const room = await SequencerRig.start();
  const { epoch } = await room.subscribe(1);
  await room.subscribe(2);
  const waiting = room.publish("a", { waitDelivered: true });
  await turns();
  await room.dialOf(1).greet(epoch, 0);
  room.dialOf(1).ack(epoch, 1);
  await room.dialOf(2).greet(epoch, 0);
  expect(await Promise.race([waiting, turns()])).toBeUndefined();
  room.dialOf(2).ack(epoch, 1);
  expect((await waiting).shards).toEqual({ delivered: 2, pending: 0 });
});

test("HT2 wait=delivered answers after five seconds with what is pending", async () => {
  const room = await SequencerRig.start();
  const { epoch } = await room.subscribe(1);
  await room.subscribe(2);
  const waiting = room.publish("a", { waitDelivered: true });
  await turns();
  await room.dialOf(1).greet(epoch, 1);
  await room.pass(4_999);
  expect(await Promise.race([waiting, turns()])).toBeUndefined();
  await room.passToWake();
  expect((await waiting).shards).toEqual({ delivered: 1, pending: 1 });
});

test("HT5 the status tells epoch, position, history, and what each shard has", async () => {
  const room = await SequencerRig.start({ history: { messages: 2 } });
  room.ports.calls.answer = ({ id }) =>
    id === "lobby-1"
      ? { ok: true, value: { connections: 7 } }
      : { ok: false, code: "unreachable", detail: "" };
  const { epoch } = await room.subscribe(1);
  await room.subscribe(2);
  for (const text of ["a", "b", "c"]) await Promise.race([room.publish(text), turns()]);
  await room.dialOf(1).greet(epoch, 3);
  expect(await room.status()).toEqual({
    epoch,
    seq: 3,
    history: { first: 2, last: 3 },
    snapshot: null,
    subscribers: [
      { shard: "lobby-1", acked: 3, connections: 7, stateError: null },
      { shard: "lobby-2", acked: 0, connections: null, stateError: null },
    ],
  });
});

test("LK8 one shard that is stuck does not hold up the others", async () => {
  const room = await SequencerRig.start();
  const { epoch } = await room.subscribe(1);
  await room.subscribe(2);
  await room.publish("first");
  await room.dialOf(1).greet(epoch, 1);
  await room.dialOf(2).greet(epoch, 1);
  for (let n = 2; n < 40; n += 1) {
    expect((await room.publish("a")).seq).toBe(n);
    room.dialOf(1).ack(epoch, n);
    await turns();
  }
  expect((await room.status()).subscribers.map(({ acked }) => acked)).toEqual([39, 1]);
});

test("LK8 all shards being slow holds up the writers", async () => {
  const room = await SequencerRig.start();
  const { epoch } = await room.subscribe(1);
  await room.publish("first");
  await room.dialOf(1).greet(epoch, 1);
  for (const text of ["a", "b", "c", "d", "e", "f"]) {
    void room.publish(text);
    await room.pass(25);
  }
  expect((await room.status()).seq).toBe(5);
  await room.pass(1_000);
  expect((await room.status()).seq).toBe(7);
});

test("HT5 however many ask for the status at once, every shard is asked twice at most", async () => {
  const room = await SequencerRig.start();
  await room.subscribe(1);
  await room.subscribe(2);
  room.ports.calls.answer = () => ({ ok: true, value: { connections: 3 } });
  const answers = await Promise.all(Array.from({ length: 50 }, () => room.status()));
  expect(new Set(answers.map(({ subscribers }) => subscribers.length))).toEqual(new Set([2]));
  expect(room.ports.calls.of("load")).toHaveLength(4);
});

test("PL5 a registry that does not take what was counted is not asked again with every wake-up", async () => {
  const room = await SequencerRig.start();
  await room.subscribe(1);
  await room.publish("a");
  await room.dialOf(1).accept();
  room.dialOf(1).sayText("no frame");
  for (let wakes = 0; wakes < 100; wakes += 1) await room.pass(10);
  const asked = room.ports.calls.of("count").length;
  expect(asked).toBeGreaterThan(0);
  expect(asked).toBeLessThan(4);
  room.ports.calls.answer = () => ({ ok: true, value: null });
  for (let wakes = 0; wakes < 100; wakes += 1) await room.pass(1_000);
  expect(room.ports.calls.of("count").at(-1)?.counters).toEqual({ malformed_link_frames: 1 });
});
