import { expect, test } from "vitest";
import { DeliveryRig, epoch } from "../../test/support/delivery-rig.ts";
import { closeCodes } from "../protocol/close-codes.ts";

test("LK1 nothing is dialled while nothing is owed", () => {
  const rig = new DeliveryRig();
  rig.delivery.pump();
  expect([rig.dialer.dials.length, rig.delivery.nextDeadline()]).toEqual([0, null]);
});

test("LK1 the first message dials the shard once, and nothing is sent before the shard has spoken", async () => {
  const rig = new DeliveryRig();
  expect([rig.publish("a"), rig.publish("b")]).toEqual([false, false]);
  const [dial] = rig.dialer.dials;
  expect([rig.dialer.dials.length, dial?.shard]).toEqual([1, "lobby-1"]);
  await dial?.accept();
  rig.publish("c");
  expect(dial?.frames).toEqual([]);
});

test("LK1 what the shard lacks follows on what it says it has", async () => {
  const rig = new DeliveryRig();
  for (const text of ["a", "b", "c"]) rig.publish(text);
  await rig.dialer.last.greet(epoch, 1);
  expect(rig.dialer.last.batches).toEqual(["1-2", "2-3"]);
  expect(rig.acknowledged).toEqual(["0-1"]);
});

test("LK1 a shard that has nothing yet gets what it has not acknowledged", async () => {
  const rig = new DeliveryRig();
  rig.publish("a");
  await rig.dialer.last.greet(null);
  expect(rig.dialer.last.batches).toEqual(["0-1"]);
});

test("LK1 on an open link a batch goes out at once", async () => {
  const rig = new DeliveryRig();
  const dial = await rig.open();
  expect([rig.publish("b"), rig.publish("c")]).toEqual([true, true]);
  expect(dial.batches).toEqual(["1-2", "2-3"]);
  expect(rig.dialer.dials).toHaveLength(1);
});

test("LK1 whoever offers a batch on hearing of the greeting does not overtake older ones", async () => {
  const rig = new DeliveryRig();
  for (const text of ["a", "b", "c"]) rig.publish(text);
  rig.onAcknowledged = (): void => {
    rig.onAcknowledged = () => {};
    rig.publish("d");
  };
  await rig.dialer.last.greet(epoch, 1);
  expect(rig.dialer.last.batches).toEqual(["1-2", "2-3", "3-4"]);
});

test("LK2 an acknowledgement counts for everything up to it", async () => {
  const rig = new DeliveryRig();
  const dial = await rig.open();
  for (const text of ["b", "c", "d"]) rig.publish(text);
  dial.ack(epoch, 3);
  expect([rig.delivery.acked, rig.acknowledged]).toEqual([3, ["0-1", "1-3"]]);
  dial.ack(epoch, 2);
  expect(rig.delivery.acked).toBe(3);
});

test("LK2 a shard that does not answer a batch in time is dialled anew and sent it again", async () => {
  const rig = new DeliveryRig();
  const dial = await rig.open();
  rig.publish("b");
  rig.pass(9_999);
  expect(dial.socket.closedWith).toBeNull();
  rig.pass(1);
  expect(dial.socket.closedWith).toBe(closeCodes.unresponsive);
  rig.passToDeadline();
  expect(rig.dialer.dials).toHaveLength(2);
  await rig.dialer.last.greet(epoch, 1);
  expect(rig.dialer.last.batches).toEqual(["1-2"]);
});

test("LK2 a half-open link is given up however steadily it is written to", async () => {
  const rig = new DeliveryRig();
  const dial = await rig.open();
  rig.pass(1_000);
  for (let second = 0; second < 10; second += 1) {
    expect([rig.publish("b"), dial.socket.closedWith]).toEqual([true, null]);
    rig.pass(1_000);
  }
  expect(dial.socket.closedWith).toBe(closeCodes.unresponsive);
  rig.passToDeadline();
  await rig.dialer.last.greet(epoch, 1);
  expect(rig.dialer.last.batches).toHaveLength(10);
});

test("LK2 a shard that answers, though late, keeps its link under steady writes", async () => {
  const rig = new DeliveryRig();
  const dial = await rig.open();
  for (let second = 0; second < 60; second += 1) {
    rig.publish("b");
    rig.pass(1_000);
    if (second >= 8) dial.ack(epoch, second - 6);
  }
  expect([dial.socket.closedWith, rig.dialer.dials.length]).toEqual([null, 1]);
});

test("LK2 a shard that was resent what it had already acknowledges it once", async () => {
  const rig = new DeliveryRig();
  const dial = await rig.open();
  rig.publish("b");
  dial.close(1006);
  rig.passToDeadline();
  await rig.dialer.last.greet(epoch, 2);
  expect([rig.dialer.last.batches, rig.acknowledged]).toEqual([[], ["0-1", "1-2"]]);
});

test("LK2 a shard that does not take the dial, or does not greet, is given up in time", async () => {
  const rig = new DeliveryRig();
  rig.publish("a");
  expect(rig.passToDeadline()).toBe(10_000);
  rig.passToDeadline();
  const silent = rig.dialer.last;
  await silent.accept();
  expect(rig.passToDeadline()).toBe(10_000);
  expect([silent.socket.closedWith, rig.dialer.dials.length]).toEqual([4012, 2]);
  rig.passToDeadline();
  expect(rig.dialer.dials).toHaveLength(3);
});

test("LK2 a dial that is taken after it was given up is closed", async () => {
  const rig = new DeliveryRig();
  rig.publish("a");
  const late = rig.dialer.last;
  rig.passToDeadline();
  rig.passToDeadline();
  await late.greet(epoch, 0);
  expect([late.socket.closedWith, late.frames]).toEqual([closeCodes.replaced, []]);
});

test("LK2 pauses between dials that fail grow, are drawn at random, and begin anew after a success", async () => {
  const rig = new DeliveryRig();
  rig.publish("a");
  const pauses: number[] = [];
  for (let failure = 1; failure <= 12; failure += 1) {
    await rig.dialer.last.refuse();
    pauses.push(rig.passToDeadline());
  }
  for (const [index, pause] of pauses.entries()) {
    expect(pause).toBeGreaterThan(0);
    expect(pause).toBeLessThanOrEqual(Math.min(30_000, 100 * 2 ** index));
  }
  expect(Math.max(...pauses)).toBeGreaterThan(5_000);
  expect(pauses.map((pause, index) => pause === Math.min(30_000, 100 * 2 ** index))).toContain(
    false,
  );
  await rig.dialer.last.greet(epoch, 1);
  rig.dialer.last.close(1006);
  expect(rig.passToDeadline()).toBeLessThanOrEqual(100);
});

test("LK2 a shard that is sent more than the window gets the rest as it acknowledges", async () => {
  const rig = new DeliveryRig();
  const dial = await rig.open();
  for (let n = 0; n < 5; n += 1) rig.publish("x".repeat(400_000));
  expect(dial.batches).toEqual(["1-2", "2-3", "3-4"]);
  dial.ack(epoch, 2);
  expect(dial.batches).toHaveLength(4);
  dial.ack(epoch, 5);
  expect(dial.batches.at(-1)).toBe("5-6");
});

test("LK8 a shard with a full window holds writers up as others do; one without a link does not", async () => {
  const rig = new DeliveryRig();
  expect(rig.publish("first")).toBe(false);
  await rig.dialer.last.greet(epoch, 1);
  const large = "x".repeat(400_000);
  expect([1, 2, 3, 4, 5].map(() => rig.publish(large))).toEqual(Array(5).fill(true));
  rig.dialer.last.close(1006);
  expect(rig.publish("last")).toBe(false);
});

test("LK3 a link that has carried nothing for five seconds is hung up, and the shard is told", async () => {
  const rig = new DeliveryRig();
  const dial = await rig.open();
  rig.pass(4_000);
  rig.publishVolatile("x");
  rig.pass(4_999);
  expect(dial.socket.closedWith).toBeNull();
  rig.pass(1);
  expect(dial.frames.at(-1)).toEqual({ type: "bye" });
  expect(dial.socket.closedWith).toBe(closeCodes.idle);
  expect([rig.delivery.isSettled, rig.delivery.nextDeadline()]).toEqual([true, null]);
  rig.publish("b");
  expect(rig.dialer.dials).toHaveLength(2);
});

test("LK4 a shard without clients is forgotten", async () => {
  const rig = new DeliveryRig();
  rig.publish("a");
  await rig.dialer.last.accept();
  rig.dialer.last.close(4010);
  expect([rig.goneBecauseEmpty, rig.delivery.nextDeadline()]).toEqual([1, null]);
});

test("SU3, LK4 a shard that has subscribed since the dial is not forgotten, whatever it said before", async () => {
  const rig = new DeliveryRig();
  rig.publish("a");
  await rig.dialer.last.accept();
  rig.delivery.resubscribe("s2");
  rig.dialer.last.close(4010);
  expect(rig.goneBecauseEmpty).toBe(0);
  rig.passToDeadline();
  await rig.dialer.last.greet(epoch, 0);
  expect(rig.dialer.last.batches).toEqual(["0-1"]);
});

test.each([
  ["no JSON", "{"],
  ["another end's frame", '{"type":"bye"}'],
  ["a greeting twice", `{"type":"hello","position":null}`],
  ["an acknowledgement of what was not sent", `{"type":"ack","epoch":"e1","seq":9}`],
])("LK6 %s closes the link, and loses nothing", async (_what, text) => {
  const rig = new DeliveryRig();
  const dial = await rig.open();
  rig.publish("b");
  dial.sayText(text);
  expect(dial.socket.closedWith).toBe(closeCodes.malformedFrame);
  rig.passToDeadline();
  await rig.dialer.last.greet(epoch, 1);
  expect(rig.dialer.last.batches).toEqual(["1-2"]);
});

test("LK6 an acknowledgement before the greeting closes the link", async () => {
  const rig = new DeliveryRig();
  rig.publish("a");
  await rig.dialer.last.accept();
  rig.dialer.last.ack(epoch, 0);
  expect(rig.dialer.last.socket.closedWith).toBe(closeCodes.malformedFrame);
});

test("LK6 what comes on a link that has ended changes nothing", async () => {
  const rig = new DeliveryRig();
  const dial = await rig.open();
  rig.publish("b");
  dial.close(1006);
  dial.ack(epoch, 2);
  dial.close(4010);
  expect([rig.delivery.acked, rig.goneBecauseEmpty]).toEqual([1, 0]);
});

test("LK7 a frame too large for one message travels in parts", async () => {
  const rig = new DeliveryRig();
  const dial = await rig.open();
  rig.publish("x".repeat(600_000));
  expect(dial.socket.sent).toHaveLength(3);
  expect(dial.batches).toEqual(["1-2"]);
});

test("DL8 a shard that lacks what the log no longer holds is reset, not skipped silently", async () => {
  const rig = new DeliveryRig({ messages: 0, backlogUnits: 0 });
  for (const text of ["a", "b", "c"]) rig.publish(text);
  rig.log.trim(rig.clock.now(), 3);
  await rig.dialer.last.greet(epoch, 0);
  expect(rig.dialer.last.frames).toEqual([{ type: "reset", epoch, seq: 3 }]);
  rig.publish("d");
  expect(rig.dialer.last.batches).toEqual(["3-4"]);
});

test("DL8, DL6 a reset is owed until the shard has taken it, and nothing before it counts as delivered", async () => {
  const rig = new DeliveryRig({ messages: 0, backlogUnits: 0 });
  for (const text of ["a", "b", "c"]) rig.publish(text);
  rig.log.trim(rig.clock.now(), 3);
  await rig.dialer.last.greet(epoch, 0);
  expect(rig.delivery.acked).toBe(0);
  rig.dialer.last.close(1006);
  rig.passToDeadline();
  await rig.dialer.last.greet(epoch, 0);
  expect(rig.dialer.last.frames).toEqual([{ type: "reset", epoch, seq: 3 }]);
  rig.dialer.last.ack(epoch, 3);
  expect(rig.delivery.acked).toBe(3);
});

test.each([
  ["another life of the room", "e0", 1],
  ["messages that never were", epoch, 9],
])("DL8 a shard that has %s is reset", async (_what, said, seq) => {
  const rig = new DeliveryRig();
  rig.publish("a");
  await rig.dialer.last.greet(said, seq);
  expect(rig.dialer.last.frames).toMatchObject([
    { type: "reset", epoch, seq: 0 },
    { type: "batch", after: 0, through: 1 },
  ]);
  rig.dialer.last.ack(epoch, 1);
  expect(rig.delivery.acked).toBe(1);
});

test("DL7 the log waits for a shard that fails, but not longer than a minute", async () => {
  const rig = new DeliveryRig();
  rig.publish("a");
  await rig.dialer.last.refuse();
  const failedAt = rig.clock.now();
  expect(rig.delivery.holdsLog(failedAt + 59_999)).toBe(true);
  expect(rig.delivery.holdsLog(failedAt + 60_000)).toBe(false);
  rig.passToDeadline();
  await rig.dialer.last.greet(epoch, 1);
  expect(rig.delivery.holdsLog(failedAt + 999_999)).toBe(true);
});

test("DL6 what is owed and on no open link is looked after even if the object crashes", async () => {
  const rig = new DeliveryRig();
  rig.publish("a");
  expect(rig.durableWakes).toBe(1);
  const dial = await rig.open();
  const wakes = rig.durableWakes;
  rig.publish("b");
  dial.close(1006);
  expect(rig.durableWakes).toBeGreaterThan(wakes);
});

test("LK9 a shard that failed for a minute is dialled ever less often, and nobody is woken for it sooner", async () => {
  const rig = new DeliveryRig();
  rig.publish("a");
  await rig.dialer.last.refuse();
  const failedAt = rig.clock.now();
  const isGivenUp = (): boolean => rig.clock.now() - failedAt >= 60_000;
  const pauses: number[] = [];
  while (pauses.length < 40) {
    const at = rig.delivery.nextDeadline() ?? 0;
    if (isGivenUp()) pauses.push(at - rig.clock.now());
    rig.publish("more");
    expect(rig.durableAt).toBe(isGivenUp() ? at : undefined);
    rig.passToDeadline();
    expect(rig.durableAt).toBe(isGivenUp() ? rig.clock.now() + 300_000 : undefined);
    await rig.dialer.last.refuse();
  }
  expect(Math.max(...pauses)).toBeGreaterThan(200_000);
  expect(Math.max(...pauses)).toBeLessThanOrEqual(300_000);
  // One that calls is dialled at once, and is like any other when it has taken something.
  const dials = rig.dialer.dials.length;
  rig.delivery.resubscribe("s2");
  expect(rig.dialer.dials).toHaveLength(dials + 1);
  await rig.dialer.last.greet(epoch, 1);
  rig.dialer.last.close(1006);
  expect(rig.durableAt).toBeUndefined();
});

test("LK9 so it is with one that is owed only what may be lost", async () => {
  const rig = new DeliveryRig();
  rig.publishVolatile("x");
  for (let failure = 0; failure < 40; failure += 1) {
    await rig.dialer.last.refuse();
    rig.passToDeadline();
  }
  expect(rig.durableAt).toBe(rig.clock.now() + 300_000);
});

test("DL11 volatile messages wait for a link to open, the newest 64 of them, and are sent once", async () => {
  const rig = new DeliveryRig();
  for (let n = 0; n < 70; n += 1) rig.publishVolatile(`v${n}`);
  await rig.dialer.last.greet(epoch, 0);
  const [frame, ...more] = rig.dialer.last.frames;
  expect(frame).toMatchObject({ type: "batch", after: 0, through: 0 });
  expect(frame?.["entries"]).toEqual(Array.from({ length: 64 }, (_, n) => `v${n + 6}`));
  expect(more).toEqual([]);
  rig.dialer.last.close(1006);
  rig.publish("a");
  rig.passToDeadline();
  await rig.dialer.last.greet(epoch, 0);
  expect(rig.dialer.last.batches).toEqual(["0-1"]);
});

test("SU2 the end of a subscription ends its link, and what is on its way is no link any more", async () => {
  const rig = new DeliveryRig();
  const dial = await rig.open();
  rig.delivery.end();
  expect([dial.frames.at(-1), dial.socket.closedWith]).toEqual([{ type: "bye" }, 1000]);
  const other = new DeliveryRig();
  other.publish("a");
  other.delivery.end();
  await other.dialer.last.accept();
  expect(other.dialer.last.socket.closedWith).toBe(closeCodes.replaced);
});

test("a delivery asks to be woken no later than its deadline", async () => {
  const rig = new DeliveryRig();
  rig.publish("a");
  expect(rig.wakeAt).toBe(rig.delivery.nextDeadline());
  await rig.dialer.last.refuse();
  expect(rig.wakeAt).toBe(rig.delivery.nextDeadline());
});

test("LK2 a shard whose clients publish and that takes no messages is given up all the same", async () => {
  const rig = new DeliveryRig();
  const dial = await rig.open();
  rig.publish("b");
  for (let second = 0; second < 9; second += 1) {
    rig.pass(1_000);
    dial.say({ type: "publish", writes: [{ id: second, message: "up", key: `k${second}` }] });
    dial.ack(epoch, 1);
  }
  expect(dial.socket.closedWith).toBeNull();
  rig.pass(1_000);
  expect(dial.socket.closedWith).toBe(closeCodes.unresponsive);
});

test("DL11, LK7 volatile messages that wait for a link are no more than a frame may hold", async () => {
  const rig = new DeliveryRig();
  const message = "x".repeat(1024 * 1024);
  for (let count = 0; count < 20; count += 1) rig.publishVolatile(`${count} ${message}`);
  await rig.dialer.last.greet(epoch, 0);
  const { frames } = rig.dialer.last;
  expect(frames).toMatchObject([{ type: "batch", volatile: [0] }]);
  expect(JSON.stringify(frames[0]?.["entries"])).toMatch(/^\["19 x/);
});
