/** Shards that die, or only seem to, inside the runtime: who is replaced, who is not, what clients get. */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test, vi } from "vitest";
import { TestRoom } from "../../contract/test-room.ts";
import type { ProtocolSocket } from "../../support/protocol-socket.ts";
import { kill } from "../objects.ts";
import { workersHost } from "../workers-host.ts";

const host = workersHost("the test app", undefined);
const patience = { timeout: 20_000, interval: 50 };

const tell = (client: ProtocolSocket, data: string): void => client.send({ type: "send", data });

/** A room of two shards with a client on each, which have heard `1`. */
async function makeRoom() {
  const room = new TestRoom(host, "lively");
  const client = await room.speak();
  const { shard } = await client.welcome();
  const other = await room.speakElsewhere(shard);
  return { room, client, shard, other };
}

const suspect = (shard: string) =>
  env.Registry.getByName("default").partyshardCall({ type: "suspect", shard });

async function generationOf(room: TestRoom, shard: string): Promise<number | undefined> {
  const { shards } = await room.status();
  return shards.find(({ id }) => id === shard)?.generation;
}

/** Somebody comes whom the dead shard would get, until it is replaced. */
async function untilReplaced(room: TestRoom, shard: string): Promise<void> {
  await vi.waitFor(async () => {
    const { socket } = await room.knock();
    socket?.close();
    expect(await generationOf(room, shard)).toBe(2);
  }, patience);
}

/** Comes back to the fresh object with the position that it had. */
async function comeBack(room: TestRoom, shard: string, client: ProtocolSocket) {
  const back = await vi.waitFor(() => room.speakAt(`${shard}~2`, client.resume), patience);
  expect(back.frames[0]).toMatchObject({ type: "welcome", recovered: true });
  return back;
}

test("FO2 a shard that was evicted answers when it is asked, and keeps its place and its clients", async () => {
  const { room, client, shard } = await makeRoom();
  await room.deliver("1");
  await evictDurableObject(env.Main.getByName(shard));
  await suspect(shard);
  await room.deliver("2");
  await client.messagesThrough(2);
  await suspect(shard);
  await room.deliver("3");
  expect((await client.messagesThrough(3)).map(([, data]) => data)).toEqual(["1", "2", "3"]);
  expect(await generationOf(room, shard)).toBe(1);
});

test("FO2, GD9 a shard that was aborted is there again when it is asked: its clients come back to it", async () => {
  const { room, client, shard } = await makeRoom();
  await room.deliver("1");
  await client.messagesThrough(1);
  await kill(env.Main.getByName(shard));
  await client.closed();
  await suspect(shard);
  await room.publish("2");
  const back = await vi.waitFor(() => room.speakAt(shard, client.resume), patience);
  await room.deliver("3");
  expect((await back.messagesThrough(3)).map(([, data]) => data)).toEqual(["2", "3"]);
  expect(await back.ask("sum")).toBe("6 of 3");
  expect(await generationOf(room, shard)).toBe(1);
});

test("FO1, GD3, GD5 a shard to which every call fails is replaced, and hears of it by its link", async () => {
  const { room, client, shard, other } = await makeRoom();
  await room.deliver("1");
  await client.messagesThrough(1);
  tell(client, "deafen");
  await room.deliver("2");
  await untilReplaced(room, shard);
  expect((await client.closed()).code).toBe(4000);
  await room.publish("3");
  const back = await comeBack(room, shard, client);
  await room.deliver("4");
  const heard = [...client.messages, ...(await back.messagesThrough(4))];
  expect(heard.map(([, data]) => data)).toEqual(["1", "2", "3", "4"]);
  expect((await other.messagesThrough(4)).map(([, data]) => data)).toEqual(["1", "2", "3", "4"]);
  expect(await back.ask("sum")).toBe("10 of 4");
  const row = await runInDurableObject(env.Main.getByName(shard), (_, state) =>
    state.storage.get("service"),
  );
  expect(row).toEqual({ status: "fenced" });
});

test("FO1, GD5 a zombie that nobody can reach sends its clients away when it tells of itself", async () => {
  const { room, client, shard } = await makeRoom();
  tell(client, "deafen");
  await untilReplaced(room, shard);
  await room.publish("1");
  expect((await client.closed()).code).toBe(4000);
  const back = await comeBack(room, shard, client);
  await room.deliver("2");
  expect((await back.messagesThrough(2)).map(([, data]) => data)).toEqual(["1", "2"]);
});

test("FO1, FO8, GD9 a shard whose storage fails is replaced, and its clients lack nothing", async () => {
  const { room, client, shard } = await makeRoom();
  await room.deliver("1");
  await client.messagesThrough(1);
  tell(client, "spoil");
  await client.closed();
  await room.publish("2");
  await untilReplaced(room, shard);
  const back = await comeBack(room, shard, client);
  await room.deliver("3");
  expect((await back.messagesThrough(3)).map(([, data]) => data)).toEqual(["2", "3"]);
  expect(await back.ask("sum")).toBe("6 of 3");
});
