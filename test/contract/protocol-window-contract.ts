/** Clients that do not keep up: they are sent their window, and the others notice nothing. */
import { describe, expect, test } from "vitest";
import type { RoomsHost } from "./host.ts";
import { TestRoom } from "./test-room.ts";

const ndjson = { "content-type": "application/x-ndjson" };

/** As src/shard/protocol-client.ts has it: the window of a client of few. */
const windowUnits = 1024 * 1024;
const windowMessages = 16 * 1024;
/** Large messages, each of which is a frame, so that a few fill the window. */
const textUnits = 60_000;
/** The last frame into the window. */
const frameUnits = textUnits + 1_000;
/** Many messages, of which a frame holds all, and eight frames fill the window. */
const runMessages = windowMessages / 8;
const run = "x\n".repeat(runMessages);

export function describeWindow(host: RoomsHost): void {
  describe("slow clients", () => {
    test("PR7 a client that never acknowledges is sent its window; others get everything", async () => {
      const room = new TestRoom(host, "game");
      const slow = await room.speak();
      const diligent = await room.speak();
      const plain = await room.join();
      const texts = Array.from({ length: 40 }, (_, index) => `${index} ${"x".repeat(textUnits)}`);
      const numbered = texts.map((text, index) => [index + 1, text]);
      const taking = diligent.takeThrough(40);
      for (const text of texts) await room.deliver(text);
      expect(await taking).toEqual(numbered);
      expect(await plain.received(40)).toEqual(texts);
      await slow.settled();
      expect(slow.units).toBeGreaterThanOrEqual(windowUnits);
      expect(slow.units).toBeLessThan(windowUnits + frameUnits);
      const stalledAt = slow.position;
      expect(stalledAt).toBeLessThan(20);

      slow.ack();
      await slow.messagesThrough(stalledAt + 1);
      await slow.settled();
      expect(slow.units).toBeLessThan(2 * (windowUnits + frameUnits));
      expect(await slow.takeThrough(40)).toEqual(numbered);
      await room.deliver("all together");
      for (const client of [slow, diligent]) {
        expect((await client.messagesThrough(41)).at(-1)).toEqual([41, "all together"]);
      }
    });

    test("PR7 the window has a bound of messages too", async () => {
      const room = new TestRoom(host, "game");
      const slow = await room.speak();
      const plain = await room.join();
      for (let times = 0; times < 10; times += 1) await room.deliver(run, { headers: ndjson });
      await plain.received(10 * runMessages);
      await slow.settled();
      expect(slow.position).toBe(windowMessages);
      slow.ack();
      const all = 10 * runMessages;
      expect(await slow.messagesThrough(all)).toHaveLength(all);
    });

    test("PR7 an acknowledgement of a part makes room for as much", async () => {
      const room = new TestRoom(host, "game");
      const slow = await room.speak();
      for (let times = 0; times < 10; times += 1) await room.deliver(run, { headers: ndjson });
      await slow.settled();
      slow.send({ type: "ack", seq: runMessages });
      await slow.messagesThrough(windowMessages + runMessages);
      await slow.settled();
      expect(slow.position).toBe(windowMessages + runMessages);
    });

    test("PR7, PR6 a client may change its topics while it does not keep up", async () => {
      const room = new TestRoom(host, "game");
      const slow = await room.speak("topics=a");
      for (let times = 0; times < 9; times += 1) {
        await room.deliver(run, { headers: ndjson, query: "topic=a" });
      }
      await slow.settled();
      expect(slow.position).toBe(windowMessages);
      slow.subscribe("b");
      await slow.settled();
      slow.ack();
      await room.deliver("b", { query: "topic=b" });
      const last = 9 * runMessages + 1;
      expect((await slow.messagesThrough(last)).at(-1)).toEqual([last, "b"]);
    });

    test("PR7 a client that lacks more than its shard keeps is closed with 4005, and may come back", async () => {
      const room = new TestRoom(host, "game");
      const slow = await room.speak();
      const plain = await room.join();
      const diligent = await room.speak();
      const texts = Array.from({ length: 100 }, (_, index) => `${index} ${"x".repeat(textUnits)}`);
      const taking = diligent.takeThrough(100);
      for (const text of texts) await room.deliver(text);
      await taking;
      expect(await plain.received(100)).toEqual(texts);
      await slow.settled();
      slow.ack();
      expect(await slow.closed()).toMatchObject({ code: 4005 });
      const back = await room.speak(slow.resume);
      await room.deliver("last");
      const { seq } = await back.welcome();
      const rest = [...texts, "last"].slice(seq).map((text, index) => [seq + index + 1, text]);
      expect(await back.takeThrough(101)).toEqual(rest);
    });

    test("PR4, PR7 a client that comes back to much gets all of it", async () => {
      const room = new TestRoom(host, "wide");
      const client = await room.speak();
      const texts = Array.from({ length: 30 }, (_, index) => `${index} ${"y".repeat(8_000)}`);
      await room.deliver(texts.slice(0, 15).join("\n"), { headers: ndjson });
      await room.deliver(texts.slice(15).join("\n"), { headers: ndjson });
      const { epoch, shard } = await client.welcome();
      const resume = `epoch=${epoch}&since=0`;
      for (const back of [
        await room.speakAt(shard, resume),
        await room.speakElsewhere(shard, resume),
      ]) {
        expect(await back.welcome()).toMatchObject({ seq: 0, recovered: true });
        expect(await back.takeThrough(30)).toEqual(texts.map((text, index) => [index + 1, text]));
      }
    });

    test("PR7, PR2 a client that stalled comes back and gets the rest elsewhere", async () => {
      const room = new TestRoom(host, "wide");
      const slow = await room.speak();
      const texts = Array.from({ length: 24 }, (_, index) => `${index} ${"z".repeat(textUnits)}`);
      for (const text of texts) await room.deliver(text);
      await slow.settled();
      const { shard } = await slow.welcome();
      const got = slow.messages.length;
      expect(got).toBeLessThan(24);
      slow.close();
      const back = await room.speakElsewhere(shard, slow.resume);
      const rest = texts.slice(got).map((text, index) => [got + index + 1, text]);
      expect(await back.takeThrough(24)).toEqual(rest);
    });
  });
}
