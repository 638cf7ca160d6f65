/** Types with regions on a host that places its objects itself. */
import type * as Party from "partykit/server";
import { expect, test } from "vitest";
import { defineRooms } from "../../core/rooms.ts";
import { answerFromOutside } from "./gate.ts";
import { registry } from "./registry.ts";

const regions = ["enam", "weur"] as const;
const rooms = defineRooms({ default: { shards: 2, regions, placement: "nearest" } });

/** Parties whose shards take every socket and whose registry is out of reach. */
function fakeParties(taken: string[]): Party.Context["parties"] {
  const get = (id: string) => ({
    fetch: () => {
      taken.push(id);
      // Only workerd makes such a response.
      return Promise.resolve(Object.defineProperty(new Response(), "status", { value: 101 }));
    },
  });
  const lost = { get: () => ({ fetch: () => Promise.reject(new Error("lost")) }) };
  return { main: { get }, registry: lost, router: lost } as unknown as Party.Context["parties"];
}

test("RE3 nearest does not prefer shards by regions that they are not in", async () => {
  const taken: string[] = [];
  const lobby = { parties: fakeParties(taken), env: {} } as unknown as Party.Lobby;
  const init = { headers: { upgrade: "websocket" } };
  for (let n = 0; n < 8; n += 1) {
    const request = new Request("http://rooms.test/parties/router/lobby", init);
    // From Paris.
    Object.assign(request, { cf: { latitude: "48.86", longitude: "2.35" } });
    await answerFromOutside(rooms, request as unknown as Party.Request, lobby);
  }
  expect(taken.filter((shard) => shard === "lobby-1")).toHaveLength(4);
  expect(taken.filter((shard) => shard === "lobby-2")).toHaveLength(4);
});

test("RE3 the registry tells no regions", async () => {
  const storage = {
    list: () => Promise.resolve(new Map()),
    put: () => Promise.resolve(),
    delete: () => Promise.resolve(),
    sync: () => Promise.resolve(),
  };
  const context = { parties: fakeParties([]) };
  const room = { id: "default", storage, context, getConnections: () => [] };
  const party = new (registry(rooms))(room as unknown as Party.Room);
  await party.onStart?.();
  const body = JSON.stringify({ type: "layout", room: "lobby" });
  const call = new Request("http://rooms.test/~call", { method: "POST", body });
  const answer = await party.onRequest(call as unknown as Party.Request);
  const told = JSON.stringify(await answer.json());
  expect(told).toContain("lobby-2");
  expect(told).not.toContain("region");
});
