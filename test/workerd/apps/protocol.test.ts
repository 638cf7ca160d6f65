/** Protocol 1 inside the runtime, with the test app's room classes. */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, onTestFinished, test, vi } from "vitest";
import { TestRoom } from "../../contract/test-room.ts";
import type { ProtocolSocket } from "../../support/protocol-socket.ts";
import { kill } from "../objects.ts";
import { workersHost } from "../workers-host.ts";

const host = workersHost("the test app", undefined);

/** The object of the shard that the client is on. */
async function shardOf(client: ProtocolSocket) {
  return env.Main.getByName((await client.welcome()).shard);
}

/** Whether the shard has an open link, over which it would publish. */
function hasLink(shard: DurableObjectStub): Promise<boolean> {
  return runInDurableObject(shard, (_, state) => state.getWebSockets("~link").length > 0);
}

/** How many of the shard's sockets the platform has answered a ping for. */
function answeredByPlatform(shard: DurableObjectStub): Promise<number> {
  return runInDurableObject(shard, (_, state) => {
    const times = state
      .getWebSockets()
      .map((each) => state.getWebSocketAutoResponseTimestamp(each));
    return times.filter((time) => time !== null).length;
  });
}

test("PR9, PR15 a shard that slept still sends local frames to those who speak the protocol", async () => {
  const room = new TestRoom(host, "single");
  const client = await room.speak();
  const before = await client.ask("life");
  await evictDurableObject(await shardOf(client));
  expect(await client.ask("life")).not.toBe(before);
  await evictDurableObject(await shardOf(client));
  client.send({ type: "send", data: "tell all of you" });
  expect(await client.receivedOf("local", ({ data }) => data === "all of you")).toBeDefined();
  await room.deliver("one");
  expect(await client.messagesThrough(1)).toEqual([[1, "one"]]);
});

test("PR7 a client that does not acknowledge is closed with 4005 after thirty seconds", async () => {
  const room = new TestRoom(host, "game");
  const [slow, other] = [await room.speak(), await room.speak()];
  for (const seq of [1, 2, 3]) {
    await room.deliver("x".repeat(600_000));
    await other.messagesThrough(seq);
    other.ack();
  }
  await slow.settled();
  expect([slow.position, other.position]).toEqual([2, 3]);
  let closings = 0;
  const closing = slow.closed().finally(() => (closings += 1));
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 29_000 });
  onTestFinished(() => void vi.useRealTimers());
  await slow.settled();
  expect(closings).toBe(0);
  vi.setSystemTime(Date.now() + 1_000);
  // Whatever reaches the shard, it finds that time has passed.
  other.ack();
  expect(await closing).toMatchObject({ code: 4005 });
  vi.useRealTimers();
  await room.deliver("last");
  expect((await other.messagesThrough(4)).at(-1)).toEqual([4, "last"]);
});

test("PR10, PR15 the platform answers pings of a shard where all speak the protocol, awake or not", async () => {
  const room = new TestRoom(host, "talking");
  const client = await room.speak();
  const shard = await shardOf(client);
  await client.pong();
  expect(await answeredByPlatform(shard)).toBe(1);
  await evictDurableObject(shard);
  await client.pong();
  // Woken by this question, the object finds the time of an answer that it did not give.
  expect(await answeredByPlatform(shard)).toBe(1);
  await room.deliver("one");
  expect(await client.messagesThrough(1)).toEqual([[1, "one"]]);
});

test("PR10, RC5 when those who spoke the protocol have left, a ping is for the class again", async () => {
  const room = new TestRoom(host, "game");
  const client = await room.speak();
  const shard = await shardOf(client);
  await client.pong();
  await evictDurableObject(shard);
  client.close();
  await client.closed();
  expect(await room.status()).toMatchObject({ connections: 0 });
  const [one, other] = [await room.join(), await room.join()];
  one.send("ping");
  expect(await other.received(1)).toEqual(["ping"]);
  expect(one.frames).toEqual([]);
  expect(await answeredByPlatform(shard)).toBe(0);
});

test("PR10, RC5 with a plain socket there, no ping is the platform's, also after the shard slept", async () => {
  const room = new TestRoom(host, "game");
  const client = await room.speak();
  const shard = await shardOf(client);
  const plain = await room.join();
  await evictDurableObject(shard);
  plain.send("ping");
  expect(await client.receivedOf("local")).toEqual({ type: "local", data: "ping" });
  await client.pong();
  expect(await answeredByPlatform(shard)).toBe(0);
  expect(plain.frames).toEqual([]);
});

test("PR8 a publish goes by a call while there is no link, and by the link when there is one", async () => {
  const room = new TestRoom(host, "open");
  const client = await room.speak();
  const shard = await shardOf(client);
  expect(await hasLink(shard)).toBe(false);
  expect(await client.publish("by call", "one")).toMatchObject({ type: "published", seq: 1 });
  await client.messagesThrough(1);
  expect(await hasLink(shard)).toBe(true);
  expect(await client.publish("by link", "two")).toMatchObject({ type: "published", seq: 2 });
  expect(await client.publish("by call", "one")).toMatchObject({ type: "published", seq: 1 });
  expect(await client.publish("by call", "other")).toMatchObject({
    type: "rejected",
    problem: { type: "urn:partyshard:problem:idempotency-key-reused" },
  });
  expect(await client.messagesThrough(2)).toEqual([
    [1, "one"],
    [2, "two"],
  ]);
});

test("PR8, PR15 a publish wakes a shard that slept, and is answered", async () => {
  const room = new TestRoom(host, "open");
  const client = await room.speak();
  const shard = await shardOf(client);
  await room.deliver("one");
  for (const [index, text] of ["two", "three"].entries()) {
    await evictDurableObject(shard);
    expect(await client.publish(text, text)).toMatchObject({ type: "published", seq: index + 2 });
  }
  expect(await client.messagesThrough(3)).toEqual([
    [1, "one"],
    [2, "two"],
    [3, "three"],
  ]);
});

test("PR8, DL4 publishes that are on their way when the sequencer dies have one effect each", async () => {
  const room = new TestRoom(host, "open");
  const clients = await room.speakMany(2);
  await room.deliver("opens the links");
  const texts = Array.from({ length: 40 }, (_, index) => String(index));
  const publish = (text: string, index: number) => clients[index % 2]?.publish(text, text);
  const before = texts.slice(0, 20).map(publish);
  await kill(env.Router.getByName(room.id));
  const answers = await Promise.all([...before, ...texts.slice(20).map(publish)]);
  for (const answer of answers) expect(answer).toMatchObject({ type: "published" });
  const { seq } = await room.deliver("end");
  expect(seq).toBe(42);
  const [one, other] = await Promise.all(clients.map((client) => client.messagesThrough(seq)));
  expect(one).toEqual(other);
  expect(one).toHaveLength(seq);
  const published = new Set(["opens the links", ...texts, "end"]);
  expect(new Set(one?.map(([, data]) => data))).toEqual(published);
});
