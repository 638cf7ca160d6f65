/** Publishing over the socket: as good as a POST, in the same order. */
import { describe, expect, test } from "vitest";
import type { RoomsHost } from "./host.ts";
import { TestRoom } from "./test-room.ts";

export function describePublishOverSocket(host: RoomsHost): void {
  describe("publishing over the socket", () => {
    test("PR8 a publish is answered with its number, and reaches every client of every shard", async () => {
      const room = new TestRoom(host, "open");
      const clients = await room.speakMany(4);
      const plain = await room.join();
      const [sender] = clients;
      const { epoch } = await room.status();
      const published = { type: "published", epoch } as const;
      expect(await sender?.publish("a", "one")).toEqual({ ...published, id: "a", seq: 1 });
      const bytes = { base64: btoa("\0\u00FF") };
      expect(await sender?.publish("b", bytes)).toEqual({ ...published, id: "b", seq: 2 });
      expect(await sender?.publish("~me:1", "")).toEqual({ ...published, id: "~me:1", seq: 3 });
      for (const client of clients) {
        expect(await client.messagesThrough(3)).toEqual([
          [1, "one"],
          [2, bytes],
          [3, ""],
        ]);
      }
      expect(await plain.received(3)).toEqual(["one", Uint8Array.of(0, 255), ""]);
      expect(await room.status()).toMatchObject({ seq: 3 });
    });

    test("PR8, PR6 a publish may have a topic", async () => {
      const room = new TestRoom(host, "open");
      const wants = await room.speak("topics=a:*");
      const other = await room.speak("topics=b");
      expect(await other.publish("1", "to a", "a:1")).toMatchObject({ seq: 1 });
      expect(await other.publish("2", "to all")).toMatchObject({ seq: 2 });
      expect(await wants.messagesThrough(2)).toEqual([
        [1, "to a"],
        [2, "to all"],
      ]);
      expect(await other.messagesThrough(2)).toEqual([[2, "to all"]]);
      expect((await room.read()).messages[0]).toMatchObject({ data: "to a", topic: "a:1" });
    });

    test("PR8, DL4 an id is an idempotency key, on whichever shard, and over HTTP", async () => {
      const room = new TestRoom(host, "open");
      const one = await room.speak();
      const { shard } = await one.welcome();
      const other = await room.speakElsewhere(shard);
      expect(await one.publish("key", "once")).toMatchObject({
        type: "published",
        id: "key",
        seq: 1,
      });
      expect(await one.publish("key", "once")).toMatchObject({
        type: "published",
        id: "key",
        seq: 1,
      });
      expect(await other.publish("key", "once")).toMatchObject({
        type: "published",
        id: "key",
        seq: 1,
      });
      const headers = { "idempotency-key": "key" };
      expect(await room.publish("once", { headers })).toMatchObject({ seq: 1 });
      const keyed = await room.publish("again", { headers: { "idempotency-key": "other" } });
      expect(await other.publish("other", "again")).toMatchObject({ seq: keyed.seq });
      expect(await room.status()).toMatchObject({ seq: 2 });
      for (const client of [one, other]) expect(await client.messagesThrough(2)).toHaveLength(2);
    });

    test("PR8, DL4 one id sent many times at once, on both shards, has one effect", async () => {
      const room = new TestRoom(host, "open");
      const clients = await room.speakMany(6);
      const answers = await Promise.all(clients.map((client) => client.publish("same", "once")));
      for (const answer of answers)
        expect(answer).toMatchObject({ type: "published", id: "same", seq: 1 });
      expect(await room.status()).toMatchObject({ seq: 1 });
    });

    test("PR8, DL4 an id that was used for another message is rejected", async () => {
      const room = new TestRoom(host, "open");
      const client = await room.speak();
      await room.publish("first", { headers: { "idempotency-key": "key" } });
      const rejected = { type: "rejected", id: "key" };
      const problem = { type: "urn:partyshard:problem:idempotency-key-reused", status: 422 };
      expect(await client.publish("key", "second")).toMatchObject({ ...rejected, problem });
      expect(await client.publish("key", "first", "topic")).toMatchObject({ ...rejected, problem });
      expect(await client.publish("key", "first")).toMatchObject({ type: "published", seq: 1 });
      expect(await room.status()).toMatchObject({ seq: 1 });
    });

    test("PR8, HT3 the limit is that of HTTP: of bytes, not of characters", async () => {
      const room = new TestRoom(host, "open");
      const client = await room.speak();
      const tooLarge = [
        "x".repeat(1_001),
        "é".repeat(501),
        "\u20AC".repeat(334),
        { base64: btoa("x".repeat(1_001)) },
      ];
      for (const [index, data] of tooLarge.entries()) {
        expect(await client.publish(`large ${index}`, data)).toMatchObject({
          type: "rejected",
          problem: { type: "urn:partyshard:problem:payload-too-large", status: 413 },
        });
      }
      const largest = ["x".repeat(1_000), "é".repeat(500), { base64: btoa("x".repeat(1_000)) }];
      for (const [index, data] of largest.entries()) {
        expect(await client.publish(`fits ${index}`, data)).toMatchObject({ seq: index + 1 });
      }
      expect((await client.messagesThrough(3)).map(([, data]) => data)).toEqual(largest);
    });

    test("PR8, DL1 sockets and HTTP share one order, and each sender's own is kept", async () => {
      const room = new TestRoom(host, "open");
      const clients = await room.speakMany(4);
      const plain = await room.join();
      const names = ["a", "b", "c", "d"];
      const bySocket = clients.flatMap((client, sender) =>
        Array.from({ length: 25 }, (_, index) => {
          const name = names[sender] ?? "";
          return client.publish(`${name}${index}`, `${name} ${index}`);
        }),
      );
      const byHttp = Array.from({ length: 25 }, (_, index) => room.publish(`http ${index}`));
      const answers = await Promise.all(bySocket);
      const receipts = await Promise.all(byHttp);
      const { seq } = await room.deliver("end");
      expect(seq).toBe(126);
      const numbers = [...answers, ...receipts].map((answer) => ("seq" in answer ? answer.seq : 0));
      expect(numbers.toSorted((one, other) => one - other)).toEqual(
        Array.from({ length: 125 }, (_, index) => index + 1),
      );
      const order = (await clients[0]?.messagesThrough(seq)) ?? [];
      for (const client of clients) expect(await client.messagesThrough(seq)).toEqual(order);
      expect(await plain.received(seq)).toEqual(order.map(([, data]) => data));
      for (const name of names) {
        const texts = order.map(([, data]) => (typeof data === "string" ? data : ""));
        expect(texts.filter((text) => text.startsWith(`${name} `))).toEqual(
          Array.from({ length: 25 }, (_, index) => `${name} ${index}`),
        );
      }
    });

    test("PR8, PR2 what was published over the socket is resumed like the rest", async () => {
      const room = new TestRoom(host, "open");
      const client = await room.speak();
      const { epoch, shard } = await client.welcome();
      for (const text of ["one", "two", "three"]) await client.publish(text, text);
      const back = await room.speakElsewhere(shard, `epoch=${epoch}&since=1`);
      expect(await back.messagesThrough(3)).toEqual([
        [2, "two"],
        [3, "three"],
      ]);
    });

    test("PR8, PR6 a plain socket's publish is for the room class", async () => {
      const room = new TestRoom(host, "open");
      const plain = await room.join();
      const text = '{"type":"publish","id":"a","data":"x"}';
      plain.send(text);
      expect(await plain.ask("who")).toEqual(expect.any(String));
      expect(await room.status()).toMatchObject({ seq: 0 });
    });
  });
}
