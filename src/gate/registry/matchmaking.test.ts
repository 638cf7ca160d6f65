import { expect, test } from "vitest";
import { lost, type Answer, type Call } from "../../../test/support/fake-calls.ts";
import { GateRig, problemOf, secret } from "../../../test/support/gate-rig.ts";
import type { RoomId } from "../../../src/protocol/names.ts";
import { verifyTicket } from "../../../src/protocol/ticket.ts";

const none: Answer = { ok: false, code: "unknown-room", detail: "no room of the type is open" };
const player = { roomType: "game", playerId: "ann" };

function held(room: string, players: readonly string[], redirect: string | null = null): Answer {
  const seats = players.map((each, index) => ({ id: `seat-${index}`, player: each }));
  const server = redirect === null ? `${room}-1` : "outside";
  return { ok: true, value: { room, server, redirect, expiresAt: 5_000, seats } };
}

/** A rig whose partitions hold seats as `answer` says. */
function rigOf(answer: (call: Call) => Answer, partitions = 1): GateRig {
  const rig = new GateRig({}, {}, { partitions });
  rig.calls.answer = answer;
  return rig;
}

/** The questions to the registry for seats. */
const reserves = (rig: GateRig) => rig.calls.of("reserve").filter((each) => "create" in each);
/** The room that the partition may create. */
const createdBy = ({ request }: Call): RoomId | null =>
  request.type === "reserve" && "create" in request ? request.create : null;

const reserve = (rig: GateRig, body: object) => rig.admin("reserve", { method: "POST", body });

test("RA9 a seat comes with a ticket that says room, server, seat, player and expiry", async () => {
  const rig = rigOf(() => held("game:1", ["ann"]));
  const answer = await reserve(rig, { ...player, roomId: "game:1", ttlMs: 2_000 });
  expect(answer.status).toBe(200);
  const { ticket, ...reservation } = (await answer.json()) as { ticket: string };
  const seat = { id: "seat-0", expiresAt: 5_000 };
  expect(reservation).toEqual({
    roomId: "game:1",
    serverId: "game:1-1",
    seat,
    seats: [{ ...seat, playerId: "ann", ticket }],
    connect: { party: "router", room: "game:1", query: { ticket } },
  });
  const claims = { room: "game:1", server: "game:1-1", seat: "seat-0", player: "ann" };
  expect(await verifyTicket(secret, ticket)).toEqual({
    ok: true,
    value: { ...claims, expiresAt: 5_000 },
  });
  expect(reserves(rig)).toEqual([
    {
      type: "reserve",
      roomType: "game",
      room: "game:1",
      players: ["ann"],
      query: {},
      ttlMs: 2_000,
      region: null,
      server: null,
      create: null,
    },
  ]);
});

test("RA9 each player of a group gets a ticket of their own, in order", async () => {
  const rig = rigOf(() => held("game:1", ["ann", "bob"]));
  const answer = await reserve(rig, { roomType: "game", playerIds: ["ann", "bob"] });
  const { seats } = (await answer.json()) as { seats: { ticket: string; playerId: string }[] };
  expect(seats.map(({ playerId }) => playerId)).toEqual(["ann", "bob"]);
  const claims = await Promise.all(seats.map(({ ticket }) => verifyTicket(secret, ticket)));
  expect(claims.map((each) => each.ok && each.value.player)).toEqual(["ann", "bob"]);
});

test("RA22 a group that no room of the type can take is refused for good", async () => {
  const rig = rigOf(() => held("game:1", ["b", "c", "d", "e"]));
  const playerIds = ["a", "b", "c", "d", "e"];
  const answer = await reserve(rig, { roomType: "game", playerIds });
  expect(await problemOf(answer)).toBe("400 malformed-body");
  expect(rig.calls.made).toEqual([]);
  const four = await reserve(rig, { roomType: "game", playerIds: playerIds.slice(1) });
  expect(four.status).toBe(200);
});

test("RA9 a seat on a server outside says where that is", async () => {
  const rig = rigOf(() => held("game:1", ["ann"], "wss://outside/1"));
  const answer = await reserve(rig, player);
  expect(await answer.json()).toMatchObject({ serverId: "outside", redirect: "wss://outside/1" });
});

test.each([undefined, "", "x".repeat(31)])(
  "RA9 with %j for a secret nothing is reserved",
  async (given) => {
    const rig = new GateRig({}, { secret: given });
    const answer = await reserve(rig, player);
    expect(answer.status).toBe(501);
    expect(await answer.text()).toContain("set PARTYSHARD_SECRET");
    expect(rig.calls.made).toEqual([]);
  },
);

test("RA8 with one partition a room is found or created by one call", async () => {
  const rig = rigOf(() => held("game:1", ["ann"]));
  await reserve(rig, { ...player, query: { hasSpace: true }, region: "weur" });
  const [call, ...others] = reserves(rig);
  expect(others).toEqual([]);
  expect(call).toMatchObject({ room: null, query: { hasSpace: true }, region: "weur" });
  expect(call?.create).toMatch(/^game:[0-9a-z]{12}$/);
});

test("RA8 with several each is asked once, and only the new id's own may create", async () => {
  const orders = new Set<string>();
  for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
    const rig = new GateRig({}, {}, { partitions: 4 });
    for (let n = 0; n < seed; n += 1) rig.ports.entropy.random();
    rig.calls.answer = (call) => {
      const room = createdBy(call);
      return room === null ? none : held(room, ["ann"]);
    };
    expect((await reserve(rig, player)).status).toBe(200);
    const asked = rig.calls.made.map(({ id }) => id);
    expect(asked.toSorted()).toEqual(["default", "default-1", "default-2", "default-3"]);
    const created = reserves(rig).map(({ create }) => create);
    expect(created.slice(0, 3)).toEqual([null, null, null]);
    const room = created[3] ?? null;
    expect(room === null ? null : rig.rooms.partitionOf(room)).toBe(asked[3]);
    orders.add(asked.join());
  }
  expect(orders.size).toBeGreaterThan(2);
});

test("RA8 the first partition with an open room ends the search", async () => {
  const rig = rigOf(() => held("game:1", ["ann"]), 4);
  await reserve(rig, player);
  expect(rig.calls.made).toHaveLength(1);
});

test.each(["room-full", "room-locked", "no-server", "unreachable"])(
  "RA8 a partition that says %s is passed over",
  async (code) => {
    const rig = rigOf((call) => {
      const room = createdBy(call);
      return room === null ? { ok: false, code, detail: "" } : held(room, ["ann"]);
    }, 3);
    expect((await reserve(rig, player)).status).toBe(200);
    expect(rig.calls.made).toHaveLength(3);
  },
);

test("RA8 a refusal that holds for every partition ends the search", async () => {
  const code = "malformed-body";
  const rig = rigOf(() => ({ ok: false, code, detail: "a group that no room takes" }), 3);
  expect(await problemOf(await reserve(rig, player))).toBe("400 malformed-body");
  expect(rig.calls.made).toHaveLength(1);
});

test.each([
  ["unknown-room", "404 unknown-room"],
  ["room-full", "503 room-full"],
  ["room-locked", "403 room-locked"],
  ["no-server", "503 no-server"],
  ["unreachable", "503 unavailable"],
])("RA8 a named room's %s is answered %s, and no room is created", async (code, problem) => {
  const rig = rigOf(() => ({ ok: false, code, detail: "as the partition says" }), 4);
  expect(await problemOf(await reserve(rig, { ...player, roomId: "game:1" }))).toBe(problem);
  expect(reserves(rig)).toMatchObject([{ room: "game:1", create: null }]);
});

test.each([
  [{ roomType: "chess", playerId: "a" }, "404 unknown-room-type"],
  [{ roomType: "game" }, "400 malformed-body"],
  [{ roomType: "game", playerId: "" }, "400 malformed-body"],
  [{ roomType: "game", playerId: "a b" }, "400 malformed-body"],
  [{ roomType: "game", playerIds: [] }, "400 malformed-body"],
  [{ roomType: "game", playerIds: ["a", "a"] }, "400 malformed-body"],
  [{ roomType: "game", playerId: "a", playerIds: ["b"] }, "400 malformed-body"],
  [{ roomType: "game", playerId: "a", ttlMs: 0 }, "400 malformed-body"],
  [{ roomType: "game", playerId: "a", ttlMs: 1e9 }, "400 malformed-body"],
  [{ roomType: "game", playerId: "a", region: "mars" }, "400 malformed-body"],
  [{ roomType: "game", playerId: "a", roomId: "lobby" }, "400 malformed-body"],
  [{ roomType: "game", playerId: "a", roomId: "game:ä" }, "400 malformed-name"],
  [{ roomType: "game", playerId: "a", query: { players: 1 } }, "400 malformed-body"],
])("RA3, RA8 a reserve of %j is refused: %s", async (body, problem) => {
  const rig = rigOf(() => held("game:1", ["a"]));
  expect(await problemOf(await reserve(rig, body))).toBe(problem);
  expect(rig.calls.made).toEqual([]);
});

test("RA18 the server that asks for a seat, a room or a route is known to the type's strategy", async () => {
  const rig = new GateRig();
  await reserve(rig, { ...player, serverId: "s" });
  await reserve(rig, { ...player, roomId: "game:1", serverId: "s" });
  await rig.admin("rooms", { method: "POST", body: { type: "game", serverId: "s" } });
  const asked = [...reserves(rig), ...rig.calls.of("create")];
  expect(asked.map(({ server }) => server)).toEqual(["s", "s", "s"]);
});

test("RA8 the request's region is passed on unless the body names one", async () => {
  const rig = new GateRig({}, { region: () => "oc" });
  rig.calls.answer = () => held("game:1", ["ann"]);
  await reserve(rig, player);
  await reserve(rig, { ...player, region: "afr" });
  expect(reserves(rig).map(({ region }) => region)).toEqual(["oc", "afr"]);
});

const route = (rig: GateRig, body: object) => rig.admin("route", { method: "POST", body });

test("RA7, RA16 a room on shards is told with where to connect", async () => {
  const found = { type: "redirect", roomId: "game:1", serverId: "game:1-1", serverAddress: "" };
  const rig = rigOf(() => ({ ok: true, value: found }));
  const answer = await route(rig, { ...player, roomId: "game:1", serverId: "s" });
  expect(await answer.json()).toEqual({
    ...found,
    serverAddress: "wss://example.com/parties/router/game:1",
    connect: { party: "router", room: "game:1", query: {} },
  });
  expect(rig.calls.of("route")).toEqual([
    {
      type: "route",
      roomType: "game",
      room: "game:1",
      player: "ann",
      server: "s",
      query: {},
    },
  ]);
});

const outside = { type: "redirect", roomId: "game:2", serverId: "s", serverAddress: "wss://s/2" };
const own = { type: "local", roomId: "game:3" };
const create = { type: "create" };
const full = { type: "unavailable", reason: "no server has space" };

test.each([
  [[full, create, outside, own], own],
  [[full, create, outside, outside], outside],
  [[full, full, create, full], create],
  [[full, full, full, full], full],
])("RA16 of the answers %j of all partitions %j is given", async (values, best) => {
  const rig = new GateRig({}, {}, { partitions: 4 });
  const names = ["default", "default-1", "default-2", "default-3"];
  rig.calls.answer = ({ id, request }) =>
    request.type === "offer"
      ? { ok: true, value: null }
      : { ok: true, value: values[names.indexOf(id)] };
  expect(await (await route(rig, player)).json()).toEqual(best);
  const asked = rig.calls.made.filter(({ request }) => request.type === "route");
  expect(asked.map(({ id }) => id).toSorted()).toEqual(names);
});

test("RA16 where a new room would live outside, its server is named", async () => {
  const rig = new GateRig({}, { region: () => "oc" }, { partitions: 2 });
  let offer: Answer = { ok: true, value: { server: "s", url: "wss://s" } };
  rig.calls.answer = ({ request }) =>
    request.type === "offer" ? offer : { ok: true, value: create };
  expect(await (await route(rig, player)).json()).toEqual({
    type: "create",
    serverId: "s",
    serverAddress: "wss://s",
  });
  await route(rig, { ...player, roomId: "game:1", region: "weur", serverId: "s" });
  expect(rig.calls.of("offer")).toEqual([
    { type: "offer", roomType: "game", key: "ann", region: "oc", local: null },
    { type: "offer", roomType: "game", key: "game:1", region: "weur", local: "s" },
  ]);
  expect(rig.calls.made.at(-1)?.id).toBe("default");
  offer = { ok: false, code: "no-server", detail: "no server takes a room" };
  expect(await (await route(rig, player)).json()).toEqual({
    type: "unavailable",
    reason: "no server takes a room",
  });
  offer = lost;
  expect(await problemOf(await route(rig, player))).toBe("503 unavailable");
});

test("RA16 of a type that shards alone host no server is asked for", async () => {
  const rig = new GateRig();
  rig.calls.answer = () => ({ ok: true, value: create });
  const answer = await route(rig, { roomType: "inside", playerId: "ann" });
  expect(await answer.json()).toEqual(create);
  expect(rig.calls.of("offer")).toEqual([]);
});

test("RA16 a silent partition may have had the room, unless one was found elsewhere", async () => {
  const rig = new GateRig({}, {}, { partitions: 2 });
  rig.calls.answer = ({ id }) => (id === "default" ? lost : { ok: true, value: create });
  expect(await problemOf(await route(rig, player))).toBe("503 unavailable");
  rig.calls.answer = ({ id }) => (id === "default" ? lost : { ok: true, value: outside });
  expect(await (await route(rig, player)).json()).toEqual(outside);
});

test.each([
  [{ roomType: "chess", playerId: "a" }, "404 unknown-room-type"],
  [{ roomType: "game" }, "400 malformed-body"],
  [{ roomType: "game", playerId: "a", roomId: "lobby" }, "400 malformed-body"],
  [{ roomType: "game", playerId: "a", serverId: "a b" }, "400 malformed-body"],
])("RA3, RA16 a route of %j is refused: %s", async (body, problem) => {
  const rig = rigOf(() => ({ ok: true, value: full }));
  expect(await problemOf(await route(rig, body))).toBe(problem);
  expect(rig.calls.made).toEqual([]);
});
