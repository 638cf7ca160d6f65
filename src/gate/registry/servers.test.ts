import { expect, test } from "vitest";
import { GateRig, problemOf } from "../../../test/support/gate-rig.ts";
import { partitionOf } from "../../core/partitions.ts";

const registration = {
  serverId: "s1",
  address: "game.example.com",
  port: 8080,
  capacity: 10,
  roomTypes: ["game"],
  metadata: {},
  instance: "i1",
};
const beat = { instance: "i1", asOf: 0, rooms: [] };
const serverOf = (serverId: string, kind: "shard" | "server", address = "") => ({
  serverId,
  kind,
  address,
});

function rigOf(value: unknown = { now: 1 }, partitions = 3): GateRig {
  const rig = new GateRig({}, {}, { partitions });
  rig.calls.answer = () => ({ ok: true, value });
  return rig;
}

test("RA5 the hub is asked about servers outside", async () => {
  const rig = rigOf();
  expect((await rig.admin("servers", { method: "POST", body: registration })).status).toBe(200);
  const answer = await rig.admin("servers/s1/heartbeat", { method: "PUT", body: beat });
  expect(await answer.json()).toEqual({ now: 1 });
  expect((await rig.admin("servers/s1/drain", { method: "POST" })).status).toBe(200);
  expect((await rig.admin("servers/a%2Fb", { method: "DELETE" })).status).toBe(204);
  expect(rig.calls.made).toEqual([
    { role: "registry", id: "default", request: { type: "register", server: registration } },
    {
      role: "registry",
      id: "default",
      request: { type: "heartbeat", server: "s1", report: beat },
    },
    { role: "registry", id: "default", request: { type: "drain", server: "s1" } },
    { role: "registry", id: "default", request: { type: "unregister", server: "a/b" } },
  ]);
});

test("RA3 a heartbeat may be larger than other bodies", async () => {
  const rig = rigOf();
  const players = Array.from({ length: 8_000 }, (_, n) => `player-${n}`);
  const rooms = Array.from({ length: 10 }, (_, n) => ({ roomId: `game:${n}`, players, seats: [] }));
  const body = { ...beat, rooms };
  expect((await rig.admin("servers/s1/heartbeat", { method: "PUT", body })).status).toBe(200);
});

test.each([
  [{ ...registration, roomTypes: ["chess"] }, "404 unknown-room-type"],
  [{ ...registration, roomTypes: [] }, "400 malformed-body"],
  [{ ...registration, serverId: "a b" }, "400 malformed-body"],
  [{ ...registration, port: 70_000 }, "400 malformed-body"],
  [{ ...registration, capacity: -1 }, "400 malformed-body"],
  [{ ...registration, address: "" }, "400 malformed-body"],
])("RA3 a registration of %j is refused: %s", async (body, problem) => {
  const rig = rigOf();
  expect(await problemOf(await rig.admin("servers", { method: "POST", body }))).toBe(problem);
  expect(rig.calls.made).toEqual([]);
});

test("RA3 a heartbeat that names no room is refused", async () => {
  const rig = rigOf();
  const body = { ...beat, rooms: [{ roomId: "a b", players: [], seats: [] }] };
  const answer = await rig.admin("servers/s1/heartbeat", { method: "PUT", body });
  expect(await problemOf(answer)).toBe("400 malformed-body");
  expect(rig.calls.made).toEqual([]);
});

test.each(["a%20b", "%C3%A4", "x".repeat(129), "%00"])(
  "RA3 %s names no server and no lock",
  async (name) => {
    const rig = rigOf();
    for (const [method, path, body] of [
      ["PUT", `servers/${name}/heartbeat`, beat],
      ["POST", `servers/${name}/drain`, undefined],
      ["DELETE", `servers/${name}`, undefined],
      ["POST", `locks/${name}`, { ttlMs: 1_000 }],
      ["PUT", `locks/${name}`, { ttlMs: 1_000, token: 1 }],
      ["DELETE", `locks/${name}`, { token: 1 }],
    ] as const) {
      expect(await problemOf(await rig.admin(path, { method, body }))).toBe("400 malformed-name");
    }
    expect(rig.calls.made).toEqual([]);
  },
);

test.each([
  "?limit=0",
  "?cursor=",
  "?cursor=a%20b",
  `?cursor=${"x".repeat(137)}`,
  "?kind=room",
  "?status=online",
])("RA4 a list of servers refuses %s", async (query) => {
  const rig = rigOf();
  expect(await problemOf(await rig.admin(`servers${query}`))).toBe("400 malformed-query");
  expect(rig.calls.made).toEqual([]);
});

test("RA5, RA7 servers of all partitions are listed, shards with their room's address", async () => {
  const rig = new GateRig({}, {}, { partitions: 2 });
  const shards = [serverOf("game:a-b-1", "shard"), serverOf("lobby-12", "shard")];
  const servers = [serverOf("k", "server", "wss://k")];
  rig.calls.answer = ({ id }) => {
    const own = id === "default" ? servers : shards;
    return { ok: true, value: { servers: own, through: null } };
  };
  const at = "wss://example.com/parties/router";
  expect(await (await rig.admin("servers?cursor=a~%2F")).json()).toEqual({
    servers: [
      serverOf("game:a-b-1", "shard", `${at}/game:a-b`),
      serverOf("k", "server", "wss://k"),
      serverOf("lobby-12", "shard", `${at}/lobby`),
    ],
  });
  const asked = { type: "servers", kind: null, roomType: null, after: "a~/", limit: 50 };
  expect(rig.calls.of("servers")).toEqual([asked, asked]);
});

test("RA4 a list of servers asks for a kind and a type, and refuses a type that there is not", async () => {
  const rig = rigOf({ servers: [], through: null }, 1);
  expect(await (await rig.admin("servers?kind=shard&type=game&limit=3")).json()).toEqual({
    servers: [],
  });
  const asked = { type: "servers", kind: "shard", roomType: "game", after: null, limit: 3 };
  expect(rig.calls.of("servers")).toEqual([asked]);
  expect(await problemOf(await rig.admin("servers?type=chess"))).toBe("404 unknown-room-type");
});

test("RA5 a lock's own partition is asked", async () => {
  const grant = { key: "k", token: 7, expiresAt: 9 };
  const rig = rigOf(grant, 8);
  for (const key of ["k", "deploy/eu", "a?b#c", "x".repeat(128)]) {
    const path = `locks/${encodeURIComponent(key)}`;
    const granted = await rig.admin(path, { method: "POST", body: { ttlMs: 1_000 } });
    expect([granted.status, await granted.json()]).toEqual([200, grant]);
    await rig.admin(path, { method: "PUT", body: { token: 7, ttlMs: 2_000 } });
    expect((await rig.admin(path, { method: "DELETE", body: { token: 7 } })).status).toBe(204);
    expect((await rig.admin(`${path}?token=7`, { method: "DELETE" })).status).toBe(204);
    const id = partitionOf(key, 8);
    expect(rig.calls.made.splice(0)).toEqual([
      { role: "registry", id, request: { type: "lock", key, ttlMs: 1_000 } },
      { role: "registry", id, request: { type: "extend", key, token: 7, ttlMs: 2_000 } },
      { role: "registry", id, request: { type: "release", key, token: 7 } },
      { role: "registry", id, request: { type: "release", key, token: 7 } },
    ]);
  }
});

test.each([
  "?token=",
  "?token=0",
  "?token=-1",
  "?token=1.5",
  "?token=x",
  "?token=9007199254740992",
])("RA4 a release with %s is refused", async (query) => {
  const rig = rigOf();
  const answer = await rig.admin(`locks/k${query}`, { method: "DELETE", body: { token: 7 } });
  expect(await problemOf(answer)).toBe("400 malformed-query");
  expect(rig.calls.made).toEqual([]);
});

test.each([
  ["lock-held", "POST", { ttlMs: 1_000 }, "409 lock-held"],
  ["lock-lost", "PUT", { ttlMs: 1_000, token: 1 }, "409 lock-lost"],
  ["lock-lost", "DELETE", { token: 1 }, "409 lock-lost"],
])("RA5 a lock's %s is told", async (code, method, body, problem) => {
  const rig = new GateRig();
  rig.calls.answer = () => ({ ok: false, code, detail: "as the partition says" });
  expect(await problemOf(await rig.admin("locks/k", { method, body }))).toBe(problem);
});

test("RA4, RA5 events go to the hub with their pattern, all of them without one", async () => {
  const rig = rigOf();
  expect(await (await rig.admin("events")).text()).toBe("events *");
  const some = await rig.admin("events?pattern=room:*,server:offline");
  expect(await some.text()).toBe("events room:*,server:offline");
  expect(some.headers.get("access-control-allow-origin")).toBe("*");
  for (const pattern of ["", "room", "room:", "ROOM:*", "*,", `${"room:*,".repeat(40)}*`]) {
    const answer = await rig.admin(`events?pattern=${encodeURIComponent(pattern)}`);
    expect(await problemOf(answer)).toBe("400 malformed-query");
  }
});

test("RA5 a message about a room is announced at the hub", async () => {
  const rig = rigOf({ isHeard: true });
  rig.clock.advance(500);
  const body = { type: "room:message", roomId: "game:1", data: { hello: [1] } };
  const answer = await rig.admin("events", { method: "POST", body });
  expect([answer.status, await answer.json()]).toEqual([200, { isHeard: true }]);
  const event = { ...body, at: rig.clock.now() };
  expect(rig.calls.made).toEqual([
    { role: "registry", id: "default", request: { type: "events", events: [event], lost: 0 } },
  ]);
});

test.each([
  [{ type: "room:created", roomId: "game:1", data: 1 }, "400 malformed-body"],
  [{ type: "room:message", roomId: "a b", data: 1 }, "400 malformed-name"],
  [{ type: "room:message", roomId: "chess:1", data: 1 }, "404 unknown-room-type"],
  [{ type: "room:message", roomId: "game:1", data: "x".repeat(16_383) }, "413 payload-too-large"],
])("RA3 an announcement of %j is refused: %s", async (body, problem) => {
  const rig = rigOf({ isHeard: true });
  expect(await problemOf(await rig.admin("events", { method: "POST", body }))).toBe(problem);
  expect(rig.calls.made).toEqual([]);
});

test.each([
  ["a lock that another has", "locks/k", { ttlMs: 1_000 }, "lock-held"],
  ["a server that lives", "servers", registration, "server-exists"],
])("LO1 who is refused %s is told when to come again", async (_what, path, body, code) => {
  const rig = rigOf();
  rig.calls.answer = () => ({ ok: false, code, detail: "", retryAfterMs: 1_001 });
  const answer = await rig.admin(path, { method: "POST", body });
  expect([answer.status, answer.headers.get("retry-after")]).toEqual([409, "2"]);
});
