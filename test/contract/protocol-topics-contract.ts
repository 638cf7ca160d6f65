/** Topics: who gets what, and that nobody gets it twice or loses their place by it. */
import { describe, expect, test } from "vitest";
import type { RoomsHost } from "./host.ts";
import { expectProblem, TestRoom } from "./test-room.ts";

const ndjson = { "content-type": "application/x-ndjson" };

/** Topics of the messages that `publishAll` publishes, each with its topic for a text. */
const topics = ["a", "A", "ab", "scores", "scores:1", "scores:1:x", "scores:", "scoresX", "b"];
const untopical = "for everyone";

/** What a set of filters lets through, besides the message without a topic. */
const wanted: readonly (readonly [filters: string, topics: readonly string[]])[] = [
  ["", []],
  ["a", ["a"]],
  ["a,b", ["a", "b"]],
  ["nosuch", []],
  ["scores:*", ["scores:1", "scores:1:x", "scores:"]],
  ["scores:1:*", ["scores:1:x"]],
  ["scores:1", ["scores:1"]],
  ["*", topics],
  ["*,a,scores:*,scores:1:*,scores:1,scores:1:x", topics],
  ["scores:*,scores:1:*,scores:1:x", ["scores:1", "scores:1:x", "scores:"]],
];

export function describeTopics(host: RoomsHost): void {
  describe("topics", () => {
    test("PR6, PR5 a filter is a topic, a prefix or everything, and no message comes twice", async () => {
      const room = new TestRoom(host, "wide");
      const clients = await Promise.all(wanted.map(([filters]) => room.speak(query(filters))));
      const { seq } = await publishAll(room);
      for (const [index, client] of clients.entries()) {
        expect(await client.messagesThrough(seq)).toEqual(expected(wanted[index]?.[1] ?? []));
      }
    });

    test("PR6 the frame names those present, and covers those left out", async () => {
      const room = new TestRoom(host, "wide");
      const client = await room.speak("topics=a");
      await room.publish("1", { query: "topic=b" });
      await room.publish("2\n3", { query: "topic=a", headers: ndjson });
      await room.publish("4", { query: "topic=b" });
      await room.publish("5");
      await client.messagesThrough(5);
      expect(client.frames.slice(1)).toEqual([
        { type: "messages", after: 0, through: 3, data: ["2", "3"], seq: [2, 3] },
        { type: "messages", after: 3, through: 5, data: ["5"], seq: [5] },
      ]);
    });

    test("PR6, RC1 plain sockets have topics too", async () => {
      const room = new TestRoom(host, "wide");
      const sockets = await Promise.all(wanted.map(([filters]) => room.join(query(filters))));
      await publishAll(room);
      for (const [index, socket] of sockets.entries()) {
        const texts = expected(wanted[index]?.[1] ?? []).map(([, text]) => text);
        expect(await socket.receivedThrough(untopical)).toEqual(texts);
      }
    });

    test("PR6 messages of several topics that come at once reach each client in order", async () => {
      const room = new TestRoom(host, "wide");
      const clients = await Promise.all(
        ["a,b", "a", "b", "*", ""].map((filters) => room.speak(query(filters))),
      );
      const names = ["a", "b", "c"];
      await Promise.all(
        Array.from({ length: 60 }, (_, index) => {
          const topic = names[index % 3] ?? "";
          return room.publish(`${topic} ${index}`, { query: `topic=${topic}` });
        }),
      );
      const { seq } = await room.deliver("end");
      const { messages } = await room.read();
      for (const [index, filter] of ["ab", "a", "b", "abc", ""].entries()) {
        const all = messages.filter(({ topic }) => topic === undefined || filter.includes(topic));
        const seen = await clients[index]?.messagesThrough(seq);
        expect(seen).toEqual(all.map((each) => [each.seq, "data" in each ? each.data : ""]));
      }
    });

    test("PR6 topics are changed at any time, for what comes after that", async () => {
      const room = new TestRoom(host, "game");
      const client = await room.speak("topics=a");
      const witness = await room.speak("topics=a");
      await room.deliver("1 a", { query: "topic=a" });
      await room.deliver("2 b", { query: "topic=b" });
      client.subscribe("b", "c:*");
      await client.settled();
      await room.deliver("3 a", { query: "topic=a" });
      await room.deliver("4 b", { query: "topic=b" });
      await room.deliver("5 c:x", { query: "topic=c:x" });
      client.subscribe();
      await client.settled();
      await room.deliver("6 b", { query: "topic=b" });
      client.subscribe("*");
      await client.settled();
      await room.deliver("7 a", { query: "topic=a" });
      expect(await client.messagesThrough(7)).toEqual([
        [1, "1 a"],
        [4, "4 b"],
        [5, "5 c:x"],
        [7, "7 a"],
      ]);
      expect(await witness.messagesThrough(7)).toEqual([
        [1, "1 a"],
        [3, "3 a"],
        [7, "7 a"],
      ]);
    });

    test("PR6 topics are changed while messages are on their way, and none comes twice", async () => {
      const room = new TestRoom(host, "game");
      const client = await room.speak("topics=a");
      const publishing = (async () => {
        for (let number = 1; number <= 40; number += 1) {
          await room.publish("x", { query: `topic=${number % 2 === 0 ? "a" : "b"}` });
        }
      })();
      for (let times = 0; times < 20; times += 1) {
        client.subscribe(...(times % 2 === 0 ? ["b"] : ["a", "a:*"]));
        await client.settled();
      }
      await publishing;
      await room.deliver("end");
      // That they follow on each other is checked as they come.
      expect((await client.messagesThrough(41)).at(-1)).toEqual([41, "end"]);
    });

    test("PR6, PR2 resume respects topics, also others than before", async () => {
      const room = new TestRoom(host, "wide");
      const { epoch } = await publishAll(room);
      for (const [filters, those] of wanted) {
        const client = await room.speak(`epoch=${epoch}&since=1&${query(filters)}`);
        expect(await client.welcome()).toMatchObject({ seq: 1, recovered: true });
        const rest = expected(those).filter(([seq]) => seq > 1);
        expect(await client.messagesThrough(topics.length + 1)).toEqual(rest);
      }
    });

    test("PR6, PR2 a client that was left out of everything still learns how far it is", async () => {
      const room = new TestRoom(host, "game");
      const client = await room.speak("topics=mine");
      const { epoch } = await room.publish("x\n".repeat(600), {
        headers: ndjson,
        query: "topic=theirs",
      });
      await client.messagesThrough(600);
      expect(client.frames.slice(1)).toEqual([
        { type: "messages", after: 0, through: 600, data: [], seq: [] },
      ]);
      const back = await room.speak(`epoch=${epoch}&since=10&topics=mine`);
      await back.messagesThrough(600);
      expect(back.frames.slice(1)).toEqual([
        { type: "messages", after: 10, through: 600, data: [], seq: [] },
      ]);
      await room.deliver("mine", { query: "topic=mine" });
      for (const each of [client, back])
        expect(await each.messagesThrough(601)).toEqual([[601, "mine"]]);
    });

    test("PR12, PR6 volatile messages have topics too", async () => {
      const room = new TestRoom(host, "game");
      const client = await room.speak("topics=a:*");
      const plain = await room.join("topics=a:*");
      for (const topic of ["a:1", "b", "a", "a:2"]) {
        await room.publish(topic, { query: `volatile=1&topic=${topic}` });
      }
      await room.deliver("end");
      await client.messagesThrough(1);
      expect(client.frames.slice(1)).toEqual([
        { type: "volatile", data: ["a:1"] },
        { type: "volatile", data: ["a:2"] },
        { type: "messages", after: 0, through: 1, data: ["end"] },
      ]);
      expect(await plain.receivedThrough("end")).toEqual(["a:1", "a:2", "end"]);
    });

    test("PR6, HT4 impossible topics, and too many, are refused", async () => {
      const room = new TestRoom(host, "wide");
      const many = Array.from({ length: 101 }, (_, index) => index).join(",");
      for (const filters of [
        "a%20b",
        "a*",
        "*a",
        "a*:b",
        "**",
        "a,",
        ",",
        "%C3%A9",
        many,
        "x".repeat(129),
      ]) {
        for (const protocol of ["", "protocol=1&"]) {
          const { refused } = await room.knock(`${protocol}topics=${filters}`);
          if (refused === null) throw new Error(`a socket opened with the topics ${filters}`);
          expectProblem(refused, 400, "malformed-query");
        }
      }
      for (const topic of ["", "a%20b", "a*", "*", "a:*", "a,b", "%C3%A9", "x".repeat(129)]) {
        const answer = await room.post("x", { query: `topic=${topic}` });
        expectProblem(answer, 400, "malformed-query");
      }
      const most = Array.from({ length: 100 }, (_, index) => index).join(",");
      const client = await room.speak(`topics=${most}`);
      const longest = "x".repeat(128);
      client.subscribe(longest);
      await client.settled();
      await room.deliver("taken", { query: `topic=${longest}` });
      expect(await client.messagesThrough(1)).toEqual([[1, "taken"]]);
    });
  });
}

function query(filters: string): string {
  return `topics=${filters}`;
}

/** One message of each topic, and one for everyone after them. */
async function publishAll(
  room: TestRoom,
): Promise<{ readonly epoch: string; readonly seq: number }> {
  for (const topic of topics) await room.publish(topic, { query: `topic=${topic}` });
  return room.deliver(untopical);
}

/** Numbers and texts of what comes of `publishAll`. */
function expected(those: readonly string[]): [seq: number, text: string][] {
  const all: [number, string][] = topics.map((topic, index) => [index + 1, topic]);
  const kept = all.filter(([, topic]) => those.includes(topic));
  return [...kept, [topics.length + 1, untopical]];
}
