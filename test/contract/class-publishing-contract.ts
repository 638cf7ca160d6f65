/** What a room class does beyond its shard: publish to the whole room, know its name and its players. */
import { describe, expect, test } from "vitest";
import type { RecordedSocket } from "../support/recorded-socket.ts";
import type { RoomsHost } from "./host.ts";
import { RegistryApi } from "./registry-api.ts";
import { TestRoom } from "./test-room.ts";

type Told = readonly (readonly [data: string, options?: Readonly<Record<string, unknown>>])[];

export function describeClassPublishing(host: RoomsHost): void {
  describe("what a class publishes", () => {
    test("RC9 reaches every client on every shard, in order, and is answered like a POST", async () => {
      const room = new TestRoom(host, "talking");
      const sockets = await room.joinMany(4);
      const places = await Promise.all(sockets.map((socket) => socket.ask("where")));
      expect(new Set(places).size).toBe(2);
      const [first] = sockets;
      const results = await tell(first, [["sold"], ["sold again"], ["late", { volatile: true }]]);
      const { epoch } = await room.status();
      const answered = { ok: true, value: { room: room.id, epoch, seq: 1 } };
      const again = { ok: true, value: { room: room.id, epoch, seq: 2 } };
      expect(results).toMatchObject([answered, again, again]);
      await room.deliver("end");
      for (const [index, socket] of sockets.entries()) {
        const frames = await socket.receivedThrough("end");
        const others = frames.filter((frame) => !String(frame).startsWith("["));
        expect(others).toEqual([places[index], "sold", "sold again", "late", "end"]);
      }
    });

    test("RC9 goes by topic, and once for one idempotency key", async () => {
      const room = new TestRoom(host, "talking");
      const [listening, other] = [await room.join("topics=bids"), await room.join("topics=none")];
      const keyed = { topic: "bids", idempotencyKey: "k" };
      const [one, same] = await tell(other, [
        ["5", keyed],
        ["5", keyed],
      ]);
      expect(one).toMatchObject({ ok: true, value: { seq: 1 } });
      expect(same).toMatchObject({ ok: true, value: { seq: 1 } });
      await room.deliver("end");
      expect(await listening.receivedThrough("end")).toEqual(["5", "end"]);
      expect((await other.receivedThrough("end")).slice(1)).toEqual(["end"]);
    });

    test("RC9 is refused with the problem that a POST gets", async () => {
      const room = new TestRoom(host, "limited");
      const results = await tell(await room.join(), [
        ["x".repeat(1_001)],
        ["a", { topic: "bids:*" }],
        ["a", { idempotencyKey: "" }],
        ["a", { idempotencyKey: "k", volatile: true }],
        ["a", { idempotencyKey: "k" }],
        ["b", { idempotencyKey: "k" }],
      ]);
      expect(results).toMatchObject([
        { ok: false, code: "payload-too-large" },
        { ok: false, code: "malformed-query" },
        { ok: false, code: "malformed-header" },
        { ok: false, code: "malformed-header" },
        { ok: true, value: { seq: 1 } },
        { ok: false, code: "idempotency-key-reused" },
      ]);
      expect(await room.status()).toMatchObject({ seq: 1 });
    });

    test("RC10 a class knows its room, and that a client without a ticket is no player", async () => {
      const room = new TestRoom(host, "talking");
      const socket = await room.join("_pk=ann");
      expect(await socket.ask("room")).toBe(room.id);
      expect(await socket.ask("player")).toBe("null");
      const seated = await new TestRoom(host, "game").join("_pk=ann");
      expect(await seated.ask("player")).toBe("null");
    });
  });
}

/** For an app with an admin token and a secret. */
export function describePlayers(host: RoomsHost): void {
  const api = new RegistryApi(host);

  describe(`players on ${host.name}`, () => {
    test("RC10 a class knows who came with a ticket, also in onClose, and by protocol 1", async () => {
      const { roomId } = await api.create({ type: "game" });
      const [ann, bob, cid] = await Promise.all(
        ["ann", "bob", "cid"].map((playerId) => enter(roomId, playerId)),
      );
      expect(await ann?.ask("player")).toBe("ann");
      expect(await bob?.ask("player")).toBe("bob");
      const last = await enter(roomId, "dan", "&protocol=1");
      last.send('{"type":"send","data":"player"}');
      expect(await last.receivedThrough('{"type":"local","data":"dan"}')).toHaveLength(2);
      last.close();
      expect(await cid?.receivedThrough("left dan")).toContain("left dan");
      ann?.close();
      expect(await cid?.receivedThrough("left ann")).toContain("left ann");
      for (const socket of [bob, cid]) socket?.close();
    });
  });

  async function enter(roomId: string, playerId: string, more = ""): Promise<RecordedSocket> {
    const { ticket } = await api.reserve({ roomType: "game", roomId, playerId });
    const path = `/parties/router/${roomId}?ticket=${encodeURIComponent(ticket)}${more}`;
    const { socket, refused } = await host.upgrade(path);
    if (socket === null) throw new Error(`${playerId}: ${refused.status} ${refused.text}`);
    return socket;
  }
}

/** Has the class publish all of this at once; what became of each. */
async function tell(socket: RecordedSocket | undefined, told: Told): Promise<readonly unknown[]> {
  if (socket === undefined) throw new Error("nobody joined");
  socket.send(`publish ${JSON.stringify(told)}`);
  for (let count = 1; ; count += 1) {
    const frames = await socket.received(count);
    const answer = frames.find((frame) => String(frame).startsWith("["));
    if (answer !== undefined) return JSON.parse(String(answer)) as unknown[];
  }
}
