/** The shard's end of a link, and what outlives the object's memory. */
import { expect, test } from "vitest";
import { lost } from "../../test/support/fake-calls.ts";
import type { FakeLink, FakeSocket } from "../../test/support/fake-socket.ts";
import { epoch, ShardRig } from "../../test/support/shard-rig.ts";
import { turns } from "../../test/support/turns.ts";
import { closeCodes } from "../protocol/close-codes.ts";
import { parseFrameToSequencer } from "../protocol/link.ts";

/** A shard with one client and an open link, whose position is the sequencer's head. */
async function linked(head = 0) {
  const rig = await ShardRig.start();
  rig.head = head;
  const client = await rig.join();
  return { rig, client, link: rig.openLink() };
}

test("LK1 the shard speaks first and says what it has", async () => {
  const { link } = await linked(4);
  expect(link.frames).toEqual([{ type: "hello", position: { epoch, seq: 4 } }]);
});

test("LK1 a shard that subscribes speaks when it knows where it begins, and not of former clients", async () => {
  const rig = await ShardRig.start();
  rig.shard.leave(await rig.join());
  await rig.pass(5_000);
  rig.head = 4;
  const admitted = rig.shard.admit("a");
  const link = rig.openLink();
  const broken = rig.openLink();
  rig.shard.handleLinkClose(broken);
  expect(link.frames).toEqual([]);
  await admitted;
  await turns();
  expect(link.frames).toEqual([{ type: "hello", position: { epoch, seq: 4 } }]);
  expect([broken.frames, broken.closedWith]).toEqual([[], null]);
});

test("LK4 a link that came with a subscription that failed is closed with 4010", async () => {
  const rig = await ShardRig.start();
  rig.ports.calls.answer = () => ({ ok: false, code: "unavailable", detail: "" });
  const admitted = rig.shard.admit("a");
  const link = rig.openLink();
  await admitted;
  await turns();
  expect(link).toMatchObject({ closedWith: closeCodes.noClients, sent: [] });
});

test("LK2 what was sent to the clients is acknowledged, once a batch", async () => {
  const { rig, client, link } = await linked();
  await rig.batch(link, 0, "a", "b");
  await rig.batch(link, 2, "c");
  expect(client.sent).toEqual(["a", "b", "c"]);
  expect(link.frames.slice(1)).toEqual([
    { type: "ack", epoch, seq: 2 },
    { type: "ack", epoch, seq: 3 },
  ]);
});

test("LK4 a shard without clients answers a dial by closing it with code 4010", async () => {
  const rig = await ShardRig.start();
  expect(rig.openLink()).toMatchObject({ closedWith: 4010, sent: [] });
});

test("LK4 a shard whose clients have just left takes the dial, since some may come", async () => {
  const rig = await ShardRig.start();
  rig.shard.leave(await rig.join());
  expect(rig.openLink().closedWith).toBeNull();
  await rig.pass(5_000);
  expect(rig.openLink().closedWith).toBe(4010);
});

test("LK5 a batch that is sent again reaches no client, and is acknowledged", async () => {
  const { rig, client, link } = await linked();
  await rig.batch(link, 0, "a");
  await rig.batch(link, 0, "a");
  expect(client.sent).toEqual(["a"]);
  expect(link.frames.slice(1)).toEqual([
    { type: "ack", epoch, seq: 1 },
    { type: "ack", epoch, seq: 1 },
  ]);
});

/** Clients whose windows are full, and a link on which the last batch is not acknowledged. */
async function overrun(clients: number) {
  const rig = await ShardRig.start();
  const members = [];
  for (let n = 0; n < clients; n += 1) members.push(await rig.joinProtocol());
  const link = rig.openLink();
  await rig.batch(link, 0, "x".repeat(1024 * 1024));
  const acks = (): number[] =>
    link.sent.flatMap((each) => {
      const frame = parseFrameToSequencer(String(each));
      return frame.ok && frame.value.type === "ack" ? frame.value.seq : [];
    });
  return { rig, members, link, acks };
}

test("PR16, LK2 a shard whose clients lag acknowledges once they have caught up", async () => {
  const { rig, members, link, acks } = await overrun(2);
  const [one, other] = members;
  if (one === undefined || other === undefined) throw new Error("nobody is there");
  await rig.batch(link, 1, "b");
  expect([acks(), link.position]).toEqual([[], { epoch, seq: 2 }]);
  for (const each of [one, other]) {
    each.take();
    each.acknowledged(1);
  }
  rig.receive(one, { type: "ack", seq: 1 });
  expect(acks()).toEqual([2]);
  rig.receive(other, { type: "ack", seq: 1 });
  await rig.batch(link, 2, "c");
  expect(acks()).toEqual([2, 3]);
});

test("PR16 it acknowledges when those who lag have left", async () => {
  const { rig, members, acks } = await overrun(1);
  expect(acks()).toEqual([]);
  for (const { socket } of members) rig.shard.leave(socket);
  expect(acks()).toEqual([1]);
});

test("PR16 a hold ends after a second, and clients that take nothing cause no other", async () => {
  const { rig, link, acks } = await overrun(3);
  expect(rig.ports.wakeups.at).toBe(rig.ports.clock.now() + 1_000);
  await rig.pass(999);
  expect(acks()).toEqual([]);
  await rig.passToWake();
  expect(acks()).toEqual([1]);
  await rig.pass(1_000);
  await rig.batch(link, 1, "b");
  await rig.batch(link, 2, "c");
  expect(acks()).toEqual([1, 2, 3]);
});

test("PR16, LK1 a new link says what the shard has, held back or not", async () => {
  const { rig, link, acks } = await overrun(1);
  const next = rig.openLink();
  expect(next.frames).toEqual([{ type: "hello", position: { epoch, seq: 1 } }]);
  await rig.pass(1_000);
  expect([acks(), next.frames.length]).toEqual([[], 1]);
  rig.shard.handleLinkClose(link);
  rig.shard.handleLinkClose(next);
  await rig.pass(1_000);
  expect([acks(), next.frames.length]).toEqual([[], 1]);
});

test("DL3 a batch that does not follow closes the link, and the next one begins with what is there", async () => {
  const { rig, client, link } = await linked();
  await rig.batch(link, 0, "a");
  await rig.batch(link, 2, "c");
  expect([client.sent, link.closedWith]).toEqual([["a"], closeCodes.outOfOrder]);
  expect(rig.openLink().frames).toEqual([{ type: "hello", position: { epoch, seq: 1 } }]);
});

test.each(
  ["{", '{"type":"ack","epoch":"e1","seq":1}', ".{}", "[]", "+", "."].map((text) => [text]),
)("LK6 the malformed frame %j closes its link, is counted, and loses nothing", async (text) => {
  const { rig, client, link } = await linked();
  await rig.batch(link, 0, "a");
  await rig.shard.handleLinkMessage(link, text);
  if (text === "+") await rig.batch(link, 1, "b");
  expect(link.closedWith).toBe(closeCodes.malformedFrame);
  await rig.batch(link, 1, "b");
  const next = rig.openLink();
  await rig.batch(next, 1, "b");
  expect(client.sent).toEqual(["a", "b"]);
  await rig.pass(1_000);
  expect(rig.ports.calls.of("report").at(-1)?.counters).toEqual({ malformed_link_frames: 1 });
});

test("LK7 a batch in parts is taken when it is whole", async () => {
  const { rig, client, link } = await linked();
  const numbers = { after: 0, through: 1, at: 7 };
  const frame = JSON.stringify({ type: "batch", epoch, ...numbers, entries: ["abc"] });
  await rig.shard.handleLinkMessage(link, `+${frame.slice(0, 20)}`);
  expect(client.sent).toEqual([]);
  await rig.shard.handleLinkMessage(link, `.${frame.slice(20)}`);
  expect(client.sent).toEqual(["abc"]);
});

test("LK1 a newer link takes the place of an older one, which then counts no more", async () => {
  const { rig, client, link } = await linked();
  const newer = rig.openLink();
  expect(link.closedWith).toBe(closeCodes.replaced);
  await rig.batch(link, 0, "old");
  rig.shard.handleLinkClose(link);
  await rig.batch(newer, 0, "new");
  expect(client.sent).toEqual(["new"]);
  await rig.pass(1_000);
  expect(rig.ports.calls.of("subscribe")).toHaveLength(1);
});

test("DL8 a shard that is reset closes its clients, which come back", async () => {
  const { rig, client, link } = await linked();
  await rig.batch(link, 0, "a");
  await rig.say(link, { type: "reset", epoch, seq: 9 });
  expect([client.closedWith, rig.shard.connections]).toEqual([closeCodes.continuityLost, 0]);
  expect(link.frames.at(-1)).toEqual({ type: "ack", epoch, seq: 9 });
  const back = await rig.join();
  await rig.batch(link, 9, "j");
  expect(back.sent).toEqual(["j"]);
  await rig.pass(1_000);
  expect(rig.ports.calls.of("report").at(-1)).toMatchObject({
    connections: 1,
    counters: { continuity_lost: 1 },
  });
});

test("SU2, DL8 a shard whose clients do not come back after a reset unsubscribes", async () => {
  const { rig, link } = await linked();
  await rig.say(link, { type: "reset", epoch, seq: 9 });
  await rig.pass(4_999);
  expect(rig.ports.calls.of("unsubscribe")).toEqual([]);
  await rig.pass(1);
  expect(rig.ports.calls.of("unsubscribe")).toHaveLength(1);
});

test("RC2 frames are taken one after the other, also when the room class takes its time", async () => {
  const turn = Promise.withResolvers<void>();
  const rig = await ShardRig.start({
    onBroadcast: async ({ data }) => {
      if (data === "slow") await turn.promise;
      return data;
    },
  });
  const client = await rig.join();
  const link = rig.openLink();
  void rig.batch(link, 0, "slow");
  void rig.batch(link, 1, "fast");
  await turns();
  expect([client.sent, link.frames.length]).toEqual([[], 1]);
  turn.resolve();
  await turns();
  expect(client.sent).toEqual(["slow", "fast"]);
  expect(link.frames.slice(1)).toMatchObject([{ seq: 1 }, { seq: 2 }]);
});

/** A shard whose room class is at work on message 1 until it is let go. */
async function working() {
  const { promise, resolve } = Promise.withResolvers<string>();
  const rig = await ShardRig.start({ onBroadcast: () => promise });
  const client = await rig.join();
  const link = rig.openLink();
  void rig.batch(link, 0, "a");
  const letGo = async (): Promise<void> => {
    resolve("A");
    await turns();
  };
  return { rig, client, link, letGo };
}

test("RC2, RC7 what clients got after their link ended is not sent to them again", async () => {
  const { rig, client, link, letGo } = await working();
  rig.shard.handleLinkClose(link);
  await letGo();
  const woken = await wakeAgain(rig, [client], []);
  expect([client.sent, woken.openLink().position]).toEqual([["A"], { epoch, seq: 1 }]);
});

test("RC2, RC7 nor what they got after a newer link took over", async () => {
  const { rig, client, link, letGo } = await working();
  const newer = rig.openLink();
  await letGo();
  expect([client.sent, newer.position, link.frames.length]).toEqual([["A"], { epoch, seq: 1 }, 1]);
});

/** The same object's next life, in which its sockets are still open. */
async function wakeAgain(rig: ShardRig, clients: FakeSocket[], links: FakeLink[]) {
  await turns();
  const ports = { ...rig.ports, storage: rig.ports.storage.restart() };
  return ShardRig.start({ ports, clients, links });
}

test("RC7 a shard that slept goes on with its link where it was", async () => {
  const { rig, client, link } = await linked();
  await rig.batch(link, 0, "a", "b");
  const woken = await wakeAgain(rig, [client], [link]);
  await woken.batch(link, 0, "a", "b", "c");
  expect(client.sent).toEqual(["a", "b", "c"]);
});

test("RC7 a shard that slept after its link ended has kept what its clients have", async () => {
  const { rig, client, link } = await linked();
  await rig.batch(link, 0, "a", "b");
  await rig.say(link, { type: "bye" });
  rig.shard.handleLinkClose(link);
  const woken = await wakeAgain(rig, [client], []);
  const next = woken.openLink();
  expect(next.frames).toEqual([{ type: "hello", position: { epoch, seq: 2 } }]);
  await woken.batch(next, 1, "b", "c");
  expect(client.sent).toEqual(["a", "b", "c"]);
});

test("RC7, SU4 a link that broke while the shard slept is renewed with what it had", async () => {
  const { rig, client, link } = await linked();
  await rig.batch(link, 0, "a", "b");
  const woken = await wakeAgain(rig, [client], []);
  woken.shard.handleLinkClose(link);
  await woken.pass(400);
  expect(woken.ports.calls.of("subscribe").at(-1)?.position).toEqual({ epoch, seq: 2 });
});

test("SU2 a shard that slept with clients knows its subscription, and ends it when they leave", async () => {
  const { rig, client } = await linked();
  const woken = await wakeAgain(rig, [client], []);
  woken.shard.leave(client);
  await woken.pass(5_000);
  expect(woken.ports.calls.of("unsubscribe")).toMatchObject([{ subscription: "s1" }]);
});

test("SU1 a shard that wakes without clients begins anew", async () => {
  const { rig } = await linked();
  const woken = await wakeAgain(rig, [], []);
  expect(woken.openLink().closedWith).toBe(4010);
  await woken.join();
  expect(woken.ports.calls.of("subscribe")).toHaveLength(2);
});

test("SU2, LK4 a shard that could not unsubscribe closes a link that still brings messages", async () => {
  const { rig, client, link } = await linked();
  rig.ports.calls.answer = () => lost;
  rig.shard.leave(client);
  await rig.batch(link, 0, "a");
  await rig.pass(5_000);
  expect(link.closedWith).toBeNull();
  await rig.batch(link, 1, "b");
  expect(link.closedWith).toBe(closeCodes.noClients);
  rig.shard.handleLinkClose(link);
  rig.ports.calls.answer = (call) => rig.answer(call);
  rig.head = 2;
  await rig.join();
  expect(rig.openLink().frames).toEqual([{ type: "hello", position: { epoch, seq: 2 } }]);
});
