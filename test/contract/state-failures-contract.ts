/**
 * Room classes whose state cannot be stored or taken up, states that are large, and shards that are
 * replaced: the room is served on, and everybody is told.
 */
import * as v from "valibot";
import { describe, expect, test, vi } from "vitest";
import type { RecordedSocket } from "../support/recorded-socket.ts";
import type { RoomsHost } from "./host.ts";
import { RegistryApi } from "./registry-api.ts";
import { expectProblem, TestRoom } from "./test-room.ts";

const patience = { timeout: 20_000, interval: 100 };
/** Of a large state: it goes in parts, from object to object and to the disk. */
const largeMs = 120_000;
/** As many as the text of a snapshot may have; some of them are the frame around a state. */
const mostUnits = 32 * 1024 * 1024;

const eventSchema = v.object({
  type: v.string(),
  roomId: v.string(),
  serverId: v.string(),
  reason: v.string(),
  detail: v.pipe(v.string(), v.minLength(1)),
});
type Event = v.InferOutput<typeof eventSchema>;

/** Ways in which the room class fails, what the caller is told, and how it is counted. */
const ways = [
  ["throw", 500, "state-failed", "snapshot_threw"],
  ["function", 500, "state-failed", "snapshot_impossible"],
  ["large", 413, "snapshot-too-large", "snapshot_too_large"],
  // It owes its answer for ever: the last one.
  ["never", 500, "state-failed", "snapshot_late"],
] as const;

/** For the app in `test/support/apps`, run with an admin token. */
export function describeStateFailures(host: RoomsHost): void {
  const api = new RegistryApi(host);
  const ask = (path: string, method: string) => api.ask(`snapshots/${path}`, { method });

  /** What subscribers of `snapshot:failed` are told of the room from now on. */
  async function listen(room: TestRoom) {
    const path = "/parties/registry/default/events?pattern=snapshot:*";
    const headers = { authorization: `Bearer ${host.adminToken ?? ""}` };
    const { socket } = await host.upgrade(path, headers);
    if (socket === null) throw new Error("no events");
    await socket.received(1);
    const events = (): Event[] =>
      socket.frames
        .slice(1)
        .map((frame) => v.parse(eventSchema, JSON.parse(String(frame))))
        .filter(({ roomId }) => roomId === room.id);
    const reasons = async (count: number): Promise<string[]> =>
      vi.waitFor(() => {
        expect(events().length).toBeGreaterThanOrEqual(count);
        return events().map(({ reason }) => reason);
      }, patience);
    return { socket, events, reasons };
  }

  async function counted(kind: string): Promise<number> {
    const { text } = await api.ask("metrics");
    return Number(new RegExp(`kind="${kind}"} (\\d+)`).exec(text)?.[1] ?? "0");
  }

  describe(`failing state on ${host.name}`, () => {
    test(
      "SN11, SN16 a class that gives no state is told of in status, metrics and events, keeps the snapshot before, and serves on",
      async () => {
        const room = new TestRoom(host, "forgetful");
        const client = await room.join();
        const { socket, events, reasons } = await listen(room);
        await room.deliver("fine");
        expect((await ask(room.id, "PUT")).status).toBe(200);
        for (const [index, [way, status, code, reason]] of ways.entries()) {
          const before = await counted(reason);
          await room.deliver(way);
          const detail = expectProblem(await ask(room.id, "PUT"), status, code);
          expect((await room.status()).snapshotError).toBe(detail);
          expect((await reasons(index + 1)).at(-1)).toBe(reason);
          expect(events().at(-1)).toMatchObject({ serverId: `${room.id}-1`, detail });
          expect(await counted(reason)).toBeGreaterThan(before);
        }
        const newest = await ask(room.id, "GET");
        expect(JSON.parse(newest.text)).toMatchObject({ seq: 1, state: { last: "fine" } });
        expectProblem(await ask(`${room.id}/restore`, "POST"), 500, "state-failed");
        expect((await reasons(ways.length + 1)).at(-1)).toBe("restore_threw");
        await room.deliver("end");
        const all = ["fine", ...ways.map(([way]) => way), "end"];
        expect(await client.receivedThrough("end")).toEqual(all);
        socket.close();
      },
      largeMs,
    );

    test(
      "SN3, SN5, SN6 a state of just under 32 Mi characters comes back whole; one above is refused, and it stays",
      async () => {
        const room = new TestRoom(host, "hoarding");
        const length = mostUnits - 100;
        const first = await room.join();
        await room.deliver(String(length));
        const taken = await ask(room.id, "PUT");
        expect(`${taken.status} ${taken.text}`).toMatch(/^200 /);
        const { size } = JSON.parse(taken.text) as { readonly size: number };
        expect(size).toBeGreaterThan(length);
        expect(size).toBeLessThanOrEqual(mostUnits);
        first.send("crash");
        await first.closed();
        const next = await room.join();
        expect(await next.ask("hoard")).toBe(`${length} true`);
        await room.deliver(String(mostUnits));
        expectProblem(await ask(room.id, "PUT"), 413, "snapshot-too-large");
        expect(JSON.parse((await ask(room.id, "GET")).text)).toMatchObject({ seq: 1, size });
        const restored = await ask(`${room.id}/restore`, "POST");
        expect(`${restored.status} ${restored.text}`).toMatch(/^200 /);
        // And on by the log.
        expect(await next.ask("hoard")).toBe(`${mostUnits} true`);
      },
      largeMs,
    );

    test("AS6, SN9, SN15 the shard that takes the place of one that is emptied has the state of the others, from snapshot and log", async () => {
      const room = new TestRoom(host, "adding");
      const sockets = await room.joinMany(2);
      const headers = { "content-type": "application/x-ndjson" };
      await room.deliver("1\n2\n3\n4\n5\n6\n7\n8", { headers });
      const places = await Promise.all(sockets.map((socket) => placeOf(socket, 8)));
      expect(places.toSorted()).toEqual([`${room.id}-1`, `${room.id}-2`]);
      const leaving = sockets[places.indexOf(`${room.id}-1`)];
      const staying = sockets[places.indexOf(`${room.id}-2`)];
      const body = { from: `${room.id}-1` };
      await api.json(`rooms/${room.id}/migrate`, { method: "POST", body });
      expect(await leaving?.closed()).toMatchObject({ code: 4000 });
      // Nobody asked for one: the shard that was emptied has stored it.
      expect(JSON.parse((await ask(room.id, "GET")).text)).toMatchObject({ seq: 8 });
      await room.deliver("9\n10\n11\n12\n13\n14", { headers });
      const next = await vi.waitFor(async () => {
        const socket = await room.join();
        expect(await socket.ask("where")).toBe(`${room.id}-3`);
        return socket;
      }, patience);
      expect(await next.ask("sum")).toBe("105 of 14");
      await room.deliver("15");
      for (const socket of [next, staying]) {
        await socket?.receivedThrough("15");
        expect(await socket?.ask("sum")).toBe("120 of 15");
      }
    });
  });
}

/** The client's shard, asked after it was sent so many messages. */
async function placeOf(socket: RecordedSocket, messages: number): Promise<string> {
  await socket.received(messages);
  return String(await socket.ask("where"));
}
