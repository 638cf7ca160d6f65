import { expect, test } from "vitest";
import { GateRig, problemOf, token } from "../../../test/support/gate-rig.ts";

const base = "/parties/registry/default";
const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const;

/** Every path, and what it takes. */
const paths = [
  ["rooms", "GET, HEAD, POST, OPTIONS"],
  ["rooms/lobby", "GET, HEAD, PATCH, DELETE, OPTIONS"],
  ["route", "POST, OPTIONS"],
  ["reserve", "POST, OPTIONS"],
  ["servers", "GET, HEAD, POST, OPTIONS"],
  ["servers/s1", "DELETE, OPTIONS"],
  ["servers/s1/heartbeat", "PUT, OPTIONS"],
  ["servers/s1/drain", "POST, OPTIONS"],
  ["locks/key", "POST, PUT, DELETE, OPTIONS"],
  ["snapshots/lobby/transfer", "POST, OPTIONS"],
  ["events", "GET, HEAD, POST, OPTIONS"],
  ["metrics", "GET, HEAD, OPTIONS"],
] as const;

test.each(paths)("RA1 %s takes %s, and says so", async (path, allowed) => {
  const rig = new GateRig();
  for (const method of methods.filter((each) => !allowed.includes(each))) {
    const answer = await rig.admin(path, { method });
    expect([answer.status, answer.headers.get("allow")]).toEqual([405, allowed]);
  }
  const preflight = await rig.ask(`${base}/${path}`, { method: "OPTIONS" });
  expect([preflight.status, preflight.headers.get("access-control-allow-methods")]).toEqual([
    204,
    allowed,
  ]);
  expect(preflight.headers.get("access-control-allow-origin")).toBe("*");
  expect(rig.calls.made).toEqual([]);
});

test.each([
  "",
  "room",
  "rooms//",
  "rooms/a/b",
  "servers/s1/heartbeat/x",
  "servers/s1/stop",
  "rooms/a%2",
  "Rooms",
  "~call",
  "~events",
])("RA1 there is nothing at %j", async (path) => {
  const rig = new GateRig();
  expect(await problemOf(await rig.admin(path))).toMatch(/^(404 not-found|400 malformed-name)$/);
  expect(rig.calls.made).toEqual([]);
});

test("RA1 the API is at the first partition alone", async () => {
  const rig = new GateRig({}, {}, { partitions: 2 });
  const headers = { authorization: `Bearer ${token}` };
  const answer = await rig.ask("/parties/registry/default-1/metrics", { headers });
  expect(await problemOf(answer)).toBe("404 not-found");
});

test("RA1 HEAD is answered like GET, without the body", async () => {
  const rig = new GateRig();
  for (const path of ["metrics", "health", "nowhere"]) {
    const get = await rig.admin(path);
    const head = await rig.admin(path, { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([get.status, ""]);
    expect(Object.fromEntries(head.headers)).toEqual(Object.fromEntries(get.headers));
  }
});

test("RA1 health is told to everyone, and no object is asked", async () => {
  const rig = new GateRig({}, { adminToken: undefined });
  const answer = await rig.ask(`${base}/health`);
  expect([answer.status, await answer.text()]).toEqual([200, '{"status":"ok"}']);
  expect(answer.headers.get("access-control-allow-origin")).toBe("*");
  expect(rig.calls.made).toEqual([]);
});

test("RA2 without the token every path answers 401, by every method", async () => {
  for (const partitions of [1, 2]) {
    const rig = new GateRig({}, {}, { partitions });
    for (const path of [...paths.map(([each]) => each), "", "nowhere", "health/x"]) {
      for (const method of methods.filter((each) => each !== "OPTIONS")) {
        const headers = { authorization: "Bearer guess" };
        const answer = await rig.ask(`${base}/${path}`, { method, headers });
        expect(`${method} ${path} ${answer.status}`).toBe(`${method} ${path} 401`);
        expect(answer.headers.get("www-authenticate")).toContain("Bearer");
      }
    }
    expect(rig.calls.made).toEqual([]);
  }
});

test("RA2 with open matchmaking GET rooms and POST reserve need no token, and the rest does", async () => {
  const rig = new GateRig({}, { adminToken: undefined }, { openMatchmaking: true });
  rig.calls.answer = () => ({ ok: true, value: { rooms: [], through: null } });
  expect((await rig.ask(`${base}/rooms`)).status).toBe(200);
  expect((await rig.ask(`${base}/rooms`, { method: "HEAD" })).status).toBe(200);
  const reserve = await rig.ask(`${base}/reserve`, { method: "POST", body: "{}" });
  expect(await problemOf(reserve)).toBe("400 malformed-body");
  for (const [path, method] of [
    ["rooms", "POST"],
    ["rooms/lobby", "GET"],
    ["reserve", "GET"],
    ["route", "POST"],
    ["servers", "GET"],
    ["metrics", "GET"],
    ["events", "GET"],
  ] as const) {
    expect((await rig.ask(`${base}/${path}`, { method })).status).toBe(401);
  }
});

const large = { filler: "x".repeat(64 * 1024) };
const withBody = [
  ["POST", "rooms"],
  ["PATCH", "rooms/lobby"],
  ["POST", "route"],
  ["POST", "reserve"],
  ["POST", "servers"],
  ["PUT", "servers/s1/heartbeat"],
  ["POST", "locks/key"],
  ["PUT", "locks/key"],
  ["DELETE", "locks/key"],
  ["POST", "events"],
  ["POST", "snapshots/lobby/transfer"],
] as const;

test.each(withBody)("RA3 %s %s refuses a body that is not of its form", async (method, path) => {
  const rig = new GateRig();
  const headers = { authorization: `Bearer ${token}` };
  for (const body of ["", "{", "[]", "null", '"text"', '{"unknown":1}', "\uD800"]) {
    const answer = await rig.ask(`${base}/${path}`, { method, headers, body });
    expect(await problemOf(answer)).toBe("400 malformed-body");
  }
  const bytes = Uint8Array.of(0x22, 0xff, 0x22);
  const answer = await rig.ask(`${base}/${path}`, { method, headers, body: bytes });
  expect(await problemOf(answer)).toBe("400 malformed-body");
  expect(rig.calls.made).toEqual([]);
});

test.each(withBody.filter(([method]) => method !== "PUT" || true))(
  "RA3 %s %s refuses a body that is too large, while it is read",
  async (method, path) => {
    const rig = new GateRig();
    const takesMore = path.endsWith("heartbeat") || path.endsWith("transfer");
    const body = takesMore ? { filler: "x".repeat(8 * 1024 * 1024) } : large;
    expect(await problemOf(await rig.admin(path, { method, body }))).toBe("413 payload-too-large");
    expect(rig.calls.made).toEqual([]);
  },
);

test.each([
  ["POST", "rooms", '{"type":"game","metadata":{"a":', "}}"],
  ["PATCH", "rooms/game:1", '{"metadata":{"a":', "}}"],
  ["POST", "events", '{"type":"room:message","roomId":"game:1","data":', "}"],
])("RA3 %s %s refuses what is nested deeper than 64", async (method, path, before, after) => {
  const rig = new GateRig();
  const headers = { authorization: `Bearer ${token}` };
  const ask = (times: number): Promise<Response> => {
    const body = `${before}${"[".repeat(times)}${"]".repeat(times)}${after}`;
    return rig.ask(`${base}/${path}`, { method, headers, body });
  };
  for (const times of [65, 32_000]) {
    expect(await problemOf(await ask(times))).toBe("400 malformed-body");
  }
  expect(rig.calls.made).toEqual([]);
  await ask(63);
  expect(rig.calls.made).toHaveLength(1);
});
