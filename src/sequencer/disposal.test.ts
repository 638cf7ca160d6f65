import fc from "fast-check";
import { expect, test } from "vitest";
import { SequencerRig } from "../../test/support/sequencer-rig.ts";
import { turns } from "../../test/support/turns.ts";

const dispose = { type: "dispose" } as const;
const large = "x".repeat(200_000);

test("SE9 nothing is left of a room that was disposed, and its next life has a later epoch", async () => {
  const room = await SequencerRig.start();
  const former = await room.publish(["a", large, "b"], { key: "k" });
  for (let times = 0; times < 5; times += 1) await room.publish("c");
  expect(await room.ask(dispose)).toBeNull();
  expect([...room.ports.storage.rows.keys()]).toEqual([]);
  // The key of the former life is as good as new.
  const next = await room.publish("another", { key: "k" });
  expect(next).toMatchObject({ first: 1, seq: 1 });
  expect(next.epoch > former.epoch).toBe(true);
  await room.restart();
  expect(await room.status()).toMatchObject({ epoch: next.epoch, seq: 1 });
});

test("SE9 disposing of a room that was never used writes nothing, twice too", async () => {
  const room = await SequencerRig.start();
  await room.ask(dispose);
  await room.ask(dispose);
  expect([room.ports.storage.rows.size, room.ports.storage.writes]).toEqual([0, 0]);
});

test("SE9 rows of idempotency keys and of split messages that had outlived their batches go too", async () => {
  const room = await SequencerRig.start({ history: { messages: 1 } });
  for (let write = 0; write < 300; write += 1) await room.publish("x", { key: `k${write}` });
  await room.publish(large, { key: "large" });
  await room.publish("last");
  await room.restart();
  await room.ask(dispose);
  expect([...room.ports.storage.rows.keys()]).toEqual([]);
});

test.each([
  ["at once", async () => {}],
  ["later", turns],
])(
  "SE9 disposed %s: writes that wait are refused, those that were made are answered",
  async (_, pass) => {
    const room = await SequencerRig.start();
    const { epoch } = await room.subscribe(1);
    await room.publish("first");
    await room.dialOf(1).greet(epoch, 1);
    const made = room.publish("made", { waitDelivered: true });
    const waiting = room.tryPublish(["waiting"]);
    await pass();
    await room.ask(dispose);
    expect(await made).toMatchObject({ epoch, seq: 2, shards: { delivered: 0, pending: 1 } });
    expect(await waiting).toMatchObject({ ok: false, code: "unavailable" });
    expect(await room.publish("new")).toMatchObject({ seq: 1 });
  },
);

test("SE9 a shard that still has clients is told on its open link, and goes on in the new life", async () => {
  const room = await SequencerRig.start();
  const former = await room.subscribe(1);
  await room.publish("old");
  const dial = room.dialOf(1);
  await dial.greet(former.epoch, 1);
  await room.ask(dispose);
  const { epoch } = await room.publish("new");
  expect(dial.frames.slice(-2)).toMatchObject([
    { type: "reset", epoch, seq: 0 },
    { type: "batch", epoch, after: 0, through: 1 },
  ]);
  // What was on its way says nothing of the new life.
  dial.ack(former.epoch, 1);
  expect((await room.status()).subscribers).toMatchObject([{ acked: 0 }]);
  dial.ack(epoch, 1);
  expect((await room.status()).subscribers).toMatchObject([{ acked: 1 }]);
});

test("SE9 a shard without an open link is dialled, until it knows of the new life", async () => {
  const room = await SequencerRig.start();
  const former = await room.subscribe(1);
  await room.ask(dispose);
  const first = room.dialOf(1);
  await first.greet(former.epoch, 0);
  const { epoch } = await room.status();
  expect(first.frames).toMatchObject([{ type: "reset", epoch, seq: 0 }]);
  first.close(1006);
  await room.passToWake();
  expect(room.dialsOf(1)).toBe(2);
  await room.dialOf(1).greet(former.epoch, 0);
  room.dialOf(1).ack(epoch, 0);
  await room.pass(5_000);
  await room.pass(60_000);
  expect(room.dialsOf(1)).toBe(2);
});

test("SE9 a shard that has no clients is forgotten, and the last one takes the last rows with it", async () => {
  const room = await SequencerRig.start();
  const first = await room.subscribe(1);
  await room.subscribe(2);
  await room.ask(dispose);
  await room.unsubscribe(1, first.subscription);
  expect([...room.ports.storage.rows.keys()]).toEqual(["sub/lobby-2", "meta"]);
  await room.dialOf(2).accept();
  room.dialOf(2).close(4010);
  expect([...room.ports.storage.rows.keys()]).toEqual([]);
});

test("SE9 a crash at any moment leaves the old room or the new one", async () => {
  const turn = fc.integer({ min: 0, max: 3 });
  await fc.assert(
    fc.asyncProperty(turn, fc.nat({ max: 5 }), async (after, writes) => {
      const room = await SequencerRig.start();
      const { epoch } = await room.subscribe(1);
      for (let write = 0; write < writes; write += 1) await room.publish("x");
      await turns();
      const disposing = room.ask(dispose);
      for (let passed = 0; passed < after; passed += 1) await Promise.resolve();
      await room.restartNow();
      const status = await room.status();
      expect(status.seq).toBe(status.epoch === epoch ? writes : 0);
      expect(status.subscribers).toHaveLength(1);
      await disposing;
    }),
    { numRuns: 50 },
  );
});
