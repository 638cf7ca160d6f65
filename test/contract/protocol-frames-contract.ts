/** The frames that a client of protocol 1 gets and sends, on one connection. */
import { describe, expect, test } from "vitest";
import type { RoomsHost } from "./host.ts";
import { expectProblem, TestRoom } from "./test-room.ts";

const ndjson = { "content-type": "application/x-ndjson" };
const binary = { "content-type": "application/octet-stream" };
const mebibyte = 1024 * 1024;

export function describeFrames(host: RoomsHost): void {
  describe("frames of protocol 1", () => {
    test("PR1 a client is welcomed first, and told where it begins", async () => {
      const room = new TestRoom(host, "wide");
      const early = await room.publish("before");
      const client = await room.speak("_pk=my-id");
      await room.deliver("after");
      await client.messagesThrough(2);
      const { shard } = await client.welcome();
      expect(shard).toMatch(/-\d+$/);
      expect(shard.slice(0, shard.lastIndexOf("-"))).toBe(room.id);
      const { epoch } = early;
      const names = { protocol: 1, connection: "my-id", shard };
      expect(client.frames).toEqual([
        { type: "welcome", ...names, epoch, seq: 1, recovered: false },
        { type: "messages", after: 1, through: 2, data: ["after"] },
      ]);
    });

    test("PR1, DL3 nothing after the welcome is missing, while messages are on their way", async () => {
      const room = new TestRoom(host, "wide");
      const publishing = (async () => {
        for (let number = 1; number <= 100; number += 1) await room.publish(String(number));
      })();
      const clients = await room.speakMany(10);
      await publishing;
      clients.push(...(await room.speakMany(2)));
      const { seq } = await room.deliver("end");
      for (const client of clients) {
        const start = (await client.welcome()).seq;
        const expected = Array.from({ length: seq - start }, (_, index) => [
          start + index + 1,
          start + index + 1 === seq ? "end" : String(start + index + 1),
        ]);
        expect(await client.messagesThrough(seq)).toEqual(expected);
      }
    });

    test("PR5 a lone message is a frame, and so is a batch", async () => {
      const room = new TestRoom(host, "wide");
      const clients = await room.speakMany(5);
      await room.publish("lone");
      await room.publish("a\nb\nc", { headers: ndjson });
      await room.publish("");
      for (const client of clients) {
        await client.messagesThrough(5);
        expect(client.frames.slice(1)).toEqual([
          { type: "messages", after: 0, through: 1, data: ["lone"] },
          { type: "messages", after: 1, through: 4, data: ["a", "b", "c"] },
          { type: "messages", after: 4, through: 5, data: [""] },
        ]);
      }
    });

    test("PR5 writes that come at once share frames, and none is left out", async () => {
      const room = new TestRoom(host, "wide");
      const clients = await room.speakMany(10);
      const texts = Array.from({ length: 60 }, (_, index) => String(index));
      await Promise.all(texts.map((text) => room.publish(text)));
      const [first] = clients;
      const order = (await first?.messagesThrough(60)) ?? [];
      expect(new Set(order.map(([, data]) => data))).toEqual(new Set(texts));
      expect(order).toHaveLength(60);
      for (const client of clients) {
        expect(await client.messagesThrough(60)).toEqual(order);
        expect(client.frames.filter((frame) => frame.type === "messages").length).toBeLessThan(60);
      }
    });

    test("PR5 a large batch is several frames that follow on each other", async () => {
      const room = new TestRoom(host, "game");
      const client = await room.speak();
      const lines = Array.from({ length: 6 }, (_, index) => String(index).repeat(8_000));
      await room.deliver(lines.join("\n"), { headers: ndjson });
      expect(await client.messagesThrough(6)).toEqual(
        lines.map((line, index) => [index + 1, line]),
      );
      expect(client.frames.length).toBeGreaterThan(2);
    });

    test("PR5, RC1 bytes are base64, text is itself, and a plain socket gets both as they are", async () => {
      const room = new TestRoom(host, "game");
      const client = await room.speak();
      const plain = await room.join();
      const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
      const text = 'é \u{1F389} \u2028 \0 "';
      await room.publish(bytes, { headers: binary });
      await room.publish(new Uint8Array(), { headers: binary });
      await room.deliver(text);
      const base64 = btoa(String.fromCharCode(...bytes));
      expect(await client.messagesThrough(3)).toEqual([
        [1, { base64 }],
        [2, { base64: "" }],
        [3, text],
      ]);
      expect(await plain.received(3)).toEqual([bytes, new Uint8Array(), text]);
    });

    test("PR5, LK7 a mebibyte is a frame of its own, whatever its characters", async () => {
      const room = new TestRoom(host, "game");
      const client = await room.speak();
      const texts = ["x".repeat(mebibyte), "\u0001".repeat(mebibyte / 2), "é".repeat(mebibyte / 2)];
      for (const [index, text] of texts.entries()) {
        await room.deliver(text);
        const messages = await client.takeThrough(index + 1);
        expect(messages[index]?.[1] === text).toBe(true);
      }
      await room.deliver("after");
      expect((await client.messagesThrough(4)).at(-1)).toEqual([4, "after"]);
    });

    test("PR12, DL11 a volatile message comes without a number, in its place", async () => {
      const room = new TestRoom(host, "wide");
      const clients = await room.speakMany(5);
      await room.publish("one");
      await room.publish("lost perhaps", { query: "volatile=1" });
      await room.publish(Uint8Array.of(1), { query: "volatile=1", headers: binary });
      await room.deliver("two");
      for (const client of clients) {
        await client.messagesThrough(2);
        expect(client.frames.slice(1)).toEqual([
          { type: "messages", after: 0, through: 1, data: ["one"] },
          { type: "volatile", data: ["lost perhaps"] },
          { type: "volatile", data: [{ base64: "AQ==" }] },
          { type: "messages", after: 1, through: 2, data: ["two"] },
        ]);
      }
      const late = await room.speak(`epoch=${(await room.status()).epoch}&since=0`);
      await late.messagesThrough(2);
      expect(late.frames.filter((frame) => frame.type === "volatile")).toEqual([]);
    });

    test("PR10 ping is answered pong, as often as it is sent", async () => {
      const room = new TestRoom(host, "game");
      const client = await room.speak();
      for (let times = 0; times < 3; times += 1) await client.pong();
      await room.deliver("still here");
      expect(await client.messagesThrough(1)).toEqual([[1, "still here"]]);
      await client.pong();
    });

    test("PR11 what is not of the protocol closes that socket with 4500, and no other", async () => {
      const room = new TestRoom(host, "wide");
      const witness = await room.speak();
      const plain = await room.join();
      for (const bad of malformed) {
        const client = await room.speak();
        client.sendRaw(bad);
        const { code } = await client.closed();
        expect([bad, code]).toEqual([bad, 4500]);
      }
      await room.deliver("unmoved");
      expect(await witness.messagesThrough(1)).toEqual([[1, "unmoved"]]);
      // Where the room class tells who has left, the plain socket hears of that too.
      const heard = await plain.receivedThrough("unmoved");
      expect(heard.filter((frame) => !String(frame).startsWith("left "))).toEqual(["unmoved"]);
      expect(await room.status()).toMatchObject({ connections: 2 });
    });

    test("PR11 an acknowledgement of what was never sent closes that socket with 4500", async () => {
      const room = new TestRoom(host, "game");
      const [witness, hasty, stale] = [await room.speak(), await room.speak(), await room.speak()];
      await room.deliver("one");
      await Promise.all([witness, hasty, stale].map((client) => client.messagesThrough(1)));
      hasty.send({ type: "ack", seq: 2 });
      expect(await hasty.closed()).toMatchObject({ code: 4500 });
      // What has been acknowledged may be acknowledged again, and less than that.
      for (const seq of [1, 1, 0]) stale.send({ type: "ack", seq });
      await stale.settled();
      await room.deliver("two");
      for (const client of [witness, stale]) {
        expect((await client.messagesThrough(2)).at(-1)).toEqual([2, "two"]);
      }
    });

    test("PR1, HT4 an unknown protocol and half a position are refused", async () => {
      const room = new TestRoom(host, "wide");
      for (const query of impossibleQueries) {
        const { refused } = await room.knock(query);
        if (refused === null) throw new Error(`a socket opened with ${query}`);
        expectProblem(refused, 400, "malformed-query");
      }
      expect(await room.status()).toMatchObject({ connections: 0 });
    });

    test("PR8 a room type that does not say so takes no publish over the socket", async () => {
      const room = new TestRoom(host, "game");
      const client = await room.speak();
      expect(await client.publish("my-id", "x")).toEqual({
        type: "rejected",
        id: "my-id",
        problem: {
          type: "urn:partyshard:problem:publish-not-allowed",
          title: expect.any(String) as string,
          status: 403,
          detail: expect.any(String) as string,
        },
      });
      expect(await room.status()).toMatchObject({ seq: 0 });
    });
  });
}

const malformed: readonly (string | Uint8Array<ArrayBuffer>)[] = [
  "",
  "hello",
  "PING",
  " ping",
  "null",
  "[]",
  "{}",
  '{"type":"nosuch"}',
  '{"type":"welcome"}',
  '{"type":"ack"}',
  '{"type":"ack","seq":-1}',
  '{"type":"ack","seq":0.5}',
  '{"type":"ack","seq":"0"}',
  '{"type":"ack","seq":0,"more":1}',
  '{"type":"ack","seq":0',
  '{"type":"send"}',
  '{"type":"send","data":1}',
  '{"type":"send","data":{"base64":"???"}}',
  '{"type":"publish","data":"x"}',
  '{"type":"publish","id":"","data":"x"}',
  `{"type":"publish","id":"${"x".repeat(256)}","data":"x"}`,
  '{"type":"publish","id":"~x","data":"x"}',
  '{"type":"publish","id":"é","data":"x"}',
  '{"type":"publish","id":"x","data":"x","topic":"a,b"}',
  '{"type":"publish","id":"x","data":"x","topic":"a:*"}',
  '{"type":"subscribe","topics":"a"}',
  '{"type":"subscribe","topics":["a b"]}',
  '{"type":"subscribe","topics":["a*"]}',
  `{"type":"subscribe","topics":["${"x".repeat(129)}"]}`,
  JSON.stringify({ type: "subscribe", topics: Array.from({ length: 101 }, String) }),
  Uint8Array.from("ping", (letter) => letter.charCodeAt(0)),
];

const impossibleQueries: readonly string[] = [
  "protocol=2",
  "protocol=0",
  "protocol=",
  "protocol=1.0",
  "protocol=%201",
  "protocol=1&since=1",
  "protocol=1&epoch=x",
  "protocol=1&epoch=&since=1",
  `protocol=1&epoch=${"x".repeat(65)}&since=1`,
  "protocol=1&epoch=x&since=",
  "protocol=1&epoch=x&since=-1",
  "protocol=1&epoch=x&since=1.5",
  "protocol=1&epoch=x&since=1e3",
  "protocol=1&epoch=x&since=9999999999999999",
];
