/** What a publisher and the clients may rely on for every message. */
import { describe, expect, test } from "vitest";
import type { RoomsHost } from "./host.ts";
import { expectProblem, TestRoom } from "./test-room.ts";

const ndjson = { "content-type": "application/x-ndjson" };
const binary = { "content-type": "application/octet-stream" };
const mebibyte = 1024 * 1024;

export function describePublishing(host: RoomsHost): void {
  describe("publishing", () => {
    test("HT1, RC1 a POST reaches every client of every shard", async () => {
      const room = new TestRoom(host, "wide");
      const sockets = await room.joinMany(20);
      const receipt = await room.publish("hello");
      expect(receipt).toMatchObject({ room: room.id, seq: 1 });
      expect(receipt).not.toHaveProperty("first");
      expect(receipt.shards.delivered + receipt.shards.pending).toBe(10);
      for (const socket of sockets) expect(await socket.received(1)).toEqual(["hello"]);
    });

    test("HT1, SU2 only shards with clients are counted, and none in an empty room", async () => {
      const room = new TestRoom(host, "wide");
      expect(await room.publish("nobody")).toMatchObject({
        seq: 1,
        shards: { delivered: 0, pending: 0 },
      });
      const socket = await room.join();
      expect(await room.deliver("somebody")).toMatchObject({
        seq: 2,
        shards: { delivered: 1, pending: 0 },
      });
      expect(await socket.received(1)).toEqual(["somebody"]);
    });

    test("HT2 wait=delivered answers when every shard with clients has the message", async () => {
      const room = new TestRoom(host, "wide");
      const sockets = await room.joinMany(10);
      const { shards } = await room.status();
      const used = shards.filter((shard) => shard.connections > 0).length;
      const receipt = await room.deliver("first");
      expect(receipt.shards).toEqual({ delivered: used, pending: 0 });
      const after = await room.status();
      for (const shard of after.shards) expect(shard.acked).toBe(1);
      for (const socket of sockets) expect(await socket.received(1)).toEqual(["first"]);
    });

    test("RC1 bytes arrive as bytes, also none and a mebibyte of them", async () => {
      const room = new TestRoom(host, "game");
      const socket = await room.join();
      const all = Uint8Array.from({ length: 256 }, (_, index) => index);
      const large = Uint8Array.from({ length: mebibyte }, (_, index) => index % 251);
      await room.publish(all, { headers: binary });
      await room.publish(new Uint8Array(), { headers: binary });
      await room.deliver(large, { headers: binary });
      const frames = await socket.received(3);
      expect(frames.slice(0, 2)).toEqual([all, new Uint8Array()]);
      expect(isSame(frames[2], large)).toBe(true);
    });

    test("RC1 text arrives unchanged: empty, with a byte order mark, beyond the basic plane", async () => {
      const room = new TestRoom(host, "game");
      const socket = await room.join();
      const texts = [
        "",
        "\uFEFFmarked",
        "é \u{1F389} \u2028 \0",
        "line\nline\r\n",
        '{"json":"\\n"}',
      ];
      for (const text of texts) await room.publish(text);
      expect(await socket.received(texts.length)).toEqual(texts);
    });

    test("LK7, DL9 a mebibyte of characters that JSON writes sixfold arrives whole", async () => {
      const room = new TestRoom(host, "wide");
      const sockets = await room.joinMany(5);
      const large = "\u0001".repeat(mebibyte);
      await room.deliver(large);
      await room.deliver("after");
      for (const socket of sockets) {
        const [first, second] = await socket.received(2);
        expect(first === large).toBe(true);
        expect(second).toBe("after");
      }
    });

    test("LK7 a mebibyte of characters beyond the basic plane arrives whole", async () => {
      const room = new TestRoom(host, "game");
      const socket = await room.join();
      const large = `x${"\u{1F389}".repeat(mebibyte / 4 - 1)}`;
      await room.deliver(large);
      expect((await socket.received(1))[0] === large).toBe(true);
    });

    test("DL10, HT1 an NDJSON body is many messages, in order and next to each other", async () => {
      const room = new TestRoom(host, "wide");
      const sockets = await room.joinMany(5);
      await room.publish("before");
      const bodies = await Promise.all(
        ["a", "b", "c"].map((name) => {
          const lines = Array.from({ length: 50 }, (_, index) => `{"${name}":${index}}`);
          return room.publish(lines.join("\n"), { headers: ndjson });
        }),
      );
      for (const { first, seq } of bodies) expect(seq).toBe((first ?? 0) + 49);
      expect(bodies.map((body) => body.seq).toSorted((one, other) => one - other)).toEqual([
        51, 101, 151,
      ]);
      for (const socket of sockets) {
        const frames = await socket.received(151);
        for (const [index, { first }] of bodies.entries()) {
          const start = (first ?? 0) - 1;
          const name = "abc"[index] ?? "";
          expect(frames[start]).toBe(`{"${name}":0}`);
          expect(frames[start + 49]).toBe(`{"${name}":49}`);
        }
      }
    });

    test("DL10 line ends and empty lines of an NDJSON body are no messages", async () => {
      const room = new TestRoom(host, "game");
      const socket = await room.join();
      const receipt = await room.publish('\n{"a":1}\r\n\r\n"b"\n\n', {
        headers: { "content-type": "Application/X-NDJSON; charset=utf-8" },
      });
      expect(receipt).toMatchObject({ first: 1, seq: 2 });
      expect(await socket.received(2)).toEqual(['{"a":1}', '"b"']);
    });

    test("DL1, DL3 every socket sees one order, whoever publishes", async () => {
      const room = new TestRoom(host, "wide");
      const sockets = await room.joinMany(20);
      const seqs = new Map<string, number>();
      const publishers = Array.from({ length: 8 }, async (_, publisher) => {
        let last = 0;
        for (let index = 0; index < 20; index += 1) {
          const text = `${publisher}/${index}`;
          const { seq } = await room.publish(text);
          expect(seq).toBeGreaterThan(last);
          last = seq;
          seqs.set(text, seq);
        }
      });
      await Promise.all(publishers);
      const order = [...seqs].toSorted(([, one], [, other]) => one - other);
      expect(order.map(([, seq]) => seq)).toEqual(order.map((_, index) => index + 1));
      await room.deliver("end");
      const expected = [...order.map(([text]) => text), "end"];
      for (const socket of sockets) expect(await socket.receivedThrough("end")).toEqual(expected);
    });

    test("DL3, SU1 a client gets what is published after its socket is open, and nothing before", async () => {
      const room = new TestRoom(host, "wide");
      await room.publish("before");
      const first = await room.join();
      await room.publish("between");
      const second = await room.join();
      await room.deliver("after");
      expect(await first.receivedThrough("after")).toEqual(["between", "after"]);
      expect(await second.receivedThrough("after")).toEqual(["after"]);
    });

    test("DL4 a write repeated with its key has one effect and one answer", async () => {
      const room = new TestRoom(host, "wide");
      const socket = await room.join();
      const headers = { "idempotency-key": "order 66 ~" };
      const first = await room.publish("once", { headers });
      await room.publish("else");
      const again = await room.deliver("once", { headers });
      expect(again).toMatchObject({ epoch: first.epoch, seq: first.seq });
      await room.deliver("end");
      expect(await socket.receivedThrough("end")).toEqual(["once", "else", "end"]);
    });

    test("DL4, DL10 a body of many messages repeated with its key keeps its place", async () => {
      const room = new TestRoom(host, "wide");
      const socket = await room.join();
      const headers = { ...ndjson, "idempotency-key": "many" };
      const first = await room.publish("1\n2\n3", { headers });
      expect(first).toMatchObject({ first: 1, seq: 3 });
      expect(await room.deliver("1\n2\n3", { headers })).toMatchObject({ first: 1, seq: 3 });
      await room.deliver("end");
      expect(await socket.receivedThrough("end")).toEqual(["1", "2", "3", "end"]);
    });

    test("DL4 writes with one key at the same time are one write", async () => {
      const room = new TestRoom(host, "wide");
      const socket = await room.join();
      const headers = { "idempotency-key": "same" };
      const receipts = await Promise.all(
        Array.from({ length: 10 }, () => room.publish("once", { headers })),
      );
      expect(new Set(receipts.map((receipt) => receipt.seq))).toEqual(new Set([1]));
      await room.deliver("end");
      expect(await socket.receivedThrough("end")).toEqual(["once", "end"]);
    });

    test("DL4 a key that comes with another body is refused, also at the same time", async () => {
      const room = new TestRoom(host, "wide");
      const headers = { "idempotency-key": "mine" };
      await room.publish("one", { headers });
      expectProblem(await room.post("two", { headers }), 422, "idempotency-key-reused");
      expectProblem(
        await room.post("one", { headers: { ...headers, ...binary } }),
        422,
        "idempotency-key-reused",
      );
      const race = { "idempotency-key": "race" };
      const answers = await Promise.all([
        room.post("left", { headers: race }),
        room.post("right", { headers: race }),
      ]);
      const statuses = answers.map((answer) => answer.status);
      expect(new Set(statuses)).toEqual(new Set([200, 422]));
      expect(await room.status()).toMatchObject({ seq: 2 });
    });

    test("DL11 a volatile message reaches every client, and has no number", async () => {
      const room = new TestRoom(host, "wide");
      const sockets = await room.joinMany(5);
      await room.deliver("logged");
      const receipt = await room.publish("volatile", { query: "volatile=1" });
      expect(receipt.seq).toBe(1);
      await room.deliver("end");
      for (const socket of sockets) {
        expect(await socket.receivedThrough("end")).toEqual(["logged", "volatile", "end"]);
      }
      expect(await room.status()).toMatchObject({ seq: 2, history: { first: 1, last: 2 } });
    });

    test("DL11 many volatile messages in one body keep their order", async () => {
      const room = new TestRoom(host, "game");
      const socket = await room.join();
      await room.deliver("logged");
      await room.publish("1\n2\n3", { headers: ndjson, query: "volatile=1" });
      await room.deliver("end");
      expect(await socket.receivedThrough("end")).toEqual(["logged", "1", "2", "3", "end"]);
    });

    test("HT5 the status tells the position, the history and what shards have acknowledged", async () => {
      const room = new TestRoom(host, "wide");
      await room.joinMany(5);
      const { epoch } = await room.publish("1");
      await room.publish("2\n3", { headers: ndjson });
      await room.deliver("4");
      const status = await room.status();
      expect(status).toMatchObject({ epoch, seq: 4, history: { first: 1, last: 4 } });
      for (const shard of status.shards)
        expect(shard).toMatchObject({ acked: 4, status: "online" });
    });
  });
}

/** Whether the frame holds these bytes: a mebibyte is too large to print when it does not. */
function isSame(frame: string | Uint8Array | undefined, bytes: Uint8Array): boolean {
  if (!(frame instanceof Uint8Array) || frame.length !== bytes.length) return false;
  return frame.every((byte, index) => byte === bytes[index]);
}
