import { expect, test } from "vitest";
import { lost } from "../../../test/support/fake-calls.ts";
import { GateRig, problemOf } from "../../../test/support/gate-rig.ts";
import type { RoomListing } from "../../../src/protocol/registry-calls.ts";

function listing(roomId: string, address: string | null = null): RoomListing {
  return {
    roomId,
    roomType: "default",
    serverId: `${roomId}-1`,
    serverIds: [`${roomId}-1`],
    address,
    playerCount: 0,
    isLocked: false,
    metadata: {},
    createdAt: 1,
    updatedAt: 2,
  };
}

/** A rig whose partitions answer every question about a room with that room. */
function rigOf(partitions = 1): GateRig {
  const rig = new GateRig({ shards: 1, maxPlayers: 8 }, {}, { partitions });
  rig.calls.answer = ({ request }) => {
    if (request.type === "rooms") return { ok: true, value: { rooms: [], through: null } };
    const room = "room" in request && typeof request.room === "string" ? request.room : "lobby";
    return { ok: true, value: request.type === "dispose" ? null : listing(room) };
  };
  return rig;
}

test.each([
  ["?limit=0"],
  ["?limit=201"],
  ["?limit=-1"],
  ["?limit=1.5"],
  ["?limit="],
  ["?limit=all"],
  ["?cursor="],
  ["?cursor=a%20b"],
  [`?cursor=${"x".repeat(129)}`],
  ["?hasSpace=yes"],
  ["?hasSpace="],
  ["?notLocked=1"],
  ["?hasspace=true"],
  ["?metadata.=1"],
  ["?metadata=1"],
  [`?metadata.a=${"x".repeat(257)}`],
  [`?${Array.from({ length: 17 }, (_, n) => `metadata.k${n}=1`).join("&")}`],
])("RA4 a list of rooms refuses %s", async (query) => {
  const rig = rigOf();
  expect(await problemOf(await rig.admin(`rooms${query}`))).toBe("400 malformed-query");
  expect(rig.calls.made).toEqual([]);
});

test("RA4 a list of an unknown type is refused", async () => {
  const rig = rigOf();
  expect(await problemOf(await rig.admin("rooms?type=chess"))).toBe("404 unknown-room-type");
  expect(rig.calls.made).toEqual([]);
});

test("RA4 what is left out of a query is not asked for", async () => {
  const rig = rigOf();
  expect(await (await rig.admin("rooms")).json()).toEqual({ rooms: [] });
  await rig.admin("rooms?type=game&hasSpace=true&notLocked=false&limit=200&cursor=game:a");
  expect(rig.calls.of("rooms")).toEqual([
    { type: "rooms", roomType: null, query: {}, after: null, limit: 50 },
    {
      type: "rooms",
      roomType: "game",
      query: { hasSpace: true, notLocked: false },
      after: "game:a",
      limit: 200,
    },
  ]);
});

test.each([
  ["5", 5],
  ["-0.25", -0.25],
  ["true", true],
  ["false", false],
  ['"5"', "5"],
  ['"true"', "true"],
  ["ranked", "ranked"],
  ["05", "05"],
  ["1e3", "1e3"],
  ["", ""],
  ["null", "null"],
])("RA4 metadata.mode=%s asks for %j", async (text, value) => {
  const rig = rigOf();
  await rig.admin(`rooms?metadata.mode=${encodeURIComponent(text)}&metadata.a.b=x`);
  expect(rig.calls.of("rooms")[0]?.query).toEqual({ metadata: { mode: value, "a.b": "x" } });
});

test("RA5, RA7 rooms of all partitions are listed in order, with where they are", async () => {
  const rig = new GateRig({}, {}, { partitions: 3 });
  const parts: Record<string, object> = {
    default: { rooms: [listing("b"), listing("d")], through: "d" },
    "default-1": { rooms: [listing("a")], through: null },
    "default-2": { rooms: [listing("c", "wss://outside/c")], through: null },
  };
  rig.calls.answer = ({ id }) => ({ ok: true, value: parts[id] });
  const answer = await rig.admin("rooms?limit=3");
  const here = (room: string) => ({
    ...listing(room),
    address: `wss://example.com/parties/router/${room}`,
  });
  expect(await answer.json()).toEqual({
    rooms: [here("a"), here("b"), listing("c", "wss://outside/c")],
    cursor: "c",
  });
  expect(rig.calls.made.map(({ id }) => id)).toEqual(["default", "default-1", "default-2"]);
});

test("RA5 one silent partition makes the whole list unavailable", async () => {
  const rig = new GateRig({}, {}, { partitions: 3 });
  rig.calls.answer = ({ id }) =>
    id === "default-2" ? lost : { ok: true, value: { rooms: [], servers: [], through: null } };
  for (const path of ["rooms", "servers"]) {
    const answer = await rig.admin(path);
    expect(answer.headers.get("retry-after")).toBe("2");
    expect(await problemOf(answer)).toBe("503 unavailable");
  }
});

test("RA5 a room's own partition is asked about it", async () => {
  const rig = rigOf(8);
  for (let n = 0; n < 20; n += 1) {
    const room = `game:${n}`;
    await rig.admin(`rooms/${encodeURIComponent(room)}`);
    await rig.admin(`rooms/${room}`, { method: "PATCH", body: { isLocked: true } });
    await rig.admin("rooms", { method: "POST", body: { type: "game", roomId: room } });
  }
  const wrong = rig.calls.made.filter(({ id, request }) => {
    return !("room" in request) || id !== rig.rooms.partitionOf(request.room as never);
  });
  expect(wrong).toEqual([]);
  expect(new Set(rig.calls.made.map(({ id }) => id)).size).toBeGreaterThan(3);
  expect(rig.calls.of("change")[0]).toEqual({ type: "change", room: "game:0", isLocked: true });
});

test("RA6 a room is created with what is asked for, and 201", async () => {
  const rig = rigOf();
  const body = {
    type: "game",
    roomId: "game:mine",
    metadata: { mode: "ranked" },
    maxPlayers: 2,
    isLocked: true,
    keepMs: 0,
  };
  const answer = await rig.admin("rooms", { method: "POST", body });
  expect(answer.status).toBe(201);
  const address = "wss://example.com/parties/router/game:mine";
  expect(await answer.json()).toEqual({ ...listing("game:mine"), address });
  const { type: _type, roomId, ...asked } = body;
  expect(rig.calls.of("create")).toEqual([
    { type: "create", room: roomId, ...asked, region: null, server: null },
  ]);
});

test("RA6 a room without an id gets a new one of its type, each time another", async () => {
  const rig = rigOf();
  for (let n = 0; n < 50; n += 1) {
    await rig.admin("rooms", { method: "POST", body: { type: "game" } });
    await rig.admin("rooms", { method: "POST", body: { type: "default" } });
  }
  const ids = rig.calls.of("create").map(({ room }) => room as string);
  expect(new Set(ids).size).toBe(100);
  expect(ids.filter((id) => /^game:[0-9a-z]{12}$/.test(id))).toHaveLength(50);
  expect(ids.filter((id) => /^[0-9a-z]{12}$/.test(id))).toHaveLength(50);
});

test.each([
  [{ type: "chess" }, "404 unknown-room-type"],
  [{ type: "__proto__" }, "404 unknown-room-type"],
  [{ type: "game", roomId: "chess:1" }, "400 malformed-body"],
  [{ type: "game", roomId: "lobby" }, "400 malformed-body"],
  [{ type: "default", roomId: "game:1" }, "400 malformed-body"],
  [{ type: "game", roomId: "game:a b" }, "400 malformed-name"],
  [{ type: "game", roomId: `game:${"x".repeat(124)}` }, "400 malformed-name"],
  [{ type: "game", maxPlayers: 5 }, "400 malformed-body"],
  [{ type: "game", maxPlayers: 0 }, "400 malformed-body"],
  [{ type: "game", maxPlayers: 1.5 }, "400 malformed-body"],
  [{ type: "game", maxPlayers: -1 }, "400 malformed-body"],
  [{ type: "game", keepMs: -1 }, "400 malformed-body"],
  [{ type: "game", metadata: { a: "x".repeat(17_000) } }, "400 malformed-body"],
  [{ type: "game", metadata: [] }, "400 malformed-body"],
  [{ type: "game", isLocked: "yes" }, "400 malformed-body"],
  [{ type: 5 }, "400 malformed-body"],
])("RA3, RA6 POST rooms refuses %j: %s", async (body, problem) => {
  const rig = rigOf();
  expect(await problemOf(await rig.admin("rooms", { method: "POST", body }))).toBe(problem);
  expect(rig.calls.made).toEqual([]);
});

test("RA6 a limit of players is refused for a type of several shards", async () => {
  const rig = new GateRig({ shards: 2 });
  const body = { type: "default", maxPlayers: 2 };
  const answer = await rig.admin("rooms", { method: "POST", body });
  expect(await problemOf(answer)).toBe("400 malformed-body");
});

test.each([
  ["rooms/a%20b", "400 malformed-name"],
  ["rooms/chess:1", "404 unknown-room-type"],
])("RA3 %s is refused: %s", async (path, problem) => {
  const rig = rigOf();
  for (const [method, body] of [["GET"], ["DELETE"], ["PATCH", {}]] as const) {
    expect(await problemOf(await rig.admin(path, { method, body }))).toBe(problem);
  }
  expect(rig.calls.made).toEqual([]);
});

test.each([
  ["unknown-room", "404 unknown-room"],
  ["room-exists", "409 room-exists"],
  ["unreachable", "503 unavailable"],
  ["overloaded", "503 unavailable"],
  ["something new", "503 unavailable"],
])("RA5 a partition's %s is answered %s", async (code, problem) => {
  const rig = rigOf();
  rig.calls.answer = () => ({ ok: false, code, detail: "as the partition says" });
  expect(await problemOf(await rig.admin("rooms/lobby"))).toBe(problem);
  const body = { type: "default", roomId: "lobby" };
  expect(await problemOf(await rig.admin("rooms", { method: "POST", body }))).toBe(problem);
});
