/** Places: how many clients a room takes, who is turned away, and how a place comes back. */
import { describe, expect, test } from "vitest";
import type { RecordedSocket } from "../support/recorded-socket.ts";
import type { RoomsHost, Upgraded } from "./host.ts";
import { expectProblem, TestRoom } from "./test-room.ts";

export function describeCapacity(host: RoomsHost): void {
  describe("capacity", () => {
    test("AD1, AD2, HT7 a room that is full refuses, and says when to come back", async () => {
      const room = new TestRoom(host, "tiny");
      const sockets = await room.joinMany(4);
      const status = await room.status();
      expect(status.shards.map(({ connections, capacity }) => [connections, capacity])).toEqual([
        [2, 2],
        [2, 2],
      ]);
      for (let times = 0; times < 3; times += 1) expectFull(await room.knock());
      expect(await room.status()).toMatchObject({ connections: 4 });
      await room.deliver("inside");
      for (const socket of sockets) expect(await socket.received(1)).toEqual(["inside"]);
    });

    test("AD1, AD4 clients that come at once never get more places than there are", async () => {
      const room = new TestRoom(host, "tiny");
      const knocks = await Promise.all(Array.from({ length: 12 }, () => room.knock()));
      const sockets: RecordedSocket[] = [];
      for (const knock of knocks) {
        if (knock.socket === null) expectFull(knock);
        else sockets.push(knock.socket);
      }
      await room.deliver("inside");
      const inside = await Promise.all(sockets.map((socket) => isInside(socket)));
      expect(inside.filter(Boolean)).toHaveLength(4);
      const status = await room.status();
      expect(status.shards.map((shard) => shard.connections)).toEqual([2, 2]);
    });

    test("AD3, HT5 a client that leaves gives its place back, and is no longer counted", async () => {
      const room = new TestRoom(host, "tiny");
      const sockets = await room.joinMany(4);
      const places = await Promise.all(sockets.map((socket) => socket.ask("where")));
      const leaving = sockets[0];
      const partner = sockets.find((_, index) => index > 0 && places[index] === places[0]);
      if (leaving === undefined || partner === undefined) throw new Error("nobody shares a shard");
      const id = await leaving.ask("who");
      leaving.close();
      await partner.receivedThrough(`left ${String(id)}`);
      expect(await room.status()).toMatchObject({ connections: 3 });
      const newcomer = await room.join();
      expect(await newcomer.ask("where")).toBe(places[0]);
      expectFull(await room.knock());
      expect(await room.status()).toMatchObject({ connections: 4 });
    });

    test("AD3, RC8 a class that throws in onConnect has that socket closed, and no place is lost", async () => {
      const room = new TestRoom(host, "single");
      for (let times = 0; times < 3; times += 1) {
        const socket = await room.join("fail=1");
        expect(await socket.closed()).toMatchObject({ code: 4004 });
      }
      const socket = await room.join();
      await room.deliver("still here");
      expect(await socket.received(1)).toEqual(["still here"]);
      expect(await room.status()).toMatchObject({ connections: 1 });
    });

    test("HT3 a room type has its own limit for a body", async () => {
      const room = new TestRoom(host, "limited");
      const socket = await room.join();
      await room.publish("x".repeat(1_000));
      expectProblem(await room.post("x".repeat(1_001)), 413, "payload-too-large");
      // 334 characters of three bytes each.
      expectProblem(await room.post("\u20AC".repeat(334)), 413, "payload-too-large");
      await room.deliver("end");
      expect((await socket.receivedThrough("end")).map((frame) => frame.length)).toEqual([
        1_000, 3,
      ]);
    });

    test("AD2, HT5 a room whose class cannot start refuses, and its status is still answered", async () => {
      const room = new TestRoom(host, "broken");
      const { refused } = await room.knock();
      if (refused === null) throw new Error("a socket opened in a room without a class");
      expectProblem(refused, 503, "unavailable");
      expect(refused.headers.get("retry-after")).toMatch(/^\d+$/);
      expect(await room.publish("into the void")).toMatchObject({ seq: 1 });
      expect(await room.status()).toMatchObject({ seq: 1, connections: 0 });
    });
  });
}

function expectFull({ refused }: Upgraded): void {
  if (refused === null) throw new Error("a socket opened in a full room");
  expectProblem(refused, 503, "room-full");
  expect(refused.headers.get("retry-after")).toMatch(/^\d+$/);
}

/** A host that cannot refuse an upgrade may close a socket that came to a full shard. */
async function isInside(socket: RecordedSocket): Promise<boolean> {
  return Promise.race([
    socket.received(1).then(
      () => true,
      () => false,
    ),
    socket.closed().then(({ code }) => {
      expect(code).toBe(4002);
      return false;
    }),
  ]);
}
