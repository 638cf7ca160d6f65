import { expect, test } from "vitest";
import { FakeClock } from "../../test/support/fake-clock.ts";
import { FakeSocket } from "../../test/support/fake-socket.ts";
import { FakeStorage } from "../../test/support/fake-storage.ts";
import { turns } from "../../test/support/turns.ts";
import type { RegistryEventBody } from "../protocol/registry.ts";
import { EventHub } from "./event-hub.ts";
import type { EventSocket, KeptSubscription } from "./event-subscribers.ts";

class FakeEventSocket extends FakeSocket implements EventSocket {
  kept: KeptSubscription | null = null;

  keep(subscription: KeptSubscription): void {
    this.kept = subscription;
  }

  /** Numbers of the events that it was sent. */
  get seqs(): number[] {
    return this.frames.slice(1).map((frame) => (frame as { seq: number }).seq);
  }
}

const online = (serverId: string | number): RegistryEventBody => ({
  type: "server:online",
  serverId: String(serverId),
});
const disposed: RegistryEventBody = { type: "room:disposed", roomId: "x", reason: "empty" };

class HubRig {
  readonly clock = new FakeClock();
  storage = new FakeStorage();
  readonly counted: string[] = [];
  heard = 0;
  #hub: EventHub | undefined;

  async start(): Promise<this> {
    await turns();
    this.storage = this.storage.restart();
    const { clock, storage } = this;
    const count = (what: string): void => void this.counted.push(what);
    this.#hub = await EventHub.start({
      clock,
      storage,
      count,
      wakeAt: () => {},
      onHeard: () => void (this.heard += 1),
    });
    return this;
  }

  get hub(): EventHub {
    if (this.#hub === undefined) throw new Error("not started");
    return this.#hub;
  }

  subscribe(pattern = "*"): FakeEventSocket {
    const socket = new FakeEventSocket();
    this.hub.subscribe(socket, pattern);
    return socket;
  }

  publish(
    bodies: readonly RegistryEventBody[],
    { lost = 0, batch = null as string | null } = {},
  ): boolean {
    const at = this.clock.now();
    return this.hub.publish(
      bodies.map((body) => ({ ...body, at })),
      lost,
      batch,
    );
  }

  publishMany(count: number): void {
    this.publish(Array.from({ length: count }, (_, index) => online(index)));
  }

  pass(ms: number): void {
    this.clock.advance(ms);
    this.hub.wake(this.clock.now());
  }

  stream(pattern = "*"): ReadableStreamDefaultReader<Uint8Array> {
    const stream = this.hub.stream(pattern);
    if (!stream.ok) throw new Error(stream.detail);
    return stream.value.getReader();
  }
}

async function readText(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string | null> {
  const { value } = await reader.read();
  return value === undefined ? null : new TextDecoder().decode(value);
}

test("EV1 a socket is told where events begin, and sent those that fit its pattern", async () => {
  const rig = await new HubRig().start();
  const all = rig.subscribe();
  const rooms = rig.subscribe("room:*,server:draining");
  expect(rig.publish([online("a"), disposed])).toBe(true);
  const at = rig.clock.now();
  const first = { type: "server:online", serverId: "a", at, seq: 1 };
  const second = { ...disposed, at, seq: 2 };
  expect(all.frames).toEqual([{ type: "subscribed", pattern: "*", seq: 0 }, first, second]);
  expect(rooms.frames.slice(1)).toEqual([second]);
  expect(rig.subscribe("room:updated").frames).toEqual([
    { type: "subscribed", pattern: "room:updated", seq: 2 },
  ]);
});

test("EV1 a stream is told the same as events of text/event-stream", async () => {
  const rig = await new HubRig().start();
  const reader = rig.stream("server:*");
  rig.publish([disposed, online("a")]);
  expect(await readText(reader)).toBe(
    'event: subscribed\ndata: {"type":"subscribed","pattern":"server:*","seq":0}\n\n',
  );
  expect(await readText(reader)).toBe(
    `id: 2\ndata: {"type":"server:online","serverId":"a","at":${rig.clock.now()},"seq":2}\n\n`,
  );
});

test("EV1 a malformed pattern is refused", async () => {
  const rig = await new HubRig().start();
  for (const pattern of ["", "room", "room:", "a:*,", "* ", `${"a:b,".repeat(200)}a:b`]) {
    expect(rig.hub.stream(pattern)).toMatchObject({ ok: false, code: "malformed-query" });
    expect(rig.subscribe(pattern).closedWith).toBe(4500);
  }
  expect(rig.hub.isHeard).toBe(false);
});

test("EV2 numbers go on after the hub slept, and jump past every number given when it died", async () => {
  const rig = await new HubRig().start();
  rig.subscribe();
  rig.publishMany(3);
  rig.pass(5_000);
  await rig.start();
  const slept = rig.subscribe();
  expect(slept.frames).toMatchObject([{ seq: 3 }]);
  rig.publishMany(20_000);
  await rig.start();
  expect(rig.subscribe().frames).toMatchObject([{ seq: 20_005 }]);
});

test("EV2, EV3 numbers jump by what a partition lost, and a repeated batch has no effect", async () => {
  const rig = await new HubRig().start();
  const socket = rig.subscribe();
  rig.publish([online("a")], { batch: "1" });
  expect(rig.publish([online("b")], { batch: "2", lost: 5 })).toBe(true);
  expect(rig.publish([online("b")], { batch: "2", lost: 5 })).toBe(true);
  rig.publish([online("c")], { batch: "3" });
  rig.publish([online("d")]);
  expect(socket.seqs).toEqual([1, 7, 8, 9]);
});

test("EV2 many numbers take few writes", async () => {
  const rig = await new HubRig().start();
  rig.subscribe("room:*");
  for (let times = 0; times < 25; times += 1) rig.publishMany(1_000);
  rig.pass(5_000);
  expect(rig.storage.writes).toBe(4);
  expect(rig.hub.nextDeadline()).toBeNull();
});

test("EV4 the first of those who listen is told of, and none beside it", async () => {
  const rig = await new HubRig().start();
  const first = rig.subscribe();
  const second = rig.subscribe();
  expect(rig.heard).toBe(1);
  rig.hub.leave(first);
  rig.hub.leave(second);
  await rig.stream().cancel();
  rig.subscribe("malformed pattern");
  expect(rig.heard).toBe(2);
});

test("EV4 without subscribers nothing is numbered or written", async () => {
  const rig = await new HubRig().start();
  expect(rig.publish([online("a")])).toBe(false);
  const socket = rig.subscribe();
  rig.hub.leave(socket);
  const reader = rig.stream();
  await reader.cancel();
  expect(rig.publish([online("a")], { lost: 7 })).toBe(false);
  expect(rig.storage.writes).toBe(0);
  expect(rig.subscribe().frames).toMatchObject([{ seq: 0 }]);
});

test("EV5 a socket that does not acknowledge is closed with its 1,001st event, others go on", async () => {
  const rig = await new HubRig().start();
  const slow = rig.subscribe();
  const good = rig.subscribe();
  rig.publishMany(1_000);
  rig.hub.receive(good, '{"type":"ack","seq":900}');
  expect(slow.closedWith).toBeNull();
  rig.publishMany(800);
  expect(slow.closedWith).toBe(4005);
  expect(slow.seqs).toHaveLength(1_000);
  expect(good.closedWith).toBeNull();
  expect(good.seqs).toHaveLength(1_800);
  expect(rig.counted).toEqual(["event_subscribers_cut_off"]);
});

test("EV5 a stream that is not read ends after 1,000 events, and says why", async () => {
  const rig = await new HubRig().start();
  const reader = rig.stream();
  const socket = rig.subscribe("room:*");
  rig.publishMany(1_200);
  const texts: (string | null)[] = [];
  for (let times = 0; times < 1_003; times += 1) texts.push(await readText(reader));
  expect(texts[1_000]).toContain("id: 1000\n");
  expect(texts.slice(1_001)).toEqual([
    'event: closed\ndata: {"type":"closed","code":4005}\n\n',
    null,
  ]);
  expect(rig.publish([disposed])).toBe(true);
  expect(socket.seqs).toEqual([1_201]);
  expect(rig.counted).toEqual(["event_subscribers_cut_off"]);
});

/** Counts for five. */
const large: RegistryEventBody = {
  type: "room:message",
  roomId: "x",
  data: "x".repeat(16 * 1_024),
};

test("EV5 large events count for more: a socket is closed with fewer of them, also after the hub slept", async () => {
  const rig = await new HubRig().start();
  const slow = rig.subscribe();
  const good = rig.subscribe();
  rig.publish(Array.from({ length: 150 }, () => large));
  rig.hub.receive(good, '{"type":"ack","seq":150}');
  rig.pass(5_000);
  await rig.start();
  for (const socket of [slow, good]) rig.hub.restore(socket);
  rig.publish(Array.from({ length: 150 }, () => large));
  expect([slow.closedWith, slow.seqs.length]).toEqual([4005, 210]);
  expect([good.closedWith, good.seqs.length]).toEqual([null, 300]);
});

test("EV5 large events count for more: a stream ends with fewer of them unread", async () => {
  const rig = await new HubRig().start();
  const reader = rig.stream();
  rig.publish(Array.from({ length: 300 }, () => large));
  const ids: number[] = [];
  let last: string | null = null;
  for (let text = await readText(reader); text !== null; text = await readText(reader)) {
    const id = /^id: (\d+)$/m.exec(text)?.[1];
    if (id !== undefined) ids.push(Number(id));
    last = text;
  }
  expect(ids).toEqual(Array.from({ length: 200 }, (_, index) => index + 1));
  expect(last).toContain("4005");
});

test("EV5 a stream that is read as fast as events come goes on for ever", async () => {
  const rig = await new HubRig().start();
  const reader = rig.stream();
  await readText(reader);
  for (let seq = 1; seq <= 3_000; seq += 1) {
    rig.publish([online(seq)]);
    expect(await readText(reader)).toContain(`id: ${seq}\n`);
  }
});

test("EV6 a frame that is no acknowledgement closes that subscriber alone", async () => {
  const rig = await new HubRig().start();
  const bystander = rig.subscribe();
  rig.publishMany(2);
  const bad = [
    "",
    "{",
    "null",
    '{"type":"ack"}',
    '{"type":"ack","seq":-1}',
    '{"type":"ack","seq":1.5}',
    '{"type":"ack","seq":1,"more":true}',
    '{"type":"publish","seq":1}',
    '{"type":"ack","seq":3}',
    null,
  ];
  for (const frame of bad) {
    const socket = rig.subscribe();
    rig.hub.receive(socket, frame);
    expect([frame, socket.closedWith]).toEqual([frame, 4500]);
    rig.hub.receive(socket, frame);
  }
  rig.publishMany(1);
  expect(bystander.seqs).toEqual([1, 2, 3]);
});

test("EV6 ping is answered, and an acknowledgement may come twice", async () => {
  const rig = await new HubRig().start();
  const socket = rig.subscribe();
  rig.publishMany(1);
  for (let times = 0; times < 2; times += 1) rig.hub.receive(socket, '{"type":"ack","seq":1}');
  rig.hub.receive(socket, "ping");
  expect(socket.sent.at(-1)).toBe("pong");
  expect(socket.closedWith).toBeNull();
});

test("EV7 a socket goes on after the hub slept, and what it owes is remembered roughly", async () => {
  const rig = await new HubRig().start();
  const socket = rig.subscribe("server:*");
  rig.publishMany(950);
  rig.pass(5_000);
  await rig.start();
  rig.hub.restore(socket);
  expect(rig.hub.isHeard).toBe(true);
  rig.publishMany(100);
  expect(socket.seqs.slice(-2)).toEqual([1_049, 1_050]);
  expect(socket.closedWith).toBeNull();
  rig.publishMany(1);
  expect(socket.closedWith).toBe(4005);
});

test("EV7 after it slept an acknowledgement still counts", async () => {
  const rig = await new HubRig().start();
  const socket = rig.subscribe();
  rig.publishMany(900);
  rig.pass(5_000);
  await rig.start();
  rig.hub.restore(socket);
  rig.hub.receive(socket, '{"type":"ack","seq":900}');
  rig.publishMany(1_000);
  expect(socket.closedWith).toBeNull();
  const forgotten = new FakeEventSocket();
  rig.hub.restore(forgotten);
  expect(forgotten.closedWith).toBe(4001);
});

test("EV7 a stream gets a comment when nothing else was sent for a while", async () => {
  const rig = await new HubRig().start();
  const reader = rig.stream();
  await readText(reader);
  rig.pass(25_000);
  expect(await readText(reader)).toBe(": ping\n\n");
  rig.publish([online("a")]);
  rig.pass(25_000);
  expect(await readText(reader)).toContain("id: 1\n");
  rig.pass(25_000);
  expect(await readText(reader)).toBe(": ping\n\n");
  await reader.cancel();
  rig.pass(25_000);
  expect(rig.hub.nextDeadline()).toBeNull();
});
