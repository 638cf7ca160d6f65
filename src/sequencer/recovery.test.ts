/** What a sequencer does after its object was evicted, crashed or restarted. */
import { expect, test } from "vitest";
import { SequencerRig } from "../../test/support/sequencer-rig.ts";
import { turns } from "../../test/support/turns.ts";

test("DL6 epoch and order go on after a restart", async () => {
  const room = await SequencerRig.start();
  const before = await room.publish(["a", "b"]);
  await room.restart();
  const after = await room.publish("c");
  expect([after.epoch, after.seq]).toEqual([before.epoch, 3]);
});

test("DL6 what a shard had not acknowledged is sent to it after a restart, without any event", async () => {
  const room = await SequencerRig.start();
  await room.subscribe(1);
  const { epoch } = await room.publish(["a", "b"]);
  await room.restart();
  await room.dialOf(1).greet(epoch, 0);
  expect(room.dialOf(1).batches).toEqual(["0-2"]);
});

test("DL6 something owed asks for a wake-up that outlives the object, at most one in ten seconds", async () => {
  const room = await SequencerRig.start();
  expect(room.ports.wakeups.durableAt).toBeNull();
  await room.subscribe(1);
  await room.publish("a");
  expect(room.ports.wakeups.durableAt).toBe(room.ports.clock.now() + 10_000);
});

test("DL6 when everything was settled, a restart dials nobody", async () => {
  const room = await SequencerRig.start();
  const { epoch } = await room.subscribe(1);
  await room.publish("a");
  await room.dialOf(1).greet(epoch, 0);
  room.dialOf(1).ack(epoch, 1);
  await room.pass(5_000);
  expect(room.dialOf(1).socket.closedWith).toBe(1000);
  await room.restart();
  expect(room.ports.dialer.dials).toEqual([]);
});

test("DL6 a shard that subscribes with less than was settled gets what it lacks, also after a restart", async () => {
  const room = await SequencerRig.start();
  const { epoch } = await room.publish("a");
  await room.publish("b");
  await room.pass(1);
  await room.subscribe(1, { epoch, seq: 1 });
  await room.restart();
  await room.dialOf(1).greet(epoch, 1);
  expect(room.dialOf(1).batches).toEqual(["1-2"]);
});

test("SU4 a shard that subscribes with what it has is dialled for what it lacks", async () => {
  const room = await SequencerRig.start();
  const { epoch } = await room.publish(["a", "b"]);
  await room.publish("c");
  await room.subscribe(1, { epoch, seq: 2 });
  await room.dialOf(1).greet(epoch, 2);
  expect(room.dialOf(1).batches).toEqual(["2-3"]);
});

test("SU4 a shard that subscribes with all there is, is not dialled", async () => {
  const room = await SequencerRig.start();
  const { epoch, seq } = await room.publish("a");
  await room.subscribe(1, { epoch, seq });
  expect(room.ports.dialer.dials).toEqual([]);
});

test("DL8 a shard with another life's position is dialled, to be reset", async () => {
  const room = await SequencerRig.start();
  await room.publish("a");
  await room.subscribe(1, { epoch: "0", seq: 1 });
  await room.dialOf(1).greet("0", 1);
  expect(room.dialOf(1).frames).toMatchObject([
    { type: "reset", seq: 0 },
    { type: "batch", after: 0, through: 1 },
  ]);
});

test("DL7 what a reachable shard has not acknowledged is kept beyond history", async () => {
  const room = await SequencerRig.start({ history: { messages: 2 } });
  const { epoch } = await room.subscribe(1);
  for (const text of ["a", "b", "c", "d", "e"]) {
    await Promise.race([room.publish(text), turns()]);
  }
  await room.dialOf(1).greet(epoch, 0);
  expect(room.dialOf(1).batches[0]).toBe("0-1");
  expect((await room.status()).history).toEqual({ first: 4, last: 5 });
});

test("DL7, DL8 a shard that has failed for a minute loses what is no history, and is told", async () => {
  const room = await SequencerRig.start({ history: { messages: 2 } });
  const { epoch } = await room.subscribe(1);
  await room.publish("a");
  await room.dialOf(1).refuse();
  await room.pass(60_000);
  for (const text of ["b", "c", "d"]) await room.publish(text);
  await room.dialOf(1).greet(epoch, 0);
  expect(room.dialOf(1).frames).toMatchObject([
    { type: "reset", seq: 2 },
    { type: "batch", after: 2, through: 3 },
    { type: "batch", after: 3, through: 4 },
  ]);
});

test("LK2 a sequencer asks to be woken for the next dial of a shard that failed", async () => {
  const room = await SequencerRig.start();
  await room.subscribe(1);
  await room.publish("a");
  await room.dialOf(1).refuse();
  await room.passToWake();
  expect(room.dialsOf(1)).toBe(2);
});

test.each([
  ["log/0", { after: 0 }],
  ["meta", { version: 2, epoch: "another form" }],
])(
  "DL13 a room whose row %s is damaged begins a later epoch, and resets its shards",
  async (row, value) => {
    const room = await SequencerRig.start();
    const { epoch } = await room.subscribe(1);
    await room.publish("a");
    await room.dialOf(1).greet(epoch, 0);
    room.ports.storage.put({ [row]: value });
    room.ports.clock.advance(1);
    await room.restart();
    await room.dialOf(1).greet(epoch, 1);
    const { epoch: later, seq } = await room.status();
    expect([later > epoch, seq]).toEqual([true, 0]);
    expect(room.dialOf(1).frames).toEqual([{ type: "reset", epoch: later, seq: 0 }]);
    expect((await room.publish("b")).seq).toBe(1);
    await room.pass(0);
    expect(room.ports.calls.of("count").at(-1)?.counters).toEqual({ room_logs_lost: 1 });
    await room.restart();
    expect((await room.publish("c")).seq).toBe(2);
  },
);

test("DL13 rows of other kinds that are damaged cost what they said, and no more", async () => {
  const room = await SequencerRig.start();
  const { epoch } = await room.subscribe(1);
  await room.publish("a", { key: "k" });
  const unreadable = {
    settled: "?",
    snapshotted: [],
    "sub/lobby-1": 7,
    "fence/1": "?",
    "keys/0": "{",
  };
  room.ports.storage.put(unreadable);
  await room.restart();
  await room.dialOf(1).greet(epoch, 0);
  expect(room.dialOf(1).batches).toEqual(["0-1"]);
  expect(await room.publish("a", { key: "k" })).toMatchObject({ epoch, seq: 1 });
});
