/** Shards that come and go with a room's audience, and by hand. */
import { describe, expect, test, vi } from "vitest";
import type { RoomsHost } from "./host.ts";
import { RegistryApi } from "./registry-api.ts";
import { expectProblem, TestRoom } from "./test-room.ts";

const patience = { timeout: 20_000, interval: 100 };

/** For the shipped app. */
export function describeLayout(host: RoomsHost): void {
  const { adminToken } = host;
  if (adminToken === undefined) return;
  const api = new RegistryApi(host);
  const post = (path: string, body?: unknown) => api.ask(path, { method: "POST", body });

  describe("the layout", () => {
    test("AS6, HT5 a room is resized by hand, and its new shards take clients", async () => {
      const room = new TestRoom(host);
      const first = await room.speak();
      const body = { shards: 3 };
      const path = `rooms/${room.id}/resize`;
      expect(await api.json(path, { method: "POST", body })).toMatchObject({
        serverIds: [1, 2, 3].map((number) => `${room.id}-${number}`),
      });
      const { shard } = await first.welcome();
      // A gate may know the former layout for a second.
      const other = await vi.waitFor(() => room.speakElsewhere(shard), patience);
      await room.deliver("to all");
      for (const client of [first, other]) await client.messagesThrough(1);
      const { shards } = await room.status();
      expect(shards.map(({ id, generation }) => [id, generation])).toEqual(
        [1, 2, 3].map((number) => [`${room.id}-${number}`, 1]),
      );
    });

    test.for(["migrate", "drain"])(
      "AS5, AS6, GD8, GD9, GD11 on %s clients are moved a few at a time, and lack nothing",
      async (how) => {
        const room = new TestRoom(host);
        const clients = await room.speakMany(5);
        await room.deliver("1");
        const from = `${room.id}-1`;
        const ask = { method: "POST", body: { from } };
        const path = how === "migrate" ? `rooms/${room.id}/migrate` : `servers/${from}/drain`;
        const { status } = await api.ask(path, ask);
        expect(status).toBeLessThan(300);
        await Promise.race(clients.map((client) => client.closed()));
        // The others are still there, on a shard that tells how many they are.
        const { shards } = await room.status();
        expect(shards.map(({ id, status: each }) => [id, each])).toEqual([
          [from, "draining"],
          [`${room.id}-2`, "online"],
        ]);
        expect(shards[0]?.connections).toBeGreaterThan(0);
        await room.publish("2");
        const back = await Promise.all(
          clients.map(async (client) => {
            expect((await client.closed(20_000)).code).toBe(4000);
            // Where an upgrade cannot be refused, the shard may take it once more, and close it again.
            const next = await vi.waitFor(() => room.speak(client.resume), patience);
            return { client, next };
          }),
        );
        await room.deliver("3");
        for (const { client, next } of back) {
          const heard = [...client.messages, ...(await next.messagesThrough(3))];
          expect(heard.map(([, data]) => data)).toEqual(["1", "2", "3"]);
          expect(next.frames[0]).toMatchObject({ shard: `${room.id}-2`, recovered: true });
        }
        await vi.waitFor(async () => {
          const left = (await room.status()).shards;
          expect(left).toMatchObject([{ id: `${room.id}-2`, connections: 5 }]);
        }, patience);
      },
    );

    test("AS6, RA3 what cannot be resized, migrated or drained is refused", async () => {
      const room = new TestRoom(host);
      await room.join();
      const wrong = await post(`rooms/${room.id}/resize`, { shards: 33 });
      expect(expectProblem(wrong, 400, "malformed-body")).toContain("from 1 to 32");
      const none = await post(`rooms/${room.id}/resize`, {});
      expectProblem(none, 400, "malformed-body");
      const foreign = await post(`rooms/${room.id}/migrate`, { from: "another-1" });
      expectProblem(foreign, 400, "malformed-body");
      const unknown = await post(`rooms/${room.id}/migrate`, { from: `${room.id}-7` });
      expectProblem(unknown, 404, "unknown-server");
      expectProblem(await post(`servers/${room.id}-7/drain`), 404, "unknown-server");
      const unused = new TestRoom(host).id;
      const nobody = await post(`rooms/${unused}/resize`, { shards: 2 });
      expectProblem(nobody, 404, "unknown-room");
    });
  });
}

/** For the test app. */
export function describeAudience(host: RoomsHost): void {
  describe("shards that follow the audience", () => {
    test("AS1 a client that finds no place gets one on a new shard", async () => {
      const room = new TestRoom(host, "growing");
      const clients = [];
      for (let joined = 0; joined < 5; joined += 1) {
        // Gates tell of refusals once a second.
        clients.push(await vi.waitFor(() => room.speak(), patience));
      }
      await room.deliver("to all");
      for (const client of clients) await client.messagesThrough(1);
      const { shards, connections } = await room.status();
      expect(connections).toBe(5);
      expect(shards).toHaveLength(3);
    });
  });
}
