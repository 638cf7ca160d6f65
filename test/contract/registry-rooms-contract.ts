/** The directory over HTTP: rooms created, listed, changed, disposed; and what the API refuses. */
import { describe, expect, test } from "vitest";
import type { RoomsHost } from "./host.ts";
import { RegistryApi } from "./registry-api.ts";
import { expectProblem, TestRoom } from "./test-room.ts";

/** A value of metadata that no other test has. */
const mark = (): string => crypto.randomUUID();

export function describeRegistryRooms(host: RoomsHost): void {
  const api = new RegistryApi(host);
  const base = "/parties/registry/default";

  describe("the registry's rooms", () => {
    test("RA1 health is told to everyone, and HEAD is answered without a body", async () => {
      const answer = await host.request(`${base}/health`);
      expect(answer).toMatchObject({ status: 200, text: '{"status":"ok"}' });
      expect(answer.headers.get("access-control-allow-origin")).toBe("*");
      const head = await host.request(`${base}/health`, { method: "HEAD" });
      expect(head).toMatchObject({ status: 200, text: "" });
    });

    test("RA1 a preflight is answered without a token", async () => {
      const answer = await host.request(`${base}/locks/a`, { method: "OPTIONS" });
      expect(answer.status).toBe(204);
      expect(answer.headers.get("access-control-allow-methods")).toBe("POST, PUT, DELETE, OPTIONS");
    });

    if (host.adminToken === undefined) return;

    test("RA6, RA7 a room is created with what was asked for, and read back", async () => {
      const metadata = { mode: mark(), level: 3 };
      const room = await api.create({ type: "game", metadata });
      expect(room).toMatchObject({ roomType: "game", playerCount: 0, isLocked: false, metadata });
      expect(room.roomId).toMatch(/^game:[0-9a-z]{12}$/);
      expect(room.address.endsWith(`/parties/router/${room.roomId}`)).toBe(true);
      expect(await api.room(room.roomId)).toEqual(room);
      expect(await api.room(encodeURIComponent(room.roomId))).toEqual(room);
    });

    test("RA6 a room that is there is not created again", async () => {
      const { roomId } = await api.create({ type: "default", roomId: mark() });
      const body = { type: "default", roomId };
      expectProblem(await api.ask("rooms", { method: "POST", body }), 409, "room-exists");
    });

    test("RA4, RA5 rooms are listed by type and metadata, page by page, each once", async () => {
      const mode = mark();
      const created = await Promise.all(
        [1, 2, 3, 4, 5].map((level) => api.create({ type: "game", metadata: { mode, level } })),
      );
      const ids = created.map(({ roomId }) => roomId).toSorted();
      for (const limit of [1, 2, 200]) {
        const listed = await api.list(`type=game&metadata.mode=${mode}&limit=${limit}`);
        expect(listed.map(({ roomId }) => roomId)).toEqual(ids);
      }
      const [third] = await api.list(`metadata.mode=${mode}&metadata.level=3`);
      expect(third).toMatchObject({ metadata: { mode, level: 3 } });
      expect(await api.list(`metadata.mode=${mode}&metadata.level=%223%22`)).toEqual([]);
      expect(await api.list(`type=default&metadata.mode=${mode}`)).toEqual([]);
    });

    test("RA4, RA12 a locked room is listed as such, and takes nobody without a ticket", async () => {
      const mode = mark();
      const { roomId } = await api.create({ type: "game", metadata: { mode } });
      expect(await api.change(roomId, { isLocked: true })).toMatchObject({ isLocked: true });
      expect(await api.list(`metadata.mode=${mode}&notLocked=true`)).toEqual([]);
      expect(await api.list(`metadata.mode=${mode}&notLocked=false`)).toHaveLength(1);
      const { refused } = await host.upgrade(`/parties/router/${roomId}`);
      if (refused === null) throw new Error("a locked room took a socket");
      expectProblem(refused, 403, "room-locked");
      const body = { roomType: "game", roomId, playerId: "ann" };
      expectProblem(await api.ask("reserve", { method: "POST", body }), 403, "room-locked");
    });

    test("RA4 metadata may be changed, and counts for queries from then on", async () => {
      const [before, after] = [mark(), mark()];
      const { roomId } = await api.create({ type: "default", metadata: { mode: before } });
      const changed = await api.change(roomId, { metadata: { mode: after } });
      expect(changed.metadata).toEqual({ mode: after });
      expect(await api.list(`metadata.mode=${before}`)).toEqual([]);
      expect(await api.list(`metadata.mode=${after}`)).toHaveLength(1);
    });

    test.each(["router", "registry"])(
      "RA14 a room that is disposed of at the %s is gone, its clients closed, its log forgotten",
      async (where) => {
        const room = new TestRoom(host, "game");
        const socket = await room.join();
        await room.deliver("one");
        expect(await socket.received(1)).toEqual(["one"]);
        const { epoch } = await room.status();
        const headers = { authorization: `Bearer ${host.adminToken}` };
        const path = where === "router" ? room.path : `${base}/rooms/${room.id}`;
        const disposed = await host.request(path, { method: "DELETE", headers });
        expect(disposed).toMatchObject({ status: 204, text: "" });
        expect((await socket.closed()).code).toBeGreaterThanOrEqual(4500);
        expectProblem(await api.ask(`rooms/${room.id}`), 404, "unknown-room");
        const after = await room.status();
        expect(after).toMatchObject({ seq: 0, connections: 0 });
        expect(after.epoch).not.toBe(epoch);
        // Once more finds nothing to do.
        expect(await host.request(path, { method: "DELETE", headers })).toMatchObject({
          status: 204,
        });
      },
    );

    test("RA14, RA2 without the token nobody disposes of a room", async () => {
      const room = new TestRoom(host, "game");
      await room.publish("kept");
      expectProblem(await host.request(room.path, { method: "DELETE" }), 401, "unauthorized");
      expect(await room.status()).toMatchObject({ seq: 1 });
    });

    test("RA3 what the API cannot read is refused, and nothing changes", async () => {
      const tooMuch = { text: "x".repeat(16 * 1024) };
      const ann = { roomType: "game", playerId: "ann" };
      const cases: readonly (readonly [string, string, unknown, number, string])[] = [
        ["POST", "rooms", { type: "chess" }, 404, "unknown-room-type"],
        ["POST", "rooms", { type: "game", maxPlayers: -1 }, 400, "malformed-body"],
        ["POST", "rooms", { type: "game", keepMs: "long" }, 400, "malformed-body"],
        ["POST", "rooms", { type: "game", roomId: "lobby" }, 400, "malformed-body"],
        ["POST", "rooms", { type: "game", maxPlayers: 1e300 }, 400, "malformed-body"],
        ["POST", "rooms", { type: "game", keepMs: -1 }, 400, "malformed-body"],
        ["POST", "rooms", { type: "game", placement: "luck" }, 400, "malformed-body"],
        ["POST", "rooms", { type: "game", metadata: tooMuch }, 400, "malformed-body"],
        ["PATCH", "rooms/game:nosuchroom", { metadata: tooMuch }, 400, "malformed-body"],
        ["POST", "reserve", { roomType: "chess", playerId: "a" }, 404, "unknown-room-type"],
        ["POST", "reserve", { ...ann, ttlMs: -5 }, 400, "malformed-body"],
        ["POST", "reserve", { ...ann, ttlMs: 1e300 }, 400, "malformed-body"],
        ["POST", "route", { roomType: "chess", playerId: "a" }, 404, "unknown-room-type"],
        ["PUT", "locks/a", { token: -1, ttlMs: 1_000 }, 400, "malformed-body"],
        ["POST", "rooms", { filler: "x".repeat(70_000) }, 413, "payload-too-large"],
        ["POST", "reserve", { roomType: "game" }, 400, "malformed-body"],
        ["POST", "route", { roomType: "game", playerId: "" }, 400, "malformed-body"],
        ["POST", "locks/a%20b", { ttlMs: 1_000 }, 400, "malformed-name"],
        ["POST", "locks/a", { ttlMs: 1 }, 400, "malformed-body"],
        ["POST", "servers", { serverId: "s" }, 400, "malformed-body"],
        ["PATCH", "rooms/game:nosuchroom", { isLocked: true }, 404, "unknown-room"],
      ];
      for (const [method, path, body, status, code] of cases) {
        expectProblem(await api.ask(path, { method, body }), status, code);
      }
      for (const query of ["limit=0", "limit=x", "hasSpace=1", "cursor=%20", "color=red"]) {
        expectProblem(await api.ask(`rooms?${query}`), 400, "malformed-query");
      }
      expectProblem(await api.ask("rooms/game:nosuchroom"), 404, "unknown-room");
      expectProblem(
        await api.ask("servers/nosuch/drain", { method: "POST" }),
        404,
        "unknown-server",
      );
    });

    test("RA5 a lock has one owner at a time, and its token only rises", async () => {
      const path = `locks/${mark()}`;
      const lock = { method: "POST", body: { ttlMs: 60_000 } };
      const first = (await api.json(path, lock)) as { token: number };
      expectProblem(await api.ask(path, lock), 409, "lock-held");
      const { token } = first;
      const extend = { method: "PUT", body: { token, ttlMs: 60_000 } };
      expect(await api.json(path, extend)).toMatchObject({ token });
      const wrong = { method: "DELETE", body: { token: token + 1 } };
      expectProblem(await api.ask(path, wrong), 409, "lock-lost");
      expect(await api.ask(`${path}?token=${token}`, { method: "DELETE" })).toMatchObject({
        status: 204,
      });
      expectProblem(await api.ask(path, extend), 409, "lock-lost");
      const second = (await api.json(path, lock)) as { token: number };
      expect(second.token).toBeGreaterThan(token);
      expect(
        await api.ask(path, { method: "DELETE", body: { token: second.token } }),
      ).toMatchObject({ status: 204 });
    });
  });
}
