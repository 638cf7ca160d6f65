/** Room classes with state: it outlives their memory, by the newest snapshot and the log after it. */
import * as v from "valibot";
import { describe, expect, test } from "vitest";
import type { RecordedSocket } from "../support/recorded-socket.ts";
import type { RoomsHost } from "./host.ts";
import { RegistryApi } from "./registry-api.ts";
import { expectProblem, TestRoom } from "./test-room.ts";

const time = v.pipe(v.number(), v.minValue(1_600_000_000_000));
const snapshotSchema = v.strictObject({
  roomId: v.string(),
  epoch: v.string(),
  seq: v.number(),
  takenAt: time,
  expiresAt: time,
  size: v.number(),
  state: v.optional(v.unknown()),
  shards: v.optional(v.array(v.string())),
});

/** For the app in `test/support/apps`, run with an admin token. */
export function describeState(host: RoomsHost): void {
  const api = new RegistryApi(host);
  const headers = { "content-type": "application/x-ndjson" };

  const read = async (
    path: string,
    method = "GET",
  ): Promise<v.InferOutput<typeof snapshotSchema>> =>
    v.parse(snapshotSchema, await api.json(`snapshots/${path}`, { method }));

  const ask = (path: string, method: string) => api.ask(`snapshots/${path}`, { method });

  describe(`state on ${host.name}`, () => {
    test("SN8, SN13 a snapshot is taken and read, and tells position, time and state", async () => {
      const room = new TestRoom(host, "adding");
      await room.join();
      await room.deliver("1\n2\n3", { headers });
      expect(await room.status()).toMatchObject({ snapshot: null });
      const { epoch } = await room.status();
      const taken = await read(room.id, "PUT");
      expect(taken).toMatchObject({ roomId: room.id, epoch, seq: 3 });
      expect(await read(room.id)).toEqual({ ...taken, state: { total: 6, count: 3 } });
      const { takenAt } = taken;
      expect(await room.status()).toMatchObject({ snapshot: { seq: 3, takenAt } });
      // Nothing has changed: the same one.
      expect(await read(room.id, "PUT")).toEqual(taken);
    });

    test("SN9, SN10 a shard that lost its memory has the state again, from snapshot and log", async () => {
      const room = new TestRoom(host, "adding");
      const first = await room.join();
      await room.deliver("1\n2\n3", { headers });
      await read(room.id, "PUT");
      // More than history holds: what the snapshot lacks is kept.
      await room.deliver("10\n20\n30\n40\n50\n60\n70", { headers });
      await crash(first);
      const sockets = await room.joinMany(4);
      for (const socket of sockets) expect(await socket.ask("sum")).toBe("286 of 10");
      await room.deliver("4");
      for (const socket of sockets) {
        expect(await socket.receivedThrough("4")).toContain("4");
        expect(await socket.ask("sum")).toBe("290 of 11");
      }
    });

    test("SN9 a shard that is new to a room has the state of the others", async () => {
      const room = new TestRoom(host, "adding");
      const first = await room.join();
      await room.deliver("1\n2\n3\n4\n5\n6\n7\n8", { headers });
      const second = await room.join();
      const places = [await first.ask("where"), await second.ask("where")];
      expect(new Set(places).size).toBe(2);
      expect(await second.ask("sum")).toBe("36 of 8");
    });

    test("SN13 all shards go back to the snapshot, and on by the log", async () => {
      const room = new TestRoom(host, "adding");
      const sockets = await room.joinMany(2);
      await room.deliver("5");
      await read(room.id, "PUT");
      await room.deliver("6");
      const restored = await read(`${room.id}/restore`, "POST");
      expect(restored.seq).toBe(1);
      expect(restored.shards?.toSorted()).toEqual([`${room.id}-1`, `${room.id}-2`]);
      for (const socket of sockets) expect(await socket.ask("sum")).toBe("11 of 2");
    });

    test("SN12 a room that is disposed of begins anew, also in a shard that is still there", async () => {
      const room = new TestRoom(host, "adding");
      await room.join();
      await room.deliver("5");
      await read(room.id, "PUT");
      expect(await api.ask(`rooms/${room.id}`, { method: "DELETE" })).toMatchObject({
        status: 204,
      });
      expectProblem(await api.ask(`snapshots/${room.id}`), 404, "unknown-room");
      const socket = await room.join();
      expect(await socket.ask("sum")).toBe("0 of 0");
      await room.deliver("7");
      expect(await socket.receivedThrough("7")).toContain("7");
      expect(await socket.ask("sum")).toBe("7 of 1");
    });

    test("SN13 what cannot be done is refused with a reason", async () => {
      const empty = new TestRoom(host, "adding");
      expectProblem(await ask(empty.id, "GET"), 404, "unknown-room");
      expectProblem(await ask(empty.id, "PUT"), 409, "room-empty");
      expectProblem(await ask(`${empty.id}/restore`, "POST"), 404, "unknown-room");
      expectProblem(await ask("chess:1", "PUT"), 404, "unknown-room-type");
      expectProblem(await ask("a%20b", "GET"), 400, "malformed-name");
      const plain = new TestRoom(host, "talking");
      await plain.join();
      expectProblem(await ask(plain.id, "PUT"), 409, "no-state");
      expectProblem(await ask(plain.id, "GET"), 404, "no-snapshot");
      expectProblem(await ask(`${plain.id}/restore`, "POST"), 404, "no-snapshot");
      expect((await ask(plain.id, "DELETE")).headers.get("allow")).toBe("GET, HEAD, PUT, OPTIONS");
    });
  });
}

/** Has the shard of this socket lose its memory and its sockets. */
async function crash(socket: RecordedSocket): Promise<void> {
  socket.send("crash");
  await socket.closed();
}
