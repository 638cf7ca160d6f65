import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { freshRoom, publish, publishDelivered, TestClient } from "./client.ts";
import { kill } from "./objects.ts";

test("DL6, DL1 numbers go on after the sequencer died, and clients miss nothing", async () => {
  const room = freshRoom("default");
  const clients = await TestClient.connectMany(room, 10);
  const before = await publishDelivered(room, "one");
  await kill(env.Router.getByName(room));
  const after = await publishDelivered(room, "two");
  expect(after).toMatchObject({ epoch: before.epoch, seq: before.seq + 1 });
  for (const client of clients) {
    await client.receives(2);
    expect(client.received).toEqual(["one", "two"]);
  }
});

test("DL6 what the dead sequencer owed is delivered by its alarm", async () => {
  const room = freshRoom("default");
  const clients = await TestClient.connectMany(room, 10);
  // Answered once durable; whether a shard has it when the object dies is left to chance.
  await publish(room, "one");
  await kill(env.Router.getByName(room));
  expect(await runDurableObjectAlarm(env.Router.getByName(room))).toBe(true);
  for (const client of clients) await client.receives(1);
  await publishDelivered(room, "two");
  for (const client of clients) {
    await client.receives(2);
    expect(client.received).toEqual(["one", "two"]);
  }
});

test("DL4 an idempotency key is known after a restart", async () => {
  const room = freshRoom("default");
  const headers = { "idempotency-key": "order-1" };
  const first = await publish(room, "once", { headers });
  await kill(env.Router.getByName(room));
  expect(await publish(room, "once", { headers })).toMatchObject({
    epoch: first.epoch,
    seq: first.seq,
  });
  await expect(publish(room, "another", { headers })).rejects.toThrow("422");
});

test("DL9 a message larger than a row is split over several, and numbers go on after a restart", async () => {
  const room = freshRoom("game");
  // JSON writes each of these as six characters: 2.4 million units, past the 2 MB of a row.
  const large = "\u0001".repeat(400_000);
  const first = await publish(room, large);
  await kill(env.Router.getByName(room));
  const rows = await runInDurableObject(env.Router.getByName(room), (_, state) =>
    state.storage.list({ prefix: "log/" }),
  );
  expect(rows.size).toBeGreaterThan(1);
  expect(await publish(room, "next")).toMatchObject({ seq: first.seq + 1 });
});

test("SU1, DL3 clients of a shard that died come back and get what follows", async () => {
  const room = freshRoom("wide");
  const clients = await TestClient.connectMany(room, 20);
  await publishDelivered(room, "one");
  await kill(env.Main.getByName(`${room}-1`));
  await publishDelivered(room, "two");
  await publishDelivered(room, "three");
  const stayed: TestClient[] = [];
  for (const client of clients) {
    const code = await Promise.race([client.closed, client.receives(3).then(() => null)]);
    if (code === null) stayed.push(client);
  }
  expect(stayed).toHaveLength(18);
  for (const client of stayed) expect(client.received).toEqual(["one", "two", "three"]);
  const back = await TestClient.connectMany(room, 2);
  await publishDelivered(room, "four");
  for (const client of back) {
    await client.receives(1);
    expect(client.received).toEqual(["four"]);
  }
});

test("RG2 the registry knows the load again after a restart", async () => {
  const room = freshRoom("wide");
  await TestClient.connectMany(room, 20);
  await kill(env.Registry.getByName("default"));
  const reply = await env.Registry.getByName("default").partyshardCall({
    type: "table",
    room,
    counters: {},
  });
  expect(reply).toMatchObject({ ok: true, value: { shards: loads(room, 2) } });
});

function loads(room: string, connections: number): unknown[] {
  return Array.from(
    { length: 10 },
    (_, index) => expect.objectContaining({ id: `${room}-${index + 1}`, connections }) as unknown,
  );
}
