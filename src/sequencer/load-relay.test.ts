import { expect, test } from "vitest";
import { DeliveryRig } from "../../test/support/delivery-rig.ts";
import { FakeCalls, lost, type Answer } from "../../test/support/fake-calls.ts";
import { FakeClock } from "../../test/support/fake-clock.ts";
import { FakeEntropy } from "../../test/support/fake-entropy.ts";
import { SequencerRig } from "../../test/support/sequencer-rig.ts";
import { turns } from "../../test/support/turns.ts";
import type { ShardId } from "../protocol/names.ts";
import { LoadRelay } from "./load-relay.ts";

const taken = (again: readonly string[] = []): Answer => ({ ok: true, value: { again } });

function relayOf() {
  const clock = new FakeClock();
  const calls = new FakeCalls(() => taken());
  const entropy = new FakeEntropy();
  const relay = new LoadRelay({ clock, entropy, calls, registry: "default", wakeAt: () => {} });
  const say = (shard: number, connections: number): void =>
    relay.take(`lobby-${shard}` as ShardId, {
      type: "load",
      connections,
      reserved: 0,
      at: clock.now(),
    });
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms);
    relay.wake(clock.now());
    await turns();
  };
  const told = (): string[][] =>
    calls
      .of("reports")
      .map(({ loads }) => loads.map(({ shard, connections }) => `${shard} ${connections}`));
  return { clock, calls, relay, say, pass, told };
}

test("RG4 loads of many shards are told by at most two calls a second, the newest of each", async () => {
  const { say, pass, told } = relayOf();
  for (let tenth = 1; tenth <= 20; tenth += 1) {
    for (let shard = 1; shard <= 100; shard += 1) say(shard, tenth);
    await pass(100);
  }
  expect(told().length).toBeGreaterThanOrEqual(4);
  expect(told().length).toBeLessThanOrEqual(5);
  await pass(500);
  expect(told().at(-1)).toHaveLength(100);
  expect(told().at(-1)?.[99]).toBe("lobby-100 20");
});

test("RG4 what the registry was not told is told again, unless it is newer by then", async () => {
  const { calls, clock, relay, say, pass, told } = relayOf();
  calls.answer = () => lost;
  say(1, 5);
  say(2, 6);
  await pass(0);
  say(1, 7);
  calls.answer = () => taken(["lobby-2"]);
  const wait = (): number => (relay.nextDeadline() ?? 0) - clock.now();
  await pass(wait());
  expect(told().at(-1)?.toSorted()).toEqual(["lobby-1 7", "lobby-2 6"]);
  calls.answer = () => taken();
  await pass(wait());
  expect(told().at(-1)).toEqual(["lobby-2 6"]);
  expect(relay.nextDeadline()).toBeNull();
});

test("RG4 nothing more is asked of a registry while it has not answered", async () => {
  const { calls, relay, say, pass, told } = relayOf();
  const answer = Promise.withResolvers<Answer>();
  calls.answer = () => answer.promise;
  say(1, 1);
  await pass(0);
  say(1, 2);
  await pass(10_000);
  expect([told().length, relay.nextDeadline()]).toEqual([1, null]);
  answer.resolve(taken());
  await turns();
  await pass(0);
  expect(told()).toEqual([["lobby-1 1"], ["lobby-1 2"]]);
});

test("RG4 a shard that tells its load and takes no messages is given up all the same", async () => {
  const rig = new DeliveryRig();
  const dial = await rig.open();
  rig.publish("b");
  for (let second = 0; second < 9; second += 1) {
    rig.pass(1_000);
    dial.say({ type: "load", connections: second, reserved: 0, at: second });
  }
  expect([rig.loads.at(-1), dial.socket.closedWith]).toEqual(["lobby-1 8", null]);
  rig.pass(1_000);
  expect(dial.socket.closedWith).toBe(4012);
});

test("RG4, LK6 a load that comes before the shard has said what it has is malformed", async () => {
  const rig = new DeliveryRig();
  rig.publish("a");
  await rig.dialer.last.accept();
  rig.dialer.last.say({ type: "load", connections: 1, reserved: 0, at: 1 });
  expect([rig.loads, rig.dialer.last.socket.closedWith]).toEqual([[], 4500]);
  expect(rig.counted).toEqual(["malformed_link_frames"]);
});

test("RG4 the room's registry is told of all its shards at once", async () => {
  const room = await SequencerRig.start({ shards: 2 });
  for (const shard of [1, 2]) await room.subscribe(shard);
  await room.publish("first");
  for (const shard of [1, 2]) {
    const { epoch: life } = await room.status();
    await room.dialOf(shard).greet(life, 0);
    room.dialOf(shard).say({ type: "load", connections: shard, reserved: 0, at: 7 });
  }
  await room.pass(0);
  const loads = [1, 2].map((shard) => {
    return { shard: `lobby-${shard}`, connections: shard, reserved: 0, at: 7 };
  });
  expect(room.ports.calls.of("reports")).toEqual([{ type: "reports", room: "lobby", loads }]);
});
