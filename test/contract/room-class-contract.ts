/** The room class: its hooks, what it sees of its shard, and that its failures stay its own. */
import { describe, expect, test } from "vitest";
import type { RecordedSocket } from "../support/recorded-socket.ts";
import type { RoomsHost } from "./host.ts";
import { expectProblem, TestRoom } from "./test-room.ts";

const ndjson = { "content-type": "application/x-ndjson" };
const binary = { "content-type": "application/octet-stream" };

export function describeHooks(host: RoomsHost): void {
  describe("room classes", () => {
    test("RC2 onBroadcast makes each shard's message, once for all of its clients", async () => {
      const room = new TestRoom(host, "transform");
      const sockets = await room.joinMany(6);
      const places = await Promise.all(sockets.map((socket) => socket.ask("where")));
      expect(new Set(places).size).toBe(2);
      await room.publish("a");
      await room.publish("secret");
      await room.publish(Uint8Array.of(1, 2, 3), { headers: binary });
      await room.publish("off the record", { query: "volatile=1" });
      await room.deliver("b");
      for (const [index, socket] of sockets.entries()) {
        const place = String(places[index]);
        expect(await socket.receivedThrough(`4 b ${place}`)).toEqual([
          place,
          `1 a ${place}`,
          Uint8Array.of(3, 2, 1),
          `null off the record ${place}`,
          `4 b ${place}`,
        ]);
      }
    });

    test("RC2, DL3 the order holds when onBroadcast takes its time", async () => {
      const room = new TestRoom(host, "waiting");
      const [one, other] = await pair(room);
      await room.publish("wait\nb\ndrop later\nc", { headers: ndjson });
      await room.publish("d");
      expect(await one.ask("who")).toEqual(expect.any(String));
      expect(other.frames).toEqual([]);
      one.send("go");
      expect(await other.receivedThrough("d")).toEqual(["wait", "b", "c", "d"]);
      await room.deliver("e");
      expect(await other.receivedThrough("e")).toEqual(["wait", "b", "c", "d", "e"]);
    });

    test("RC6 a hook that throws loses that message alone", async () => {
      const room = new TestRoom(host, "throwing");
      const [one, other] = await pair(room);
      await room.publish("a\nthrow\nb\nreject\nnothing\nc", { headers: ndjson });
      await room.deliver("throw");
      await room.deliver("d");
      for (const socket of [one, other]) {
        expect(await socket.receivedThrough("d")).toEqual(["a", "b", "c", "d"]);
      }
      expect(await room.status()).toMatchObject({ seq: 8, connections: 2 });
    });

    test("RC6 a class that throws in onMessage loses no client and no message", async () => {
      const room = new TestRoom(host, "talking");
      const socket = await room.join();
      socket.send("throw");
      expect(await socket.ask("who")).toEqual(expect.any(String));
      await room.deliver("end");
      expect(await socket.received(2)).toContain("end");
      expect(await room.status()).toMatchObject({ connections: 1 });
    });

    test("HT2 wait=delivered is answered 202 when a shard takes too long", async () => {
      const room = new TestRoom(host, "waiting");
      const socket = await room.join();
      const answer = await room.post("wait", { query: "wait=delivered" });
      expect(answer.status).toBe(202);
      expect(JSON.parse(answer.text)).toMatchObject({
        seq: 1,
        shards: { delivered: 0, pending: 1 },
      });
      socket.send("go");
      await room.deliver("end");
      expect(await socket.receivedThrough("end")).toEqual(["wait", "end"]);
    });

    test("AD5, HT9 a class that does not end its onStart hangs nobody, and keeps no late socket", async () => {
      const room = new TestRoom(host, "sticking");
      await stick(room);
      const [knock, status, post] = await Promise.all([
        room.knock(),
        room.status(),
        room.post("after", { query: "wait=delivered" }),
      ]);
      if (knock.refused === null) throw new Error("a shard that hangs took a client");
      expectProblem(knock.refused, 503, "unavailable");
      expect(knock.refused.headers.get("retry-after")).toBe("2");
      expect(status).toMatchObject({ connections: 0, shards: [{ connections: 0 }] });
      // On Workers the shard tells, before the class starts, that its clients are gone.
      const shards = { delivered: 0, pending: post.status === 202 ? 1 : 0 };
      expect([200, 202]).toContain(post.status);
      expect(JSON.parse(post.text)).toMatchObject({ seq: 2, shards });
      await free(host, room);
      const socket = await room.join();
      // The socket that nobody waited for may be closing.
      while ((await room.status()).connections > 1);
      await room.deliver("after all");
      expect(await socket.receivedThrough("after all")).toContain("after all");
    });

    test("RC3 a class with onRequest alone gets every write as a POST on every shard", async () => {
      const room = new TestRoom(host, "requests");
      const sockets = await room.joinMany(4);
      await room.publish("a");
      await room.publish("throw");
      await room.publish(
        Uint8Array.from("bytes", (letter) => letter.charCodeAt(0)),
        {
          headers: binary,
        },
      );
      await room.deliver("b");
      for (const socket of sockets) {
        const last = "POST text/plain;charset=UTF-8 b";
        expect(await socket.receivedThrough(last)).toEqual([
          "POST text/plain;charset=UTF-8 a",
          "POST application/octet-stream bytes",
          last,
        ]);
      }
    });

    test("RC4 the class sees its shard's clients and no link, while one is open", async () => {
      const room = new TestRoom(host, "talking");
      const named = ["a", "b", "c", "d"];
      const sockets = await Promise.all(named.map((name) => room.join(`_pk=${name}`)));
      await room.deliver("opens the links");
      const places = await Promise.all(
        sockets.map(async (socket) => {
          await socket.received(1);
          return socket.ask("where");
        }),
      );
      for (const [index, socket] of sockets.entries()) {
        const here = named.filter((_, other) => places[other] === places[index]);
        expect(await socket.ask("clients")).toBe(here.join(" "));
        expect(await socket.ask(`has ${named[index] ?? ""}`)).toBe("true");
        expect(await socket.ask("has nobody")).toBe("false");
      }
      // Had this gone into the link, the sequencer would have closed it as malformed.
      for (const socket of sockets) socket.send("tell everyone");
      await room.deliver("end");
      for (const [index, socket] of sockets.entries()) {
        const here = named.filter((_, other) => places[other] === places[index]);
        const frames = await socket.receivedThrough("end");
        expect(frames.filter((frame) => frame === "everyone")).toHaveLength(here.length);
        expect(frames.filter((frame) => frame === "opens the links")).toHaveLength(1);
      }
    });

    test("AD3 a socket that either end closes is closed at both", async () => {
      const room = new TestRoom(host, "talking");
      const byClient = await room.join();
      byClient.close();
      expect(await byClient.closed()).toMatchObject({ code: 1000 });
      const byClass = await room.join();
      byClass.send("close 4321");
      expect(await byClass.closed()).toEqual({ code: 4321, reason: "as asked" });
    });

    test("NM4, RC5 the class sees the id that the client gave itself, and the query", async () => {
      const room = new TestRoom(host, "talking");
      const socket = await room.join("_pk=my%21id&greeting=good+day%26%C3%A9");
      expect(await socket.received(1)).toEqual(["good day&é"]);
      expect(await socket.ask("who")).toBe("my!id");
      const unnamed = await room.join();
      expect(await unnamed.ask("who")).toMatch(/^[\x21-\x7d]{1,128}$/);
    });
  });
}

async function pair(room: TestRoom): Promise<[RecordedSocket, RecordedSocket]> {
  return [await room.join(), await room.join()];
}

/** The room's only shard starts anew, and does not come to an end of it. */
async function stick(room: TestRoom): Promise<void> {
  const socket = await room.join();
  await room.deliver("before");
  socket.send("stick");
  await socket.closed();
}

async function free(host: RoomsHost, room: TestRoom): Promise<void> {
  const other = await new TestRoom(host, "sticking").join();
  other.send(`free ${room.id}-1`);
  // Answered after it was done.
  await other.ask("who");
}
