/** Servers outside over HTTP, by one that is nothing but requests; and what they may not do. */
import { afterEach, describe, expect, test } from "vitest";
import type { OutsideAnswer, RoomsHost } from "./host.ts";
import { RegistryApi } from "./registry-api.ts";
import { expectProblem } from "./test-room.ts";

const mark = (): string => crypto.randomUUID();
type Server = Readonly<Record<string, unknown>>;

const body = (serverId: string): Server => ({
  serverId,
  address: "wss://game.example.com",
  capacity: 1,
  roomTypes: ["wide"],
  instance: "first",
});

export function describeRegistryServers(host: RoomsHost): void {
  if (host.adminToken === undefined) return;
  const api = new RegistryApi(host);
  const base = "/parties/registry/default";
  const registered: string[] = [];

  // Rooms of the type are for shards again.
  afterEach(async () => {
    for (const id of registered.splice(0)) await api.ask(`servers/${id}`, { method: "DELETE" });
  });

  async function register(): Promise<string> {
    const serverId = mark();
    registered.push(serverId);
    const answer = await api.json("servers", { method: "POST", body: body(serverId) });
    expect(answer).toMatchObject({ status: "online", dispose: [] });
    return serverId;
  }

  function beat(serverId: string, more: Server = {}): Promise<OutsideAnswer> {
    const report = { instance: "first", asOf: 0, rooms: [], ...more };
    return api.ask(`servers/${serverId}/heartbeat`, { method: "PUT", body: report });
  }

  async function statusOf(serverId: string): Promise<unknown> {
    const { servers } = (await api.json("servers?kind=server&type=wide")) as { servers: Server[] };
    return servers.find((each) => each["serverId"] === serverId);
  }

  function reserve(more: Server): Promise<OutsideAnswer> {
    const asked = { roomType: "wide", playerId: "ann", ...more };
    return api.ask("reserve", { method: "POST", body: asked });
  }

  describe("servers outside", () => {
    test("SV1, SV4, SV5, RA13 one that registers is given rooms, and whoever asks is sent there", async () => {
      const serverId = await register();
      expect(await statusOf(serverId)).toMatchObject({ kind: "server", status: "online" });
      // No room that another test has left open fits.
      const query = { metadata: { no: mark() } };
      const route = { roomType: "wide", playerId: "ann", query };
      expect(await api.json("route", { method: "POST", body: route })).toEqual({
        type: "create",
        serverId,
        serverAddress: "wss://game.example.com",
      });
      const reserved = JSON.parse((await reserve({ query })).text) as Record<string, string>;
      const { roomId = "", redirect = "" } = reserved;
      expect(redirect).toBe(`wss://game.example.com/parties/router/${roomId}`);
      expect(reserved).toMatchObject({ serverId, connect: { room: roomId } });
      const path = `/parties/router/${roomId}`;
      const { refused } = await host.upgrade(path);
      if (refused === null) throw new Error("a shard took a socket of a room outside");
      expectProblem(refused, 421, "room-elsewhere");
      expect(refused.headers.get("location")).toBe(redirect);
      const { socket } = await host.upgrade(`${path}?protocol=1&_pk=bob`);
      const [frame] = (await socket?.received(1)) ?? [];
      const { type, url = "" } = JSON.parse(String(frame)) as Record<string, string>;
      expect(type).toBe("redirect");
      expect(url.split("?ticket=")[0]).toBe(redirect);
      expect(await socket?.closed()).toMatchObject({ code: 4000 });
      // The server says who came; what it says of rooms that are not its own it is to close.
      const rooms = [
        { roomId, players: ["ann"], seats: [] },
        { roomId: "wide:other", players: [], seats: [] },
      ];
      const answer = JSON.parse((await beat(serverId, { rooms })).text) as { now: number };
      expect(answer).toMatchObject({ status: "online", dispose: ["wide:other"] });
      expect(await api.room(roomId)).toMatchObject({ serverId, playerCount: 1, address: redirect });
      expect(await statusOf(serverId)).toMatchObject({ roomCount: 1, playerCount: 1 });
      // Full, it takes no other room; gone, it takes its room along.
      const another = { query: { metadata: { no: mark() } } };
      expectProblem(await reserve(another), 503, "no-server");
      const drained = await api.json(`servers/${serverId}/drain`, { method: "POST" });
      expect(drained).toMatchObject({ serverId, status: "draining" });
      expect(await beat(serverId)).toMatchObject({ status: 200 });
      const gone = await api.ask(`servers/${serverId}`, { method: "DELETE" });
      expect(gone).toMatchObject({ status: 204, text: "" });
      expectProblem(await api.ask(`rooms/${roomId}`), 404, "unknown-room");
      expectProblem(await beat(serverId), 404, "unknown-server");
      expect(await statusOf(serverId)).toBeUndefined();
    });

    test("SV2, SV4 a heartbeat of another process, from the future, or of no sense changes nothing", async () => {
      const serverId = await register();
      const other = { ...body(serverId), instance: "second" };
      const taken = await api.ask("servers", { method: "POST", body: other });
      expectProblem(taken, 409, "server-exists");
      expectProblem(await beat(mark()), 404, "unknown-server");
      expectProblem(await beat(serverId, { instance: "second" }), 404, "unknown-server");
      const report = [{ roomId: "wide:a", players: ["x"], seats: [] }];
      const ahead = { asOf: Date.now() + 3_600_000, rooms: report };
      expectProblem(await beat(serverId, ahead), 400, "malformed-body");
      for (const wrong of [
        { asOf: -1 },
        { asOf: 1e300 },
        { rooms: [{ roomId: "a b", players: [], seats: [] }] },
        { rooms: [{ roomId: "wide:a", players: ["a b"], seats: [] }] },
        { rooms: "none" },
      ]) {
        expectProblem(await beat(serverId, wrong), 400, "malformed-body");
      }
      expect(await statusOf(serverId)).toMatchObject({ status: "online", playerCount: 0 });
    });

    test("RA3, RA2 what cannot be is refused, and registers nobody", async () => {
      const serverId = mark();
      const cases: readonly (readonly [Server, number, string])[] = [
        [{ roomTypes: ["chess"] }, 404, "unknown-room-type"],
        [{ roomTypes: [] }, 400, "malformed-body"],
        [{ address: "not a host" }, 400, "malformed-body"],
        [{ port: -1 }, 400, "malformed-body"],
        [{ capacity: 1e300 }, 400, "malformed-body"],
        [{ capacity: 0.5 }, 400, "malformed-body"],
        [{ metadata: { text: "x".repeat(17_000) } }, 400, "malformed-body"],
        [{ region: "moon" }, 400, "malformed-body"],
        [{ strategy: "luck" }, 400, "malformed-body"],
      ];
      for (const [wrong, status, code] of cases) {
        const asked = { method: "POST", body: { ...body(serverId), ...wrong } };
        expectProblem(await api.ask("servers", asked), status, code);
      }
      const text = JSON.stringify(body(serverId));
      const wrongToken = { authorization: "Bearer guess" };
      for (const headers of [{}, wrongToken]) {
        const asked = { method: "POST", headers, body: text };
        expectProblem(await host.request(`${base}/servers`, asked), 401, "unauthorized");
      }
      const headers = { authorization: `Bearer ${host.adminToken}` };
      for (const json of ["{", "", "null", "[]", '"x"', text.slice(0, -1)]) {
        const asked = { method: "POST", headers, body: json };
        expectProblem(await host.request(`${base}/servers`, asked), 400, "malformed-body");
      }
      expect(await statusOf(serverId)).toBeUndefined();
    });
  });
}
