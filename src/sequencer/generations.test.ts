/** Shards whose slot was given to a later generation, as the sequencer treats them. */
import { expect, test } from "vitest";
import { DeliveryRig, epoch as rigEpoch } from "../../test/support/delivery-rig.ts";
import { lost, type Answer } from "../../test/support/fake-calls.ts";
import { SequencerRig } from "../../test/support/sequencer-rig.ts";
import { turns } from "../../test/support/turns.ts";
import type { Published, Subscribed } from "../protocol/calls.ts";
import type { ShardId } from "../protocol/names.ts";
import { failure, success } from "../protocol/result.ts";

const fence = (room: SequencerRig, shard: string): Promise<null> =>
  room.ask({ type: "fence", shard: shard as ShardId });
/** Of a slot whose former object cannot be told. */
const fenceUnheard = (room: SequencerRig, shard: string): Promise<void> =>
  expect(fence(room, shard)).rejects.toThrow("unavailable");
const subscribe = (room: SequencerRig, shard: string): Promise<Subscribed> =>
  room.ask({ type: "subscribe", shard: shard as ShardId, position: null });
const write = { type: "publish", messages: ["x"], volatile: false, waitDelivered: false } as const;
const publish = (room: SequencerRig, shard: string): Promise<Published> =>
  room.ask({ ...write, messages: ["x"], shard: shard as ShardId });

async function subscribers(room: SequencerRig): Promise<string[]> {
  const status = await room.status();
  return status.subscribers.map(({ shard }) => shard);
}

/** Which shards were told that they are over. */
const told = (room: SequencerRig): string[] =>
  room.ports.calls.made.filter(({ request }) => request.type === "fenced").map(({ id }) => id);

/** A room whose first shard has its link open. */
async function linked() {
  const room = await SequencerRig.start();
  room.ports.calls.answer = () => success({ connections: 1 });
  const { epoch } = await room.subscribe(1);
  await room.publish("first");
  const dial = room.dialOf(1);
  await dial.greet(epoch, 1);
  return { room, dial, epoch };
}

test("GD2 a fence shuts out the older ones of its slot, and nobody else", async () => {
  const room = await SequencerRig.start();
  await fence(room, "lobby-1~3");
  await fence(room, "lobby-1~2");
  for (const former of ["lobby-1", "lobby-1~2"]) {
    await expect(subscribe(room, former)).rejects.toThrow("fenced");
    await expect(publish(room, former)).rejects.toThrow("fenced");
  }
  for (const other of ["lobby-1~3", "lobby-1~4", "lobby-2"]) {
    await publish(room, other);
    await subscribe(room, other);
  }
  expect(await subscribers(room)).toEqual(["lobby-1~4", "lobby-2"]);
});

test("GD2 a later generation that subscribes shuts the earlier ones out", async () => {
  const { room } = await linked();
  await subscribe(room, "lobby-1~2");
  await expect(subscribe(room, "lobby-1")).rejects.toThrow("fenced");
  expect(await subscribers(room)).toEqual(["lobby-1~2"]);
});

test("GD2 a fence holds after a restart, and in the next life of a room that was disposed", async () => {
  const { room } = await linked();
  await fence(room, "lobby-1~2");
  await turns();
  await room.restart();
  await expect(subscribe(room, "lobby-1")).rejects.toThrow("fenced");
  expect(await subscribers(room)).toEqual([]);
  await room.ask({ type: "dispose" });
  expect([...room.ports.storage.rows.keys()]).toEqual(["fence/1"]);
  await expect(subscribe(room, "lobby-1")).rejects.toThrow("fenced");
  // Nor do fences and those who are shut out begin another life of the room.
  await fence(room, "lobby-1~3");
  expect([...room.ports.storage.rows]).toEqual([["fence/1", 3]]);
  await subscribe(room, "lobby-1~3");
});

test("GD3 a fenced shard's link is closed, and what it says no longer counts", async () => {
  const { room, dial, epoch } = await linked();
  await fence(room, "lobby-1~2");
  expect([dial.socket.closedWith, dial.frames.at(-1)?.["type"]]).toEqual([4014, undefined]);
  dial.say({ type: "publish", writes: [{ id: 0, key: "k", message: "late" }] });
  dial.ack(epoch, 1);
  dial.close(1006);
  await room.pass(60_000);
  expect(room.dialsOf(1)).toBe(1);
  expect(await room.status()).toMatchObject({ seq: 1, subscribers: [] });
});

test("GD3 a shard that is fenced while it is dialled is sent nothing", async () => {
  const room = await SequencerRig.start();
  await room.subscribe(1);
  await room.publish("first");
  await fenceUnheard(room, "lobby-1~2");
  await room.dialOf(1).accept();
  expect([room.dialOf(1).frames, room.dialOf(1).socket.closedWith]).toEqual([[], 4011]);
});

test("GD3 nobody waits for a fenced shard: not who publishes, and not the next batch", async () => {
  const { room } = await linked();
  let answer: Published | null = null;
  void room.publish("waits", { waitDelivered: true }).then((published) => (answer = published));
  const next = room.publish("next");
  await turns();
  expect([answer, (await room.status()).seq]).toEqual([null, 2]);
  await fence(room, "lobby-1~2");
  await turns();
  expect(answer).toMatchObject({ seq: 2, shards: { delivered: 0, pending: 0 } });
  expect(await next).toMatchObject({ seq: 3 });
});

test("GD3 a shard that closes its link as fenced is no subscriber any more", async () => {
  const rig = new DeliveryRig();
  rig.publish("a");
  await rig.dialer.last.accept();
  rig.dialer.last.close(4014);
  rig.pass(60_000);
  expect([rig.goneBecauseEmpty, rig.dialer.dials.length]).toEqual([1, 1]);
});

test("GD4 a fenced shard is told that it is over until it has heard", async () => {
  const { room } = await linked();
  room.ports.calls.answer = () => lost;
  await fenceUnheard(room, "lobby-1~2");
  await turns();
  expect(told(room)).toEqual(["lobby-1"]);
  await room.passToWake();
  room.ports.calls.answer = () => success(null);
  await room.passToWake();
  expect(told(room)).toEqual(["lobby-1", "lobby-1", "lobby-1"]);
  await room.pass(100_000);
  expect([told(room).length, room.ports.storage.rows.has("over/lobby-1")]).toEqual([3, false]);
});

test("GD4 lives of the sequencer that come and go try no more often together than one", async () => {
  const { room } = await linked();
  room.ports.calls.answer = () => lost;
  await fenceUnheard(room, "lobby-1~2");
  await turns();
  for (let life = 2; life <= 30; life += 1) {
    await room.restart();
    await turns();
  }
  expect(told(room)).toHaveLength(20);
  expect([...room.ports.storage.rows.keys()]).not.toContain("over/lobby-1");
});

test("GD4 what an older version left says only whom to tell", async () => {
  const { room } = await linked();
  room.ports.storage.put({ "over/lobby-3": true });
  await room.ports.storage.sync();
  await room.restart();
  await turns();
  expect(told(room)).toEqual(["lobby-3"]);
});

test("GD4 the next life of the sequencer goes on telling, and ends after a while", async () => {
  const { room } = await linked();
  room.ports.calls.answer = () => lost;
  await fenceUnheard(room, "lobby-1~2");
  await turns();
  expect(room.ports.wakeups.durableAt).not.toBeNull();
  await room.restart();
  expect(told(room)).toEqual(["lobby-1", "lobby-1"]);
  for (let minute = 0; minute < 30; minute += 1) await room.pass(60_000);
  expect(told(room)).toHaveLength(20);
  expect([...room.ports.storage.rows.keys()]).not.toContain("over/lobby-1");
  expect(room.ports.calls.of("count").at(-1)?.counters).toMatchObject({
    fenced_shards_unreached: 1,
  });
});

test("GD4 a fence is answered when the former object has heard, and asking again wakes what tells it", async () => {
  const { room } = await linked();
  const { promise, resolve } = Promise.withResolvers<Answer>();
  room.ports.calls.answer = () => promise;
  const answered: string[] = [];
  void fence(room, "lobby-1~2").then(() => answered.push("first"));
  await turns();
  expect([told(room), answered]).toEqual([["lobby-1"], []]);
  resolve(success(null));
  await turns();
  expect(answered).toEqual(["first"]);
  await fence(room, "lobby-1~2");
  expect(told(room)).toEqual(["lobby-1"]);
});

test("GD4 one that is never told ends the asking, and holds up no other slot", async () => {
  const { room } = await linked();
  room.ports.calls.answer = () => lost;
  await fenceUnheard(room, "lobby-1~2");
  // Nothing but the question wakes the sequencer.
  for (let life = 2; life < 20; life += 1) {
    await room.restart();
    await fenceUnheard(room, "lobby-1~2");
  }
  await fence(room, "lobby-2~2");
  await room.restart();
  await fence(room, "lobby-1~2");
  expect(told(room)).toHaveLength(20);
});

test("GD4 a generation that had no clients is not told", async () => {
  const room = await SequencerRig.start();
  await fence(room, "lobby-1~2");
  await turns();
  expect(told(room)).toEqual([]);
});

test("GD6 the registry is told of the second failure in a row, and again while they last", async () => {
  const rig = new DeliveryRig();
  rig.publish("a");
  await rig.dialer.last.refuse();
  expect(rig.suspected).toEqual([]);
  const failedAt: number[] = [];
  for (let times = 0; times < 12; times += 1) {
    rig.passToDeadline();
    await rig.dialer.last.refuse();
    failedAt.push(rig.clock.now() - rig.startedAt);
  }
  const [second = 0] = failedAt;
  const expected = [second];
  for (const at of failedAt) if (at - (expected.at(-1) ?? 0) >= 5_000) expected.push(at);
  expect(expected.length).toBeGreaterThan(2);
  expect(rig.suspected).toEqual(expected.map((at) => `lobby-1 ${at}`));
});

test("GD6 a shard that acknowledges nothing is told of, and one that answered begins anew", async () => {
  const rig = new DeliveryRig();
  rig.publish("a");
  await rig.dialer.last.refuse();
  rig.passToDeadline();
  await rig.dialer.last.greet(rigEpoch, 0);
  rig.dialer.last.ack(rigEpoch, 1);
  rig.publish("b");
  rig.passToDeadline();
  expect([rig.dialer.last.socket.closedWith, rig.suspected]).toEqual([4012, []]);
  rig.passToDeadline();
  await rig.dialer.last.greet(rigEpoch, 1);
  rig.passToDeadline();
  expect(rig.suspected).toHaveLength(1);
});

test("GD6 a shard that has too much to do is left alone", async () => {
  const rig = new DeliveryRig();
  rig.publish("a");
  for (let times = 0; times < 5; times += 1) {
    await rig.dialer.last.fail(failure("overloaded", "too much to do"));
    rig.passToDeadline();
  }
  expect([rig.suspected, rig.dialer.dials.length]).toEqual([[], 6]);
});

test("GD6 the registry of the room is asked to look after the shard", async () => {
  const room = await SequencerRig.start();
  await room.subscribe(1);
  await room.publish("first");
  await room.dialOf(1).refuse();
  await room.passToWake();
  await room.dialOf(1).refuse();
  expect(room.ports.calls.of("suspect")).toEqual([{ type: "suspect", shard: "lobby-1" }]);
});
