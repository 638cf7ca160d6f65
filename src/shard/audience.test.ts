/** What each client of a shard gets, checked against a model that knows only the rules. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { World, type Draft, type ProtocolMember } from "../../test/support/audience-world.ts";
import { closeCodes } from "../protocol/close-codes.ts";
import { behindMs } from "./laggards.ts";

const topics = fc.constantFrom(null, null, "a", "a:x", "a:x:1", "b");
const filterSets = fc.subarray(["a", "a:*", "a:x:*", "b", "*"], { maxLength: 3 });
const units = fc.oneof(
  { weight: 8, arbitrary: fc.constant(6) },
  { weight: 1, arbitrary: fc.constantFrom(9_000, 20_000, 70_000) },
);
const kinds = fc.constantFrom(...(["logged", "logged", "logged", "volatile", "lost"] as const));
const drafts = fc.array(fc.record({ topic: topics, kind: kinds, units }), {
  minLength: 1,
  maxLength: 6,
});
const which = fc.nat(20);
const steps = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(fc.constant("publish" as const), drafts) },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.constant("many" as const), topics, fc.constantFrom(300, 600, 1_100)),
  },
  { weight: 3, arbitrary: fc.tuple(fc.constant("join" as const), filterSets, fc.nat(8)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("plain" as const), filterSets) },
  { weight: 2, arbitrary: fc.tuple(fc.constant("subscribe" as const), which, filterSets) },
  {
    weight: 5,
    arbitrary: fc.tuple(fc.constant("ack" as const), which, fc.integer({ min: 0, max: 4 })),
  },
  { weight: 1, arbitrary: fc.tuple(fc.constant("leave" as const), which) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("hibernate" as const)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("pass" as const), fc.constantFrom(9_000, 30_000)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("reset" as const)) },
);
type Step = typeof steps extends fc.Arbitrary<infer Each> ? Each : never;

function take(world: World, step: Step): void {
  const memberAt = (index: number): ProtocolMember | undefined =>
    world.members[index % Math.max(1, world.members.length)];
  switch (step[0]) {
    case "publish":
      return world.publish(step[1]);
    case "many": {
      return world.publish(Array.from({ length: step[2] }, () => draft(6, step[1])));
    }
    case "join":
      world.join(step[1], step[2]);
      return;
    case "plain":
      return world.joinPlain(step[1]);
    case "subscribe": {
      const member = memberAt(step[1]);
      return member === undefined ? undefined : world.subscribe(member, step[2]);
    }
    case "ack": {
      const member = memberAt(step[1]);
      return member === undefined ? undefined : world.acknowledge(member, step[2]);
    }
    case "leave": {
      const sockets = [
        ...world.plain.map((each) => each.socket),
        ...world.members.map((each) => each.model.socket),
      ];
      const socket = sockets[step[1] % Math.max(1, sockets.length)];
      return socket === undefined ? undefined : world.leave(socket);
    }
    case "hibernate":
      return world.hibernate();
    case "pass":
      return world.pass(step[1]);
    case "reset":
      return world.reset();
  }
}

test("PR4, PR5, PR6, PR7, PR12, PR13, PR15 every client sees exactly what its filters let through, in order, within its window", () => {
  fc.assert(
    fc.property(fc.array(steps, { minLength: 5, maxLength: 60, size: "max" }), (all) => {
      const world = new World();
      for (const step of all) {
        take(world, step);
        world.check();
      }
      expect(new Set(world.lost)).toEqual(new Set(world.late));
    }),
    { numRuns: 250 },
  );
});

function filled(count: number): { world: World; members: ProtocolMember[] } {
  const world = new World();
  const members = Array.from({ length: count }, () => world.join(["*"], 0));
  return { world, members };
}
function draft(size = 6, topic: string | null = null): Draft {
  return { topic, kind: "logged", units: size };
}

test("PR7 stalled clients are sent their window and one frame, and the log they need is bounded", () => {
  const { world, members } = filled(100);
  const busy = world.join([], 0);
  for (let n = 0; n < 1_500; n += 1) {
    world.publish([draft(6_000)]);
    world.acknowledge(busy, 4);
  }
  for (const { model } of members) {
    const sent = model.socket.sent.reduce((sum, frame) => sum + frame.length, 0);
    expect(sent).toBeLessThan((64 + 16) * 1024);
  }
  const frames = world.audience.recent.since(world.audience.recent.start) ?? [];
  const kept = frames.reduce((sum, { frame }) => sum + frame.length, 0);
  expect(kept).toBeLessThan(4.1 * 1024 * 1024);
  expect(busy.model.received).toHaveLength(1_500);
});

test("PR7 a client that needs what the log no longer holds is closed, and may resume", () => {
  const { world, members } = filled(1);
  for (let n = 0; n < 1_500; n += 1) world.publish([draft(6_000)]);
  const [member] = members;
  if (member === undefined) throw new Error("nobody is there");
  member.model.take();
  world.audience.acknowledge(member.client, member.model.position, world.now);
  expect([member.model.socket.closedWith, world.lost]).toEqual([closeCodes.tooSlow, ["c0"]]);
  expect(world.audience.size).toBe(0);
});

test("PR7 the time of who lags runs from when lagging begins until it ends", () => {
  const { world, members } = filled(2);
  const [slow, fast] = members;
  if (slow === undefined || fast === undefined) throw new Error("nobody is there");
  for (let n = 0; n < 20; n += 1) {
    world.publish([draft(6_000)]);
    world.acknowledge(fast, 4);
  }
  expect([world.isLive(slow), world.isLive(fast)]).toEqual([false, true]);
  expect(world.audience.nextDeadline()).toBe(world.now + behindMs);
  world.acknowledge(slow, 4);
  world.acknowledge(slow, 4);
  world.check();
  expect([world.isLive(slow), world.isLive(fast)]).toEqual([true, true]);
  expect(world.audience.nextDeadline()).toBeNull();
});

test("PR7 each of those who lag has its own time", () => {
  const { world, members } = filled(3);
  const [slow, slower, fast] = members;
  if (slow === undefined || slower === undefined || fast === undefined) {
    throw new Error("nobody is there");
  }
  const burst = (keepUp: ProtocolMember[]): void => {
    for (let n = 0; n < 20; n += 1) {
      world.publish([draft(6_000)]);
      for (const member of keepUp) world.acknowledge(member, 4);
    }
  };
  burst([slow, fast]);
  world.pass(10_000);
  burst([fast]);
  const due = world.now + behindMs;
  world.pass(behindMs - 10_000);
  expect([world.late, world.audience.nextDeadline()]).toEqual([[slower.client.id], due]);
  world.pass(9_999);
  expect(world.late).toHaveLength(1);
  world.pass(1);
  expect([world.late[1], world.audience.nextDeadline()]).toEqual([slow.client.id, null]);
});

test("PR12 volatile messages that a client has no room for are lost to it, and count until it acknowledges", () => {
  const { world, members } = filled(2);
  const [slow, fast] = members;
  if (slow === undefined || fast === undefined) throw new Error("nobody is there");
  const volatile: Draft = { topic: null, kind: "volatile", units: 6_000 };
  for (let n = 0; n < 100; n += 1) {
    world.publish([volatile]);
    world.acknowledge(fast, 4);
  }
  world.check();
  expect([slow.model.volatile.length, fast.model.volatile.length]).toEqual([11, 100]);
  // Nothing with a number is owed to it: it does not lag.
  expect([world.isLive(slow), world.audience.nextDeadline()]).toEqual([true, null]);
  world.acknowledge(slow, 4);
  world.publish([volatile]);
  world.check();
  expect(slow.model.volatile).toHaveLength(12);
});

test("PR16 a room overruns its clients when more than half of those that make progress lag", () => {
  const { world, members } = filled(4);
  const isOverrun = (): boolean => world.audience.isOverrun(world.now);
  const flood = (): void => {
    for (let n = 0; n < 20; n += 1) world.publish([draft(6_000)]);
  };
  expect(isOverrun()).toBe(false);
  flood();
  expect([members.filter((each) => world.isLive(each)).length, isOverrun()]).toEqual([0, true]);
  const [one, two] = members;
  for (const each of members.slice(0, 2)) {
    for (let n = 0; n < 4; n += 1) world.acknowledge(each, 4);
    expect(world.isLive(each)).toBe(true);
  }
  expect(isOverrun()).toBe(false);
  if (two !== undefined) world.leave(two.model.socket);
  expect(isOverrun()).toBe(true);
  // The other two have taken nothing for too long, whatever else they say.
  world.pass(1_999);
  expect(isOverrun()).toBe(true);
  world.pass(1);
  expect(isOverrun()).toBe(false);
  for (const each of members.slice(2)) world.acknowledge(each, 1);
  expect(isOverrun()).toBe(false);
  flood();
  expect([one !== undefined && world.isLive(one), isOverrun()]).toEqual([false, true]);
});

test("PR6 topics that nobody wants cost a client nothing but word of its place now and then", () => {
  const { world } = filled(0);
  const member = world.join(["a"], 0);
  for (let n = 0; n < 2_000; n += 1) world.publish([draft(6, "b")]);
  expect(member.model.socket.sent).toHaveLength(4);
  world.check();
  expect(member.model.position).toBe(2_000);
});

test("PR6 they learn their place a few times within history's age, and after the shard has slept", () => {
  const world = new World();
  const member = world.join(["a"], 0);
  const told = (): number => {
    world.check();
    return member.model.socket.sent.length;
  };
  world.publish([draft(6, "b")]);
  world.pass(74_999);
  world.publish([draft(6, "b")]);
  expect(told()).toBe(0);
  world.pass(1);
  world.publish([draft(6, "b"), draft(6, "b")]);
  expect([told(), member.model.position]).toEqual([1, 4]);
  world.publish([draft(6, "b")]);
  world.hibernate();
  world.publish([draft(6, "b")]);
  expect([told(), member.model.position]).toEqual([2, 6]);
});

test("PR6 a message matches a client once, however many of its filters fit", () => {
  const world = new World();
  const member = world.join(["a", "a:*", "a:x:*", "*"], 0);
  world.joinPlain(["a:*", "*"]);
  world.publish([draft(6, "a:x:1")]);
  world.check();
  expect([member.model.received.length, world.plain[0]?.socket.sent.length]).toEqual([1, 1]);
});

test("PR5 clients with the same topics are sent the very same text", () => {
  const world = new World();
  const members = [world.join(["a", "b"], 0), world.join(["b", "a"], 0)];
  world.publish([draft(6, "a"), draft(6, "c")]);
  const [one, other] = members.map(({ model }) => model.socket.sent);
  expect(one).toHaveLength(1);
  expect(one).toEqual(other);
});

test("PR11 what a client was never sent it cannot acknowledge", () => {
  const { world, members } = filled(1);
  world.publish([draft(), draft()]);
  const [member] = members;
  if (member === undefined) throw new Error("nobody is there");
  expect(world.audience.acknowledge(member.client, 3, world.now)).toBe(false);
  expect(world.audience.acknowledge(member.client, 2, world.now)).toBe(true);
  expect(world.audience.acknowledge(member.client, 1, world.now)).toBe(true);
});

test("PR4 who comes back is sent the past only as fast as it acknowledges", () => {
  const { world } = filled(0);
  for (let n = 0; n < 50; n += 1) world.publish([draft(9_000)]);
  const member = world.join(["*"], 50);
  world.check();
  expect(member.model.received.length).toBeGreaterThan(5);
  expect(member.model.received.length).toBeLessThan(10);
  for (let n = 0; n < 12; n += 1) world.acknowledge(member, 4);
  world.check();
  expect(member.model.received).toHaveLength(50);
});
