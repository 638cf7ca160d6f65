/** Room classes and clients of protocol 1: what the class gets, sends, and makes of messages. */
import { describe, expect, test } from "vitest";
import type { ProtocolSocket } from "../support/protocol-socket.ts";
import type { RecordedSocket } from "../support/recorded-socket.ts";
import type { RoomsHost } from "./host.ts";
import { TestRoom } from "./test-room.ts";

const ndjson = { "content-type": "application/x-ndjson" };

export function describeProtocolHooks(host: RoomsHost): void {
  describe("room classes with protocol 1", () => {
    test("PR9 what a client sends reaches onMessage, and the answer comes as local", async () => {
      const room = new TestRoom(host, "talking");
      const client = await room.speak("_pk=me");
      const { shard } = await client.welcome();
      expect(await client.ask("who")).toBe("me");
      expect(await client.ask("where")).toBe(shard);
      expect(await client.ask("has me")).toBe("true");
      expect(client.frames.slice(1)).toEqual([
        { type: "local", data: "me" },
        { type: "local", data: shard },
        { type: "local", data: "true" },
      ]);
    });

    test("PR9, PR1 what onConnect sends comes after the welcome", async () => {
      const room = new TestRoom(host, "talking");
      const client = await room.speak("greeting=good+day");
      const local = await client.receivedOf("local");
      expect(local.data).toBe("good day");
      expect(client.frames.map(({ type }) => type)).toEqual(["welcome", "local"]);
    });

    test("PR9, RC4 a broadcast of the class is local to some and plain to others", async () => {
      const room = new TestRoom(host, "talking");
      const { client, plain } = await together(room);
      client.send({ type: "send", data: "tell good day" });
      expect(await plain.receivedThrough("good day")).toContain("good day");
      const told = await client.receivedOf("local", ({ data }) => data === "good day");
      expect(told).toEqual({ type: "local", data: "good day" });
      const bytes = Uint8Array.of(0, 1, 255);
      plain.send(bytes);
      await client.receivedOf("local", ({ data }) => typeof data !== "string");
      expect(client.frames.at(-1)).toEqual({ type: "local", data: { base64: "AAH/" } });
      const { length } = plain.frames;
      client.send({ type: "send", data: { base64: "/wEA" } });
      expect((await plain.received(length + 1)).at(-1)).toEqual(Uint8Array.of(255, 1, 0));
      // Had a message of the room come between, it would have no number of its own.
      expect(await room.status()).toMatchObject({ seq: 0 });
    });

    test("PR7, PR9 a client that lets what the class sends pile up is closed with 4005", async () => {
      const room = new TestRoom(host, "talking");
      const [diligent, slow] = [await room.speak(), await room.speak()];
      const text = "y".repeat(250_000);
      for (const client of [diligent, slow]) {
        for (let times = 0; times < 9; times += 1) {
          client.send({ type: "send", data: `tell ${times} ${text}` });
          await client.receivedOf("local", ({ data }) => data === `${times} ${text}`);
          if (client === diligent) client.ack();
        }
        client.send({ type: "send", data: `tell more ${text}` });
      }
      expect(await slow.closed()).toMatchObject({ code: 4005 });
      await room.deliver("one");
      expect(await diligent.messagesThrough(1)).toEqual([[1, "one"]]);
    });

    test("PR10, RC5 a plain socket's ping is for the class, whoever else is there", async () => {
      const room = new TestRoom(host, "talking");
      const alone = await room.speak();
      await alone.pong();
      const { client, plain } = await together(room);
      const { length } = plain.frames;
      plain.send("ping");
      const heard = await client.receivedOf("local", ({ data }) => data === "ping");
      expect(heard).toEqual({ type: "local", data: "ping" });
      await client.pong();
      expect(await plain.ask("who")).toEqual(expect.any(String));
      expect(plain.frames.slice(length)).not.toContain("pong");
      // A client's own ping, meant for the class, is no ping of the protocol either.
      client.send({ type: "send", data: "ping" });
      expect(await plain.receivedThrough("ping")).toContain("ping");
      plain.close();
      await plain.closed();
      await client.pong();
    });

    test("PR9 the class may close a client of protocol 1", async () => {
      const room = new TestRoom(host, "talking");
      const client = await room.speak();
      client.send({ type: "send", data: "close 4321" });
      expect(await client.closed()).toMatchObject({ code: 4321 });
      const failing = await room.speak("fail=1");
      expect(await failing.closed()).toMatchObject({ code: 4004 });
      expect(await (await room.speak()).ask("who")).toEqual(expect.any(String));
    });

    test("PR5, RC2 a message that onBroadcast drops is missing from `data` and covered all the same", async () => {
      const room = new TestRoom(host, "transform");
      const client = await room.speak();
      const { shard } = await client.welcome();
      await room.publish("a\nsecret\nb\nsecret", { headers: ndjson });
      await room.publish("secret alone");
      await room.deliver("c");
      await client.messagesThrough(6);
      expect(client.messages).toEqual([
        [1, `1 a ${shard}`],
        [3, `3 b ${shard}`],
        [6, `6 c ${shard}`],
      ]);
      expect(client.frames[1]).toMatchObject({
        after: 0,
        through: 4,
        data: [`1 a ${shard}`, `3 b ${shard}`],
        seq: [1, 3],
      });
    });

    test("PR2, RC2 a client that comes back gets what onBroadcast makes of the past, on either shard", async () => {
      const room = new TestRoom(host, "transform");
      const client = await room.speak();
      const { shard, epoch } = await client.welcome();
      for (const text of ["a", "secret", "b", "c"]) await room.deliver(text);
      await client.messagesThrough(4);
      const resume = `epoch=${epoch}&since=1`;
      for (const back of [
        await room.speakAt(shard, resume),
        await room.speakElsewhere(shard, resume),
      ]) {
        const there = await back.welcome();
        expect(there).toMatchObject({ seq: 1, recovered: true });
        expect(await back.messagesThrough(4)).toEqual([
          [3, `3 b ${there.shard}`],
          [4, `4 c ${there.shard}`],
        ]);
      }
    });

    test("PR2, PR4 onBroadcast is told what is read again from the log, and runs once for all", async () => {
      const room = new TestRoom(host, "witness");
      const client = await room.speak();
      const { shard, epoch } = await client.welcome();
      await room.deliver("one");
      await room.deliver("two");
      expect(await client.messagesThrough(2)).toEqual([
        [1, "new: one"],
        [2, "new: two"],
      ]);
      const back = await room.speakElsewhere(shard, `epoch=${epoch}&since=0`);
      await room.deliver("three");
      expect(await back.messagesThrough(3)).toEqual([
        [1, "again: one"],
        [2, "again: two"],
        [3, "new: three"],
      ]);
      // Where it passed through before, it is not read again.
      const same = await room.speakAt(shard, `epoch=${epoch}&since=0`);
      expect(await same.messagesThrough(3)).toEqual(await client.messagesThrough(3));
    });

    test("PR2, RC2 a client that comes back while onBroadcast takes its time misses nothing", async () => {
      const room = new TestRoom(host, "waiting");
      const client = await room.speak();
      const { epoch } = await client.welcome();
      await room.deliver("one");
      await room.publish("wait");
      await room.publish("three\ndrop later", { headers: ndjson });
      // Its answer shows that the class has the first of them.
      expect(await client.ask("who")).toEqual(expect.any(String));
      const back = await room.speak(`epoch=${epoch}&since=0`);
      const fresh = await room.speak();
      client.send({ type: "send", data: "go" });
      await room.deliver("end");
      const all = [
        [1, "one"],
        [2, "wait"],
        [3, "three"],
        [5, "end"],
      ];
      expect(await client.messagesThrough(5)).toEqual(all);
      expect(await back.messagesThrough(5)).toEqual(all);
      const start = (await fresh.welcome()).seq;
      expect(await fresh.messagesThrough(5)).toEqual(all.filter(([seq]) => Number(seq) > start));
    });

    test("RC6, PR5 a hook that throws leaves its message out for this shard, and the rest follows", async () => {
      const room = new TestRoom(host, "throwing");
      const client = await room.speak();
      await room.deliver("a\nthrow\nb\nreject\nc", { headers: ndjson });
      await room.deliver("d");
      expect(await client.messagesThrough(6)).toEqual([
        [1, "a"],
        [3, "b"],
        [5, "c"],
        [6, "d"],
      ]);
    });

    test("PR3, RC3 a class that gets its messages as requests does not replay", async () => {
      const room = new TestRoom(host, "requests");
      const client = await room.speak();
      const { epoch } = await client.welcome();
      await room.deliver("a");
      const local = await client.receivedOf("local");
      expect(local.data).toBe("POST text/plain;charset=UTF-8 a");
      const { shard } = await client.welcome();
      const here = await room.speakAt(shard, `epoch=${epoch}&since=1`);
      expect(await here.welcome()).toMatchObject({ seq: 1, recovered: true });
      const gone = await room.speakAt(shard, `epoch=${epoch}&since=0`);
      expect(await gone.welcome()).toMatchObject({ seq: 1, recovered: false });
    });

    test("PR3, DL7 what the room has forgotten is not recovered, and what it has is", async () => {
      const room = new TestRoom(host, "brief");
      const { epoch } = await room.publish("1");
      for (let number = 2; number <= 10; number += 1) await room.publish(String(number));
      expect(await room.status()).toMatchObject({ history: { first: 6, last: 10 } });
      for (const since of [0, 1, 4]) {
        const client = await room.speak(`epoch=${epoch}&since=${since}`);
        expect(await client.welcome()).toMatchObject({ epoch, seq: 10, recovered: false });
        await client.settled();
        expect(client.messages).toEqual([]);
      }
      const back = await room.speak(`epoch=${epoch}&since=5`);
      expect(await back.welcome()).toMatchObject({ seq: 5, recovered: true });
      expect(await back.messagesThrough(10)).toEqual(
        [6, 7, 8, 9, 10].map((number) => [number, String(number)]),
      );
    });

    test("PR14, PR3 reading what the room has forgotten says so, and gives what there is", async () => {
      const room = new TestRoom(host, "brief");
      const { epoch } = await room.publish("1");
      for (let number = 2; number <= 10; number += 1) await room.publish(String(number));
      const numbers = [6, 7, 8, 9, 10];
      const rest = { epoch, after: 5, through: 10, messages: numbers.map((seq) => ({ seq })) };
      expect(await room.read()).toMatchObject({ ...rest, recovered: true });
      expect(await room.read(`epoch=${epoch}&since=4`)).toMatchObject({
        ...rest,
        recovered: false,
      });
      expect(await room.read(`epoch=${epoch}&since=5`)).toMatchObject({ ...rest, recovered: true });
    });

    test("AD1, AD3 clients of protocol 1 take places, and give them back", async () => {
      const room = new TestRoom(host, "single");
      const client = await room.speak();
      expect((await room.knock("protocol=1")).refused?.status).toBe(503);
      client.sendRaw("not of the protocol");
      expect(await client.closed()).toMatchObject({ code: 4500 });
      const next = await room.speak();
      await room.deliver("inside");
      expect(await next.messagesThrough(1)).toEqual([[1, "inside"]]);
    });
  });
}

/** A client of protocol 1 and a plain socket on one shard. */
async function together(
  room: TestRoom,
): Promise<{ readonly client: ProtocolSocket; readonly plain: RecordedSocket }> {
  const client = await room.speak();
  const { shard } = await client.welcome();
  for (let attempts = 0; attempts < 20; attempts += 1) {
    const plain = await room.join();
    if ((await plain.ask("where")) === shard) return { client, plain };
  }
  throw new Error(`${shard} took no plain socket`);
}
