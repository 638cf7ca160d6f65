/** State in workerd: evictions and deaths at the moments that hurt. */
import { evictDurableObject } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { expect, test } from "vitest";
import { publishDelivered, TestClient } from "../client.ts";
import { kill } from "../objects.ts";

let rooms = 0;
const freshRoom = (type = "solo"): string => `${type}:evicted-${(rooms += 1)}`;

/** Has the room's shard store its state: from outside, since a call of the test would hold the object. */
async function take(room: string): Promise<void> {
  const url = `http://worker.test/parties/registry/default/snapshots/${room}`;
  const headers = { authorization: "Bearer test-admin-token" };
  const taken = await exports.default.fetch(url, { method: "PUT", headers });
  expect(await taken.json()).toMatchObject({ roomId: room });
}

/** What the class of the client's shard has added up. */
async function sumOf(client: TestClient, before: number): Promise<unknown> {
  await client.receives(before);
  client.send("sum");
  await client.receives(before + 1);
  return client.received[before];
}

test("SN9 a shard that was evicted between snapshot and message has its state for the message", async () => {
  const room = freshRoom();
  const client = await TestClient.connect(room);
  await publishDelivered(room, "1");
  await take(room);
  await publishDelivered(room, "2");
  await evictDurableObject(env.Main.getByName(`${room}-1`));
  await publishDelivered(room, "3");
  await client.receives(3);
  expect(client.received).toEqual(["1", "2", "3"]);
  expect(await sumOf(client, 3)).toBe("6 of 3");
});

test("SN9 a client that speaks to an evicted shard is answered from its state", async () => {
  const room = freshRoom();
  const client = await TestClient.connect(room);
  await publishDelivered(room, "1");
  await take(room);
  await publishDelivered(room, "2");
  await evictDurableObject(env.Main.getByName(`${room}-1`));
  expect(await sumOf(client, 2)).toBe("3 of 2");
});

test("SN3, SN10 registry, sequencer and shard may die between snapshot and the next client", async () => {
  const room = freshRoom();
  const client = await TestClient.connect(room);
  for (const number of [1, 2, 3, 4]) await publishDelivered(room, String(number));
  await take(room);
  for (const number of [5, 6, 7, 8, 9, 10, 11, 12]) await publishDelivered(room, String(number));
  await kill(env.Registry.getByName("default"));
  await kill(env.Router.getByName(room));
  await kill(env.Main.getByName(`${room}-1`));
  await client.closed;
  const next = await TestClient.connect(room);
  expect(await sumOf(next, 0)).toBe("78 of 12");
});
