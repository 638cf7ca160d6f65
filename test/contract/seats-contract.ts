/** Seats of a room with `maxPlayers`, as clients without a ticket see them. */
import { describe, expect, test } from "vitest";
import type { RecordedSocket } from "../support/recorded-socket.ts";
import type { RoomsHost } from "./host.ts";
import { expectProblem, TestRoom } from "./test-room.ts";

export function describeSeats(host: RoomsHost): void {
  describe("seats", () => {
    test("SE7, SE1 a room takes its players and no more, however they come", async () => {
      const room = new TestRoom(host, "game");
      const knocks = await Promise.all(Array.from({ length: 8 }, () => room.knock()));
      const sockets = knocks.flatMap(({ socket }) => (socket === null ? [] : [socket]));
      await room.deliver("inside");
      const inside = await Promise.all(sockets.map((socket) => isInside(socket)));
      expect(inside.filter(Boolean)).toHaveLength(4);
      const { refused } = await room.knock();
      if (refused === null) throw new Error("a fifth player got in");
      expectProblem(refused, 503, "room-full");
      expect(await room.status()).toMatchObject({ connections: 4 });
    });

    test("SE4, SE5 a player that dropped has its seat, by the same id, and nobody else has", async () => {
      const room = new TestRoom(host, "game");
      const first = await room.join("_pk=a");
      for (const id of ["b", "c", "d"]) await room.join(`_pk=${id}`);
      first.close();
      await first.closed();
      const { refused } = await room.knock("_pk=e");
      if (refused === null) throw new Error("a fifth player got in");
      expectProblem(refused, 503, "room-full");
      const back = await room.join("_pk=a");
      await room.deliver("goes on");
      expect(await back.receivedThrough("goes on")).toContain("goes on");
    });

    test("SE4 a socket of the same player takes the seat over, and the older is told to stop", async () => {
      const room = new TestRoom(host, "game");
      const older = await room.join("_pk=a");
      const newer = await room.join("_pk=a");
      expect(await older.closed()).toMatchObject({ code: 4502 });
      await room.deliver("to the newer");
      expect(await newer.receivedThrough("to the newer")).toContain("to the newer");
      expect(await room.status()).toMatchObject({ connections: 1 });
    });

    test("SE5, PR2 a client of protocol 1 comes back to its seat in a full room, and resumes", async () => {
      const room = new TestRoom(host, "game");
      const [client] = await room.speakMany(4);
      if (client === undefined) throw new Error("nobody joined");
      const { session, epoch } = await client.welcome();
      if (session === undefined) throw new Error("a player has no session");
      await room.deliver("one");
      const back = await room.speak(`session=${session}&epoch=${epoch}&since=0`);
      expect(await client.closed()).toMatchObject({ code: 4502 });
      expect(await back.welcome()).toMatchObject({ session, seq: 0, recovered: true });
      expect(await back.messagesThrough(1)).toEqual([[1, "one"]]);
      const { refused } = await room.knock("protocol=1&session=guess");
      if (refused === null) throw new Error("a session that nobody has was taken");
      expectProblem(refused, 403, "ticket-expired");
    });
  });
}

/** A host that cannot refuse an upgrade may close a socket that came to a full room. */
async function isInside(socket: RecordedSocket): Promise<boolean> {
  return Promise.race([
    socket.receivedThrough("inside").then(
      () => true,
      () => false,
    ),
    socket.closed().then(({ code }) => {
      expect(code).toBe(4002);
      return false;
    }),
  ]);
}
