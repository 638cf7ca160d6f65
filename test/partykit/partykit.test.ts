/** Real PartySocket clients of a real `partykit dev`: what they notice of resets and restarts. */
import { once } from "node:events";
import { request } from "node:http";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import { TestRoom } from "../contract/test-room.ts";
import { startPartykitDev, type PartykitDev } from "../support/partykit-dev.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { PartyClient } from "../support/party-client.ts";
import { partykitHost } from "./partykit-host.ts";

const config = "test/support/apps/partykit/partykit.json";
const storage = temporaryDirectory();
const host = partykitHost("the test app", undefined, () => running().port);
let server: PartykitDev | undefined;

/**
 * The platform evicts an object that has been idle for ten seconds, and nothing tells when it has;
 * the link before that is hung up after five. Nobody may ask a shard anything meanwhile.
 */
const asleepAfterMs = 18_000;

beforeAll(async () => {
  server = await startPartykitDev({ config, persist: storage.path });
});

afterAll(async () => {
  await server?.stop();
  storage.remove();
});

function running(): PartykitDev {
  if (server === undefined) throw new Error("the server has not started");
  return server;
}

/** The whole process group dies, and another one starts on its port and storage. */
async function crashAndRestart(): Promise<void> {
  const { port, kill } = running();
  await kill();
  server = await startPartykitDev({ config, persist: storage.path, port });
}

async function join(room: TestRoom, ownWebSocket?: unknown): Promise<PartyClient> {
  const client = await PartyClient.join(running().port, room.id, ownWebSocket);
  onTestFinished(() => client.close());
  return client;
}

/** `0`, `1`, … `count - 1`, as messages. */
function numbers(count: number): string[] {
  return Array.from({ length: count }, (_, index) => String(index));
}

test("RC1, DL1 unmodified PartySocket clients get every message, in one order", async () => {
  const room = new TestRoom(host);
  const clients = await Promise.all([
    ...Array.from({ length: 10 }, () => join(room)),
    ...Array.from({ length: 10 }, () => join(room, WebSocket)),
  ]);
  expect(await room.status()).toMatchObject({ connections: 20 });
  await Promise.all(numbers(50).map((text) => room.publish(text)));
  await room.deliver("end");
  const [first] = clients;
  const order = (await first?.receivedThrough("end")) ?? [];
  expect(order.toSorted()).toEqual([...numbers(50), "end"].toSorted());
  for (const client of clients) {
    expect(await client.receivedThrough("end")).toEqual(order);
    expect(client.opens).toBe(1);
  }
});

test("DL3, LK2 a shard that is reset in the middle costs the clients of other shards nothing", async () => {
  const room = new TestRoom(host, "wide");
  const clients = await Promise.all(Array.from({ length: 20 }, () => join(room)));
  const places = await Promise.all(clients.map((client) => client.ask("where")));
  const victim = clients[0];
  const victims = clients.filter((_, index) => places[index] === places[0]);
  expect(new Set(places).size).toBe(10);

  const texts = numbers(200);
  for (let index = 0; index < texts.length; index += 4) {
    if (index === 100) victim?.send("crash");
    // Four in flight; their order among themselves is the room's to choose.
    await Promise.all(texts.slice(index, index + 4).map((text) => room.publish(text)));
  }
  await Promise.all(victims.map((client) => client.opened(2)));
  await room.publish("back");
  await room.deliver("end");

  const others = clients.filter((client) => !victims.includes(client));
  const order = (await others[0]?.receivedThrough("end"))?.slice(1) ?? [];
  expect(order.toSorted()).toEqual([...texts, "back", "end"].toSorted());
  for (const client of others) {
    expect((await client.receivedThrough("end")).slice(1)).toEqual(order);
    expect(client.opens).toBe(1);
  }
  for (const client of victims) {
    await client.receivedThrough("end");
    const followed = client.messagesSinceOpen;
    expect(followed.slice(-2)).toEqual(["back", "end"]);
    // From the moment it is back nothing is missing and nothing is repeated.
    expect(followed).toEqual(order.slice(order.length - followed.length));
    const heard = client.messages.slice(1, client.messages.length - followed.length);
    expect(heard).toEqual(order.slice(0, heard.length));
  }
  expect(await room.status()).toMatchObject({ seq: 202, connections: 20 });
});

test("DL6, SU4, DL3 a sequencer that is reset goes on with what it owes, once", async () => {
  const room = new TestRoom(host, "waiting");
  const client = await join(room);
  const headers = { "idempotency-key": "first" };
  const before = await room.publish("wait", { headers });
  expect(before.shards).toEqual({ delivered: 0, pending: 1 });
  await room.publish("b");
  const started = `sequencer of ${room.id} started`;
  expect(running().timesPrinted(started)).toBe(1);
  client.send("crash the sequencer");
  await running().printed(started, 2);
  const repeated = await room.publish("wait", { headers });
  expect(repeated).toMatchObject({ epoch: before.epoch, seq: 1 });
  client.send("go");
  expect(await client.receivedThrough("b")).toEqual(["wait", "b"]);
  const after = await room.deliver("c");
  expect(after).toMatchObject({ epoch: before.epoch, seq: 3, shards: { delivered: 1 } });
  expect(await client.receivedThrough("c")).toEqual(["wait", "b", "c"]);
  expect(client.opens).toBe(1);
});

test("PR7, PR2 a client that takes nothing for 30 seconds is closed with 4005, alone, and resumes", async () => {
  const room = new TestRoom(host, "game");
  const slow = await room.speak();
  const diligent = await room.speak();
  const texts = numbers(24).map((text) => `${text} ${"x".repeat(60_000)}`);
  const numbered = texts.map((text, index) => [index + 1, text]);
  const taking = diligent.takeThrough(24);
  for (const text of texts) await room.deliver(text);
  expect(await taking).toEqual(numbered);
  // No message is on its way any more: what wakes the shard is its own timer.
  expect(await slow.closed(60_000)).toMatchObject({ code: 4005 });
  expect(slow.position).toBeLessThan(24);
  await room.deliver("after");
  expect((await diligent.messagesThrough(25)).at(-1)).toEqual([25, "after"]);
  const back = await room.speak(slow.resume);
  const rest = [...numbered, [25, "after"]].slice(slow.position);
  expect(await back.takeThrough(25)).toEqual(rest);
});

test("AD3, HT5 a client that vanishes without a word gives its place back", async () => {
  const room = new TestRoom(host, "single");
  const vanishing = new WebSocket(`ws://127.0.0.1:${running().port}${room.path}?_pk=vanishing`);
  await once(vanishing, "open");
  expect((await room.knock()).refused?.status).toBe(503);
  vanishing.terminate();
  await running().printed(`${room.id}-1 was left by vanishing`);
  expect(await room.status()).toMatchObject({ connections: 0 });
  await room.join();
});

test("HT4 a body that ends early is not applied, and the room goes on", async () => {
  const room = new TestRoom(host);
  const { port } = running();
  const headers = { "content-length": "100" };
  const upload = request({ port, host: "127.0.0.1", path: room.path, method: "POST", headers });
  // The connection is cut on purpose.
  upload.on("error", () => {});
  upload.write("half of it");
  await once(upload, "socket");
  upload.destroy();
  const socket = await room.join();
  await room.deliver("whole");
  expect(await socket.received(1)).toEqual(["whole"]);
  expect(await room.status()).toMatchObject({ seq: 1 });
});

test("PR2, SU1 clients of a shard that is reset come back and miss nothing", async () => {
  const room = new TestRoom(host, "wide");
  const clients = await room.speakMany(20);
  await room.deliver("1");
  const shards = await Promise.all(clients.map(async (client) => (await client.welcome()).shard));
  const lost = clients.filter((_, index) => shards[index] === shards[0]);
  expect(lost).toHaveLength(2);
  lost[0]?.send({ type: "send", data: "crash" });
  await Promise.all(lost.map((client) => client.closed()));
  await room.publish("2");
  const back = await Promise.all(lost.map((client) => room.speak(client.resume)));
  await room.deliver("3");
  for (const [index, client] of back.entries()) {
    await client.messagesThrough(3);
    const before = lost[index]?.messages ?? [];
    expect([...before, ...client.messages]).toEqual([
      [1, "1"],
      [2, "2"],
      [3, "3"],
    ]);
  }
});

test("RC7, DL3, PR15 shards hibernate with their sockets, and the next write reaches every one once", async () => {
  const room = new TestRoom(host, "talking");
  const clients = await Promise.all([join(room), join(room), join(room)]);
  const lives = await Promise.all(clients.map((client) => client.ask("life")));
  const speakers = await room.speakMany(2, "topics=a");
  const [kept, changed] = speakers;
  changed?.subscribe("b");
  await changed?.settled();
  await room.deliver("awake");
  await Promise.all(speakers.map((speaker) => speaker.messagesThrough(1)));
  const { promise, resolve } = Promise.withResolvers<undefined>();
  setTimeout(() => resolve(undefined), asleepAfterMs);
  await promise;
  await room.deliver("woken");
  await room.deliver("for b", { query: "topic=b" });
  await room.deliver("for a", { query: "topic=a" });
  await room.deliver("end");
  const texts = await Promise.all(
    speakers.map(async (speaker) => (await speaker.messagesThrough(5)).map(([, text]) => text)),
  );
  expect(texts).toEqual([
    ["awake", "woken", "for a", "end"],
    ["awake", "woken", "for b", "end"],
  ]);
  const shard = (await kept?.welcome())?.shard ?? "";
  expect(await kept?.ask("where")).toBe(shard);
  await kept?.pong();
  for (const [index, client] of clients.entries()) {
    const frames = await client.receivedThrough("end");
    expect(frames).toEqual([lives[index], "awake", "woken", "end"]);
    expect(await client.ask("life")).not.toBe(lives[index]);
    expect(client.opens).toBe(1);
  }
  expect(await room.status()).toMatchObject({ connections: 5, seq: 5 });
});

test("DL6, DL4, PR2 a room goes on where it was when the process is killed and started again", async () => {
  const room = new TestRoom(host);
  const clients = await Promise.all(Array.from({ length: 5 }, () => join(room)));
  const speaker = await room.speak();
  const headers = { "idempotency-key": "across" };
  const before = await room.publish("one", { headers });
  const large = await room.publish("\u0001".repeat(100_000));
  expect(large.seq).toBe(2);
  await room.deliver("two");
  await speaker.messagesThrough(2);
  const { resume } = speaker;

  await crashAndRestart();
  expect(await room.publish("one", { headers })).toMatchObject({ epoch: before.epoch, seq: 1 });
  expect((await room.post("other", { headers })).status).toBe(422);
  expect(await room.status()).toMatchObject({
    epoch: before.epoch,
    seq: 3,
    history: { first: 1, last: 3 },
  });
  await Promise.all(clients.map((client) => client.opened(2)));
  const back = await room.speak(resume);
  expect(await room.deliver("after")).toMatchObject({ epoch: before.epoch, seq: 4 });
  for (const client of clients) {
    await client.receivedThrough("after");
    expect(client.messagesSinceOpen).toEqual(["after"]);
  }
  // Wherever it had been: one frame carries the large message alone, past the window.
  const numbersAfter = (await back.takeThrough(4)).map(([seq]) => seq);
  expect([...speaker.messages.map(([seq]) => seq), ...numbersAfter]).toEqual([1, 2, 3, 4]);
  expect(await room.status()).toMatchObject({ connections: 6 });
});

test("DL6, RG2 the cron sweep makes a room go on that was killed while it owed something", async () => {
  const room = new TestRoom(host, "waiting");
  const client = await join(room);
  const before = await room.publish("wait");
  expect(before.shards).toEqual({ delivered: 0, pending: 1 });
  client.close();

  await crashAndRestart();
  const started = `started ${room.id}-1`;
  expect(running().timesPrinted(started)).toBe(0);
  const swept = await host.request("/__scheduled__?cron=partyshard");
  expect(swept.status).toBe(200);
  // The sequencer has dialled the shard that it owed the message.
  await running().printed(started);
  expect(await room.publish("after")).toMatchObject({
    epoch: before.epoch,
    seq: 2,
    shards: { delivered: 0, pending: 0 },
  });
});
