/** Clients of protocol 1 across the ends of objects: eviction, and crashes of shards and sequencers. */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { TestRoom } from "../contract/test-room.ts";
import { kill } from "./objects.ts";
import { workersHost } from "./workers-host.ts";

const host = workersHost("the shipped app", undefined);
const ndjson = { "content-type": "application/x-ndjson" };

/** A room of one shard, and the ends of its objects. */
function makeRoom() {
  const room = new TestRoom(host, "game");
  const shard = () => env.Main.getByName(`${room.id}-1`);
  return {
    room,
    shard,
    evictShard: () => evictDurableObject(shard()),
    killShard: () => kill(shard()),
    killSequencer: () => kill(env.Router.getByName(room.id)),
  };
}

test("PR15, PR5 the frame after a shard's sleep follows on the one before", async () => {
  const { room, evictShard } = makeRoom();
  const clients = await room.speakMany(3);
  const plain = await room.join();
  const texts = ["1", "2", "3", "4", "5", "6"];
  for (const [index, text] of texts.entries()) {
    await room.deliver(text);
    if (index % 2 === 1) await evictShard();
  }
  for (const client of clients) {
    expect(await client.messagesThrough(6)).toEqual(texts.map((text, index) => [index + 1, text]));
    expect(client.frames.filter(({ type }) => type === "welcome")).toHaveLength(1);
  }
  expect(await plain.received(6)).toEqual(texts);
});

test("PR15, PR6 topics outlive a shard's sleep, those of the query and those changed since", async () => {
  const { room, evictShard } = makeRoom();
  const fromQuery = await room.speak("topics=a");
  const changed = await room.speak("topics=a");
  const emptied = await room.speak("topics=a");
  const plain = await room.join("topics=a");
  changed.subscribe("b", "c:*");
  emptied.subscribe();
  await Promise.all([changed.settled(), emptied.settled()]);
  await room.deliver("1 a", { query: "topic=a" });
  await evictShard();
  await room.deliver("2 a", { query: "topic=a" });
  await room.deliver("3 b", { query: "topic=b" });
  await evictShard();
  await room.deliver("4 c", { query: "topic=c:1" });
  await room.deliver("5 all");
  expect(await fromQuery.messagesThrough(5)).toEqual([
    [1, "1 a"],
    [2, "2 a"],
    [5, "5 all"],
  ]);
  expect(await changed.messagesThrough(5)).toEqual([
    [3, "3 b"],
    [4, "4 c"],
    [5, "5 all"],
  ]);
  expect(await emptied.messagesThrough(5)).toEqual([[5, "5 all"]]);
  expect(await plain.receivedThrough("5 all")).toEqual(["1 a", "2 a", "5 all"]);
});

test("PR15, PR6 topics are changed by the frame that wakes the shard", async () => {
  const { room, evictShard } = makeRoom();
  const client = await room.speak("topics=a");
  await room.deliver("1 b", { query: "topic=b" });
  await evictShard();
  client.subscribe("b");
  await client.settled();
  await evictShard();
  await room.deliver("2 a", { query: "topic=a" });
  await room.deliver("3 b", { query: "topic=b" });
  expect(await client.messagesThrough(3)).toEqual([[3, "3 b"]]);
});

test("PR15 topics are those of the newest connection with an id, not of one that crashed", async () => {
  const { room, evictShard, killShard } = makeRoom();
  const former = await room.speak("_pk=me&topics=a");
  former.subscribe("b");
  await former.settled();
  await killShard();
  await former.closed();
  const client = await room.speak("_pk=me&topics=c");
  await evictShard();
  await room.deliver("1 b", { query: "topic=b" });
  await room.deliver("2 c", { query: "topic=c" });
  expect(await client.messagesThrough(2)).toEqual([[2, "2 c"]]);
});

test("PR15 topics of a connection outlive the late end of another one with its id", async () => {
  const { room, evictShard } = makeRoom();
  const former = await room.speak("_pk=me&topics=a");
  former.subscribe("x");
  await former.settled();
  const client = await room.speak("_pk=me&topics=a");
  client.subscribe("b");
  await client.settled();
  former.close();
  await former.closed();
  // The shard has dealt with that when it says so.
  expect(await room.status()).toMatchObject({ connections: 1 });
  await evictShard();
  await room.deliver("1 a", { query: "topic=a" });
  await room.deliver("2 b", { query: "topic=b" });
  expect(await client.messagesThrough(2)).toEqual([[2, "2 b"]]);
});

test("PR2, PR15 a client comes back to a shard that has slept since", async () => {
  const { room, evictShard } = makeRoom();
  const stayed = await room.speak();
  const client = await room.speak();
  for (const text of ["1", "2", "3"]) await room.deliver(text);
  await client.messagesThrough(3);
  const { epoch } = await client.welcome();
  client.close();
  await client.closed();
  await room.deliver("4");
  await evictShard();
  const back = await room.speak(`epoch=${epoch}&since=3`);
  await evictShard();
  await room.deliver("5");
  const again = await room.speak(`epoch=${epoch}&since=1`);
  await room.deliver("6");
  const all = [1, 2, 3, 4, 5, 6].map((number) => [number, String(number)]);
  expect(await stayed.messagesThrough(6)).toEqual(all);
  expect(await back.messagesThrough(6)).toEqual(all.slice(3));
  expect(await again.messagesThrough(6)).toEqual(all.slice(1));
  for (const each of [back, again]) expect(await each.welcome()).toMatchObject({ recovered: true });
});

test("PR2, DL6 a client comes back while the sequencer is dead", async () => {
  const { room, killSequencer } = makeRoom();
  const client = await room.speak();
  const { epoch } = await client.welcome();
  for (const text of ["1", "2", "3"]) await room.deliver(text);
  await client.messagesThrough(3);
  await killSequencer();
  const here = await room.speak(`epoch=${epoch}&since=1`);
  await killSequencer();
  await room.deliver("4");
  for (const each of [client, here]) await each.messagesThrough(4);
  expect(here.messages.map(([seq]) => seq)).toEqual([2, 3, 4]);
  expect(client.messages.map(([seq]) => seq)).toEqual([1, 2, 3, 4]);
});

test("PR2, DL6 a client comes back to a fresh shard right after the sequencer died", async () => {
  const room = new TestRoom(host, "wide");
  const client = await room.speak();
  const { epoch, shard } = await client.welcome();
  await room.deliver("1\n2\n3", { headers: ndjson });
  await kill(env.Router.getByName(room.id));
  const back = await room.speakElsewhere(shard, `epoch=${epoch}&since=1`);
  expect(await back.welcome()).toMatchObject({ seq: 1, recovered: true });
  await room.deliver("4");
  expect(await back.messagesThrough(4)).toEqual([
    [2, "2"],
    [3, "3"],
    [4, "4"],
  ]);
  expect(await client.messagesThrough(4)).toHaveLength(4);
});

test("PR2, SU1 clients of a shard that died come back and miss nothing", async () => {
  const room = new TestRoom(host, "wide");
  const clients = await room.speakMany(20);
  await room.deliver("1");
  await Promise.all(clients.map((client) => client.messagesThrough(1)));
  await kill(env.Main.getByName(`${room.id}-1`));
  await room.deliver("2");
  const shards = await Promise.all(clients.map(async (client) => (await client.welcome()).shard));
  const lost = clients.filter((_, index) => shards[index] === `${room.id}-1`);
  expect(lost).toHaveLength(2);
  const back = await Promise.all(
    lost.map(async (client) => {
      await client.closed();
      return room.speak(client.resume);
    }),
  );
  await room.deliver("3");
  for (const [index, client] of back.entries()) {
    const before = lost[index]?.messages ?? [];
    await client.messagesThrough(3);
    expect([...before, ...client.messages].map(([seq]) => seq)).toEqual([1, 2, 3]);
  }
});

test("PR2, PR3 objects that lost their memory all at once still know a position from a stranger's", async () => {
  const { room, evictShard, killSequencer } = makeRoom();
  const stayed = await room.speak();
  const { epoch } = await room.deliver("1\n2\n3", { headers: ndjson });
  await Promise.all([killSequencer(), evictShard()]);
  const welcomes = await Promise.all(
    [`${epoch}&since=2`, `${epoch}&since=4`, "another&since=2"].map(async (position) => {
      const { seq, recovered } = await (await room.speak(`epoch=${position}`)).welcome();
      return [seq, recovered];
    }),
  );
  expect(welcomes).toEqual([
    [2, true],
    [3, false],
    [3, false],
  ]);
  await room.deliver("4");
  expect(await stayed.messagesThrough(4)).toHaveLength(4);
});

test("PR7, PR15 a client that has caught up again stays when the shard sleeps", async () => {
  const { room, evictShard } = makeRoom();
  const client = await room.speak();
  for (let times = 0; times < 8; times += 1)
    await room.deliver("x\n".repeat(2_500), { headers: ndjson });
  await client.settled();
  expect(client.position).toBeLessThan(20_000);
  await client.takeThrough(20_000);
  client.ack();
  await client.settled();
  await evictShard();
  await room.deliver("after");
  expect((await client.messagesThrough(20_001)).at(-1)).toEqual([20_001, "after"]);
});

test("PR11, PR15 an acknowledgement of what came before the shard's sleep is taken", async () => {
  const { room, evictShard } = makeRoom();
  const client = await room.speak();
  const hasty = await room.speak();
  await room.deliver("1\n2\n3", { headers: ndjson });
  await Promise.all([client.messagesThrough(3), hasty.messagesThrough(3)]);
  await evictShard();
  for (const seq of [2, 3, 0]) client.send({ type: "ack", seq });
  await client.settled();
  await room.deliver("4");
  hasty.send({ type: "ack", seq: 5 });
  expect(await hasty.closed()).toMatchObject({ code: 4500 });
  await room.deliver("5");
  expect((await client.messagesThrough(5)).at(-1)).toEqual([5, "5"]);
});

test("PR13, PR3 a room that lost everything resets its clients, and knows no position of its former life", async () => {
  const room = new TestRoom(host);
  const client = await room.speak();
  const plain = await room.join();
  const former = await room.deliver("1\n2", { headers: ndjson });
  await client.messagesThrough(2);
  await runInDurableObject(env.Router.getByName(room.id), (_, state) => state.storage.deleteAll());
  await kill(env.Router.getByName(room.id));
  const { epoch } = await room.publish("one");
  expect(epoch > former.epoch).toBe(true);
  const { reason } = await client.receivedOf("reset");
  expect(await plain.closed()).toMatchObject({ code: 4001 });
  await room.deliver("two");
  await client.messagesThrough(2);
  expect(client.frames.slice(-3)).toEqual([
    { type: "reset", epoch, seq: 0, reason },
    { type: "messages", after: 0, through: 1, data: ["one"] },
    { type: "messages", after: 1, through: 2, data: ["two"] },
  ]);
  for (const since of [0, 1, 2]) {
    const back = await room.speak(`epoch=${former.epoch}&since=${since}`);
    expect(await back.welcome()).toMatchObject({ epoch, seq: 2, recovered: false });
  }
  client.ack();
  await client.settled();
  const back = await room.speak(`epoch=${epoch}&since=0`);
  expect(await back.messagesThrough(2)).toEqual([
    [1, "one"],
    [2, "two"],
  ]);
});
