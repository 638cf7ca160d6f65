/** A deployment that lets only members in: what it refuses never comes to a room. */
import { describe, expect, test } from "vitest";
import type { RoomsHost } from "./host.ts";
import { expectProblem, TestRoom } from "./test-room.ts";

const headers = { authorization: "Bearer a member's" };
const token = `token=${encodeURIComponent("a member's")}`;

export function describeMembers(host: RoomsHost): void {
  describe("rooms for members", () => {
    test("IO5 a deployment refuses who may not connect, publish or read, before its router", async () => {
      const room = new TestRoom(host, "members");
      for (const query of ["", "token=guessed", "protocol=1"]) {
        const { refused } = await room.knock(query);
        expect([refused?.status, refused?.text]).toEqual([401, "members only"]);
      }
      const stranger = await room.post("spam");
      expect([stranger.status, stranger.text]).toEqual([401, "members only"]);
      expect((await room.readAnswer()).status).toBe(401);
      expectProblem(await host.request(`/parties/main/${room.id}-1`), 403, "forbidden");
      const member = await room.join(token);
      expect(await room.publish("hello", { headers })).toMatchObject({ seq: 1 });
      await room.deliver("end", { headers });
      expect(await member.receivedThrough("end")).toEqual(["hello", "end"]);
    });
  });
}
