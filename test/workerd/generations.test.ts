/** Shards that leave service inside the runtime: fenced ones that sleep or come late, and drains. */
import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { TestRoom } from "../contract/test-room.ts";
import { ProtocolSocket } from "../support/protocol-socket.ts";
import { kill } from "./objects.ts";
import { recordSocket, workersHost } from "./workers-host.ts";

const host = workersHost("the shipped app", undefined);

/** A room of one shard, and its objects. */
function makeRoom() {
  const room = new TestRoom(host, "game");
  const shard = (generation = 1) =>
    env.Main.getByName(`${room.id}-1${generation === 1 ? "" : `~${generation}`}`);
  const sequencer = () => env.Router.getByName(room.id);
  return {
    room,
    shard,
    sequencer,
    fence: (generation: number) =>
      sequencer().partyshardCall({ type: "fence", shard: `${room.id}-1~${generation}` }),
    load: (generation = 1) => shard(generation).partyshardCall({ type: "load" }),
    /** As a gate that knows of this generation hands an upgrade over. */
    enter: async (generation: number, query: string) => {
      const url = `https://shard.test/parties/main/${room.id}-1~${generation}?${query}`;
      const headers = { Upgrade: "websocket" };
      return shard(generation).fetch(new Request(url, { headers }));
    },
  };
}

test("GD4, GD5 a shard that slept when it was fenced wakes, sends its clients away, and stays over", async () => {
  const { room, shard, fence, load } = makeRoom();
  const client = await room.speak();
  const plain = await room.join();
  await room.deliver("one");
  await evictDurableObject(shard());
  expect(await fence(2)).toEqual({ ok: true, value: null });
  expect((await client.closed()).code).toBe(4000);
  expect((await plain.closed()).code).toBe(4000);
  const over = { ok: true, value: { status: "fenced", connections: 0 } };
  expect(await load()).toMatchObject(over);
  await kill(shard());
  expect(await load()).toMatchObject(over);
});

test("GD2, GD5 a shard of a former generation that comes late is refused by sequencer and gate alike", async () => {
  const { room, fence, load } = makeRoom();
  await fence(2);
  const { socket, refused } = await host.upgrade(`/parties/router/${room.id}`);
  expect([socket, refused?.status]).toEqual([null, 503]);
  expect(await load()).toMatchObject({ value: { status: "fenced" } });
});

test("GD9, PR2 a client goes on with the next generation where the former one left it", async () => {
  const { room, fence, enter, load } = makeRoom();
  const client = await room.speak();
  await room.deliver("one");
  await client.messagesThrough(1);
  await fence(2);
  expect((await client.closed()).code).toBe(4000);
  await room.deliver("two");
  const response = await enter(2, `protocol=1&_pk=a&${client.resume}`);
  if (response.webSocket === null) throw new Error(`refused with ${response.status}`);
  const next = new ProtocolSocket(recordSocket(response.webSocket));
  await room.deliver("three");
  expect(await next.messagesThrough(3)).toEqual([
    [2, "two"],
    [3, "three"],
  ]);
  expect(next.frames[0]).toMatchObject({ type: "welcome", recovered: true });
  expect(await load(2)).toMatchObject({ value: { connections: 1 } });
});

test("GD2 a fence outlives the sequencer", async () => {
  const { room, sequencer, fence } = makeRoom();
  await fence(3);
  await kill(sequencer());
  const subscribe = { type: "subscribe", position: null } as const;
  const ask = (shard: string) => sequencer().partyshardCall({ ...subscribe, shard });
  expect(await ask(`${room.id}-1~2`)).toMatchObject({ ok: false, code: "fenced" });
  expect(await ask(`${room.id}-1~3`)).toMatchObject({ ok: true });
});

test("GD7, GD8 a shard goes on draining after it lost its memory, until it is empty", async () => {
  const { room, shard, load } = makeRoom();
  const clients = await room.speakMany(4);
  await room.deliver("one");
  await evictDurableObject(shard());
  const drain = { type: "drain", limitMs: 3_000 } as const;
  expect(await shard().partyshardCall(drain)).toMatchObject({
    value: { status: "draining", connections: 4 },
  });
  const { socket, refused } = await host.upgrade(`/parties/router/${room.id}`);
  expect([socket, refused?.status]).toEqual([null, 503]);
  await evictDurableObject(shard());
  await room.deliver("two");
  // Once it is empty, the registry has another in its place.
  const again = JSON.stringify(await shard().partyshardCall(drain));
  expect(again).toMatch(/"status":"draining"|"code":"fenced"/);
  for (const client of clients) expect((await client.closed()).code).toBe(4000);
  expect(await load()).toMatchObject({ value: { connections: 0 } });
});
