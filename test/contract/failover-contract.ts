/** Shards that die for good, as clients and operators see it. */
import { describe, expect, test, vi } from "vitest";
import type { RoomsHost } from "./host.ts";
import { TestRoom } from "./test-room.ts";

const patience = { timeout: 20_000, interval: 100 };

/** For the test app. */
export function describeFailover(host: RoomsHost): void {
  describe("a shard that dies for good", () => {
    test("FO1, FO8, GD9 one that cannot start any more is replaced, and its clients lack nothing", async () => {
      const room = new TestRoom(host, "adding");
      const client = await room.speak();
      const { shard } = await client.welcome();
      const other = await room.speakElsewhere(shard);
      await room.deliver("1");
      for (const each of [client, other]) await each.messagesThrough(1);
      client.send({ type: "send", data: "break" });
      await client.closed();
      await room.publish("2");
      // Whoever comes is taken by the other shard, not by a socket that closes again.
      const knocks = await Promise.all([room.speak(), room.speak(), room.speak()]);
      for (const each of knocks) expect((await each.welcome()).shard).not.toBe(shard);
      await vi.waitFor(async () => {
        const { shards } = await room.status();
        expect(shards.find(({ id }) => id === shard)).toMatchObject({ generation: 2 });
      }, patience);
      const back = await vi.waitFor(() => room.speakAt(`${shard}~2`, client.resume), patience);
      await room.deliver("4");
      expect(await back.messagesThrough(3)).toEqual([
        [2, "2"],
        [3, "4"],
      ]);
      expect(back.frames[0]).toMatchObject({ type: "welcome", recovered: true });
      expect((await other.messagesThrough(3)).map(([, data]) => data)).toEqual(["1", "2", "4"]);
      // The fresh object holds the room's state.
      expect(await back.ask("sum")).toBe("7 of 3");
    });
  });
}
