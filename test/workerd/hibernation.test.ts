import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { freshRoom, publish, publishDelivered, TestClient } from "./client.ts";
import { kill } from "./objects.ts";

test("RC7, DL3 after a shard was evicted the next write reaches every socket exactly once", async () => {
  const room = freshRoom("game");
  const clients = await TestClient.connectMany(room, 4);
  await publishDelivered(room, "one");
  await evictDurableObject(env.Main.getByName(`${room}-1`));
  await publishDelivered(room, "two");
  await evictDurableObject(env.Main.getByName(`${room}-1`));
  await publishDelivered(room, "three");
  for (const client of clients) {
    await client.receives(3);
    expect(client.received).toEqual(["one", "two", "three"]);
  }
});

test("RC7, LK5 what an evicted shard has is not sent to its sockets again by a new link", async () => {
  const room = freshRoom("game");
  const [client] = await TestClient.connectMany(room, 1);
  await publishDelivered(room, "one");
  await publishDelivered(room, "two");
  await evictDurableObject(env.Main.getByName(`${room}-1`));
  // The sequencer dies and with it all that it knew of acknowledgements; the link breaks.
  await kill(env.Router.getByName(room));
  await evictDurableObject(env.Main.getByName(`${room}-1`));
  await publishDelivered(room, "three");
  await client?.receives(3);
  expect(client?.received).toEqual(["one", "two", "three"]);
});

test("RC7 a client that connects to an evicted shard joins the others there", async () => {
  const room = freshRoom("game");
  const first = await TestClient.connect(room);
  await publishDelivered(room, "one");
  await evictDurableObject(env.Main.getByName(`${room}-1`));
  const second = await TestClient.connect(room);
  await publishDelivered(room, "two");
  await Promise.all([first.receives(2), second.receives(1)]);
  expect(first.received).toEqual(["one", "two"]);
  expect(second.received).toEqual(["two"]);
});

test("RC7, RC4 the room class sends to hibernated clients and never to the link", async () => {
  const room = freshRoom("game");
  const [sender, other] = await TestClient.connectMany(room, 2);
  await publish(room, "a link is open now");
  await Promise.all([sender?.receives(1), other?.receives(1)]);
  await evictDurableObject(env.Main.getByName(`${room}-1`));
  sender?.send("hello");
  await other?.receives(2);
  expect(other?.received[1]).toBe("hello");
  await publishDelivered(room, "and the link still works");
  await sender?.receives(2);
  expect(sender?.received[1]).toBe("and the link still works");
});
