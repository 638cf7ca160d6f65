/** Coming back: a client of protocol 1 goes on where it was, or is told that it cannot. */
import { describe, expect, test } from "vitest";
import type { RoomsHost } from "./host.ts";
import { TestRoom } from "./test-room.ts";

const ndjson = { "content-type": "application/x-ndjson" };

export function describeResuming(host: RoomsHost): void {
  describe("resuming", () => {
    test("PR2 on the same shard a client gets what it missed, and goes on", async () => {
      const room = new TestRoom(host, "game");
      const client = await room.speak();
      await room.publish("one");
      await client.messagesThrough(1);
      const { resume } = client;
      client.close();
      await client.closed();
      await room.publish("two");
      await room.publish("three\nfour", { headers: ndjson });
      const back = await room.speak(resume);
      expect(await back.welcome()).toMatchObject({ seq: 1, recovered: true });
      await room.deliver("five");
      expect(await back.messagesThrough(5)).toEqual([
        [2, "two"],
        [3, "three"],
        [4, "four"],
        [5, "five"],
      ]);
    });

    test("PR2 on a shard that had clients all the time", async () => {
      const room = new TestRoom(host, "wide");
      const stayed = await room.speakMany(5);
      const client = await room.speak();
      const { shard } = await client.welcome();
      await room.deliver("one");
      await client.messagesThrough(1);
      const { resume } = client;
      client.close();
      await room.publish("two");
      const back = await room.speakElsewhere(shard, resume);
      expect(await back.welcome()).toMatchObject({ seq: 1, recovered: true });
      await room.deliver("three");
      expect(await back.messagesThrough(3)).toEqual([
        [2, "two"],
        [3, "three"],
      ]);
      for (const each of stayed) expect(await each.messagesThrough(3)).toHaveLength(3);
    });

    test("PR2 on a shard that nobody has used", async () => {
      const room = new TestRoom(host, "wide");
      const client = await room.speak();
      const { shard } = await client.welcome();
      await room.publish("one");
      await room.publish("two");
      await client.messagesThrough(2);
      const { resume } = client;
      await room.publish("three");
      const back = await room.speakElsewhere(shard, resume);
      expect(await back.welcome()).toMatchObject({ seq: 2, recovered: true });
      await room.deliver("four");
      expect(await back.messagesThrough(4)).toEqual([
        [3, "three"],
        [4, "four"],
      ]);
      expect(await client.messagesThrough(4)).toHaveLength(4);
    });

    test("PR2 from the middle of a batch, from its end, and from the beginning", async () => {
      const room = new TestRoom(host, "wide");
      const { epoch } = await room.publish("a\nb\nc\nd", { headers: ndjson });
      await room.publish("e\nf", { headers: ndjson });
      const all = ["a", "b", "c", "d", "e", "f"].map((data, index) => [index + 1, data]);
      for (const since of [6, 3, 5, 4, 0, 2, 1]) {
        const client = await room.speak(`epoch=${epoch}&since=${since}`);
        expect(await client.welcome()).toMatchObject({ seq: since, recovered: true });
        expect(await client.messagesThrough(6)).toEqual(all.slice(since));
        await client.settled();
        expect(client.messages).toHaveLength(6 - since);
      }
    });

    test("PR2, PR4 many that come back at once, while the room goes on, each get their rest", async () => {
      const room = new TestRoom(host, "wide");
      const before = Array.from({ length: 50 }, (_, index) => `before ${index + 1}`);
      const { epoch } = await room.publish(before.join("\n"), { headers: ndjson });
      for (const text of ["x", "y", "z"]) await room.publish(text);
      const publishing = (async () => {
        for (let times = 0; times < 50; times += 1) await room.publish(`during ${times}`);
      })();
      const clients = await Promise.all(
        Array.from({ length: 27 }, (_, index) => room.speak(`epoch=${epoch}&since=${index * 2}`)),
      );
      await publishing;
      const { seq } = await room.deliver("end");
      const { messages } = await room.read("limit=1000");
      const all = messages.map((message) => [message.seq, "data" in message ? message.data : ""]);
      expect(all).toHaveLength(seq);
      for (const [index, client] of clients.entries()) {
        expect(await client.welcome()).toMatchObject({ seq: index * 2, recovered: true });
        expect(await client.messagesThrough(seq)).toEqual(all.slice(index * 2));
      }
    });

    test("PR2 a client that comes back again and again misses nothing", async () => {
      const room = new TestRoom(host, "wide");
      let client = await room.speak();
      const got = [];
      const publishing = (async () => {
        for (let number = 1; number <= 60; number += 1) await room.publish(String(number));
      })();
      for (let times = 0; times < 12; times += 1) {
        const back = await room.speak(client.resume);
        expect(await back.welcome()).toMatchObject({ recovered: true });
        // What the old connection got after that, the new one gets.
        got.push(...client.messages.filter(([seq]) => seq <= sinceOf(back.frames)));
        client.close();
        client = back;
      }
      await publishing;
      got.push(...(await client.messagesThrough(60)));
      expect(got).toEqual(Array.from({ length: 60 }, (_, index) => [index + 1, String(index + 1)]));
    });

    test("PR3 a position beyond the last message is not recovered", async () => {
      const room = new TestRoom(host, "wide");
      const { epoch } = await room.publish("one");
      const inUse = await room.speak();
      for (const since of [2, 1_000, 999_999_999_999_999]) {
        const client = await room.speak(`epoch=${epoch}&since=${since}`);
        expect(await client.welcome()).toMatchObject({ epoch, seq: 1, recovered: false });
      }
      const { shard } = await inUse.welcome();
      const there = await room.speakAt(shard, `epoch=${epoch}&since=2`);
      expect(await there.welcome()).toMatchObject({ epoch, seq: 1, recovered: false });
      await room.deliver("two");
      expect(await there.messagesThrough(2)).toEqual([[2, "two"]]);
    });

    test("PR3 an epoch of another life is not recovered, earlier or later", async () => {
      const room = new TestRoom(host, "wide");
      const { epoch } = await room.publish("one");
      for (const other of ["0", "zzzzzzzzz.later", `${epoch}x`, "%00", "a%20b"]) {
        for (const since of [0, 1, 2]) {
          const client = await room.speak(`epoch=${other}&since=${since}`);
          expect(await client.welcome()).toMatchObject({ epoch, seq: 1, recovered: false });
        }
      }
      const last = await room.speak(`epoch=0&since=0`);
      await room.deliver("two");
      expect(await last.messagesThrough(2)).toEqual([[2, "two"]]);
    });
  });
}

function sinceOf(frames: readonly { readonly type: string }[]): number {
  const [first] = frames;
  if (first === undefined || !("seq" in first) || typeof first.seq !== "number") return -1;
  return first.seq;
}
