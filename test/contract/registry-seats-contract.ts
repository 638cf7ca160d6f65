/** Matchmaking over HTTP, and what tickets open: for apps with an admin token and a secret. */
import { describe, expect, test } from "vitest";
import type { RoomsHost } from "./host.ts";
import { RegistryApi } from "./registry-api.ts";
import { expectProblem, TestRoom } from "./test-room.ts";

const mark = (): string => crypto.randomUUID();

export function describeRegistrySeats(host: RoomsHost): void {
  if (host.adminToken === undefined) return;
  const api = new RegistryApi(host);

  async function knock(path: string, ticket: string, more = "") {
    return host.upgrade(`${path}?ticket=${encodeURIComponent(ticket)}${more}`);
  }

  async function refusalOf(path: string, ticket: string, more = "") {
    const { refused, socket } = await knock(path, ticket, more);
    if (refused !== null) return refused;
    socket.close();
    throw new Error(`a socket opened at ${path}`);
  }

  describe("seats", () => {
    test("RA8, RA9, RA10 a player without a room gets one, and in with the ticket", async () => {
      const reserved = await api.reserve({ roomType: "game", playerId: "ann" });
      expect(reserved.roomId).toMatch(/^game:/);
      expect(reserved.connect).toEqual({
        party: "router",
        room: reserved.roomId,
        query: { ticket: reserved.ticket },
      });
      const { socket } = await knock(`/parties/router/${reserved.roomId}`, reserved.ticket);
      expect(socket).not.toBeNull();
      const answer = await host.request(`/parties/router/${reserved.roomId}?wait=delivered`, {
        method: "POST",
        body: "hello",
      });
      expect(answer.status).toBe(200);
      expect(await socket?.received(1)).toEqual(["hello"]);
      socket?.close();
    });

    test("RA22 a player who reserves twice has two seats, for two connections", async () => {
      const { roomId } = await api.create({ type: "game" });
      const asked = { roomType: "game", roomId, playerId: "ann" };
      const [one, two] = [await api.reserve(asked), await api.reserve(asked)];
      const first = await knock(`/parties/router/${roomId}`, one.ticket);
      const second = await knock(`/parties/router/${roomId}`, two.ticket);
      const answer = await host.request(`/parties/router/${roomId}?wait=delivered`, {
        method: "POST",
        body: "to both",
      });
      expect(answer.status).toBe(200);
      for (const { socket } of [first, second]) {
        expect(await socket?.received(1)).toEqual(["to both"]);
        socket?.close();
      }
    });

    test("RA10, IO1 a ticket leads to its own shard, and to nothing else inside", async () => {
      const { roomId } = await api.create({ type: "game" });
      const { ticket, serverId } = await api.reserve({ roomType: "game", roomId, playerId: "ann" });
      expect(serverId).toBe(`${roomId}-1`);
      const other = new TestRoom(host, "game");
      expectProblem(await refusalOf(other.path, ticket), 401, "ticket-invalid");
      expectProblem(await refusalOf(`/parties/main/${other.id}-1`, ticket), 403, "forbidden");
      const forged = `${ticket.slice(0, -4)}AAAA`;
      expectProblem(await refusalOf(`/parties/main/${serverId}`, forged), 403, "forbidden");
      expectProblem(await refusalOf(`/parties/router/${roomId}`, forged), 401, "ticket-invalid");
      const post = { method: "POST", body: "x" };
      const path = `/parties/main/${serverId}?ticket=${encodeURIComponent(ticket)}`;
      expectProblem(await host.request(path, post), 403, "forbidden");
      const { socket } = await knock(`/parties/main/${serverId}`, ticket, "&_pk=me");
      expect(socket).not.toBeNull();
      expectProblem(
        await refusalOf(`/parties/router/${roomId}`, ticket, "&_pk=thief"),
        403,
        "ticket-used",
      );
      socket?.close();
    });

    test("RA8 seats in a room are given once, to groups whole or not at all", async () => {
      const { roomId } = await api.create({ type: "game", maxPlayers: 3 });
      const three = { roomType: "game", roomId, playerIds: ["a", "b", "c"] };
      const { seats } = await api.reserve({ ...three, playerIds: ["a", "b"] });
      expect(seats.map(({ playerId }) => playerId)).toEqual(["a", "b"]);
      expectProblem(await api.ask("reserve", { method: "POST", body: three }), 503, "room-full");
      await api.reserve({ roomType: "game", roomId, playerId: "c" });
      const full = { roomType: "game", roomId, playerId: "d" };
      expectProblem(await api.ask("reserve", { method: "POST", body: full }), 503, "room-full");
    });

    test("RA11, SE2, SE3 a ticket that was used, or not in time, is good no more", async () => {
      const { roomId } = await api.create({ type: "game", maxPlayers: 1 });
      const path = `/parties/router/${roomId}`;
      const body = { roomType: "game", roomId, playerId: "ann", ttlMs: 1_000 };
      const late = await api.reserve(body);
      expectProblem(await api.ask("reserve", { method: "POST", body }), 503, "room-full");
      // The only seat is free again when its time is over.
      await expect
        .poll(
          async () => {
            const answer = await api.ask("reserve", { method: "POST", body });
            if (answer.status !== 200) return null;
            const { ticket } = JSON.parse(answer.text) as { ticket: string };
            return (await knock(path, ticket, "&_pk=a")).socket;
          },
          { timeout: 20_000, interval: 200 },
        )
        .not.toBeNull();
      expectProblem(await refusalOf(path, late.ticket, "&_pk=b"), 403, "ticket-expired");
    });

    test("RA12 a ticket from before opens a room that was locked since", async () => {
      const { roomId } = await api.create({ type: "game" });
      const { ticket } = await api.reserve({ roomType: "game", roomId, playerId: "ann" });
      await api.change(roomId, { isLocked: true });
      const { socket } = await knock(`/parties/router/${roomId}`, ticket);
      expect(socket).not.toBeNull();
      socket?.close();
    });

    test("RA16 a route tells where a room is, and what would happen without one", async () => {
      const mode = mark();
      const ask = { roomType: "game", playerId: "ann", query: { metadata: { mode } } };
      expect(await api.json("route", { method: "POST", body: ask })).toEqual({ type: "create" });
      const { roomId, address } = await api.create({ type: "game", metadata: { mode } });
      expect(await api.json("route", { method: "POST", body: ask })).toMatchObject({
        type: "redirect",
        roomId,
        serverAddress: address,
        connect: { party: "router", room: roomId, query: {} },
      });
    });

    test("RA9 an unknown room has no seats", async () => {
      const body = { roomType: "game", roomId: `game:${mark()}`, playerId: "ann" };
      expectProblem(await api.ask("reserve", { method: "POST", body }), 404, "unknown-room");
    });
  });
}
