/** What a client may rely on that connects to a room and talks to it. */
import { describe, expect, test } from "vitest";
import type { RoomsHost } from "./host.ts";
import { expectProblem, TestRoom } from "./test-room.ts";

export function describeConnecting(host: RoomsHost): void {
  describe("connecting", () => {
    test("HT5, NM3 the status of a room that nobody has used names its shards, all empty", async () => {
      const room = new TestRoom(host);
      const status = await room.status();
      expect(status).toMatchObject({
        room: room.id,
        type: "default",
        seq: 0,
        connections: 0,
        history: { first: 1, last: 0 },
      });
      expect(status.shards).toEqual(
        [1].map((number) => ({
          id: `${room.id}-${number}`,
          status: "online",
          connections: 0,
          capacity: 1_000,
          acked: 0,
          generation: 1,
        })),
      );
    });

    test("NM1, NM2 the text before a room's first colon is its type", async () => {
      expect(await new TestRoom(host, "wide").status()).toMatchObject({ type: "wide" });
      expect(await new TestRoom(host, "game").status()).toMatchObject({ type: "game" });
      const odd = new TestRoom(host, "default:~._-:");
      const socket = await odd.join();
      await odd.publish("taken");
      expect(await socket.received(1)).toEqual(["taken"]);
    });

    test("PL1, PL4, HT5 sockets spread evenly over the shards, and the status counts them", async () => {
      const room = new TestRoom(host, "wide");
      await room.joinMany(60);
      const status = await room.status();
      expect(status.connections).toBe(60);
      expect(status.shards).toHaveLength(10);
      const counts = status.shards.map((shard) => shard.connections);
      expect(counts.reduce((sum, each) => sum + each, 0)).toBe(60);
      // 1.05 times the mean, in whole sockets.
      expect(Math.max(...counts)).toBeLessThanOrEqual(7);
    });

    test("IO3 a client's headers that objects would trust are taken off", async () => {
      const room = new TestRoom(host, "game");
      const { status } = await host.request(room.path, {
        headers: {
          connection: "Upgrade",
          upgrade: "websocket",
          "sec-websocket-version": "13",
          "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
          "x-partykit-room": "another-room-1",
          "x-partykit-namespace": "Router",
          "x-partykit-props": "{",
          "x-partyshard-refused": "full",
        },
      });
      expect(status).toBe(101);
      const socket = await room.join();
      await room.publish("after");
      expect(await socket.received(1)).toEqual(["after"]);
    });

    test("HT6 an upgrade is one however it is spelt", async () => {
      const room = new TestRoom(host, "game");
      for (const upgrade of ["WebSocket", "WEBSOCKET"]) {
        const { status } = await host.request(room.path, {
          headers: {
            connection: "Upgrade",
            upgrade,
            "sec-websocket-version": "13",
            "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
          },
        });
        expect(status).toBe(101);
      }
    });

    test("NM4 a client may name its connection, within the grammar", async () => {
      const room = new TestRoom(host);
      for (const id of ["a", "!", "{}|", "x".repeat(128)]) {
        await room.join(`_pk=${encodeURIComponent(id)}`);
      }
      expect(await room.status()).toMatchObject({ connections: 4 });
      for (const id of ["", "a~b", "a b", "ä", "\n", "x".repeat(129)]) {
        const { refused } = await room.knock(`_pk=${encodeURIComponent(id)}`);
        if (refused === null) throw new Error(`${JSON.stringify(id)} was taken`);
        expectProblem(refused, 400, "malformed-query");
      }
      expect(await room.status()).toMatchObject({ connections: 4 });
    });

    test("NM4, RC1 two sockets with one id are two clients", async () => {
      const room = new TestRoom(host);
      const twins = [await room.join("_pk=twin"), await room.join("_pk=twin")];
      expect(await room.status()).toMatchObject({ connections: 2 });
      await room.deliver("to both");
      for (const twin of twins) expect(await twin.received(1)).toEqual(["to both"]);
      twins[0]?.close();
      await twins[0]?.closed();
      await room.deliver("to one");
      expect(await twins[1]?.receivedThrough("to one")).toEqual(["to both", "to one"]);
    });

    test("HT4 a query that is unknown or too long is refused before a socket is opened", async () => {
      const room = new TestRoom(host);
      const unknown = await room.knock("protocol=2");
      if (unknown.refused === null) throw new Error("protocol=2 was taken");
      expectProblem(unknown.refused, 400, "malformed-query");
      const long = await room.knock(`_pk=a&long=${"x".repeat(host.maxQueryLength)}`);
      if (long.refused === null) throw new Error("a long query was taken");
      expectProblem(long.refused, 414, "uri-too-long");
      const longest = "_pk=a&long=".padEnd(host.maxQueryLength, "x");
      const socket = await room.join(longest);
      await room.publish("taken");
      expect(await socket.received(1)).toEqual(["taken"]);
    });

    test("RC5 what a client sends reaches the room class of its shard, as it was sent", async () => {
      const room = new TestRoom(host, "game");
      const [sender, other] = await room.joinMany(2);
      if (sender === undefined || other === undefined)
        throw new Error("two sockets were asked for");
      sender.send("text \u{1F389}");
      sender.send(Uint8Array.of(0, 255, 128));
      sender.send("");
      expect(await other.received(3)).toEqual(["text \u{1F389}", Uint8Array.of(0, 255, 128), ""]);
      await room.publish("to all");
      expect(await sender.received(1)).toEqual(["to all"]);
    });

    test("RC4, RC5 what a client sends stays on its shard", async () => {
      const room = new TestRoom(host, "wide");
      const sockets = await room.joinMany(10);
      const { shards } = await room.status();
      const alone = shards.filter((shard) => shard.connections === 1).length;
      for (const socket of sockets) socket.send("to my shard");
      await room.deliver("to all");
      let heard = 0;
      for (const socket of sockets) {
        const frames = await socket.receivedThrough("to all");
        heard += frames.length - 1;
      }
      // A socket hears those that share its shard; on most shards there is nobody else.
      const pairs = shards.map((shard) => shard.connections * (shard.connections - 1));
      expect(heard).toBeLessThanOrEqual(pairs.reduce((sum, each) => sum + each, 0));
      expect(alone).toBeGreaterThan(5);
    });
  });
}
