import { expect, test } from "vitest";
import { lost } from "../../test/support/fake-calls.ts";
import { GateRig, problemOf, token } from "../../test/support/gate-rig.ts";

const room = "/parties/router/lobby";
const metrics = "/parties/registry/default/metrics";
const bearer = (given: string) => ({ headers: { authorization: `Bearer ${given}` } });

const insidePaths = [
  "/parties/main",
  "/parties/main/",
  "/parties/main/lobby-1",
  "/parties/main/lobby-1/~link",
  "/parties/main/lobby-1/~call?a=b",
  "/parties/router/../main/lobby-1",
  "/parties/./main/lobby-1",
  "/parties/%2e%2e/parties/main/lobby-1",
  "/parties\\main\\lobby-1",
  "/party/lobby-1",
  "/party",
];

test.each(insidePaths)("IO1 %s answers 403, whatever the method and headers", async (path) => {
  const rig = new GateRig();
  for (const method of ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]) {
    const headers = { upgrade: "websocket", authorization: `Bearer ${token}` };
    expect((await rig.ask(path, { method, headers })).status).toBe(403);
  }
  const many = { "x-long": "x".repeat(40_000) };
  expect(await problemOf(await rig.ask(path, { headers: many }))).toBe("403 forbidden");
  expect([rig.calls.made, rig.connects]).toEqual([[], []]);
});

test.each([
  "//parties/main/lobby-1",
  "/parties//main/lobby-1",
  "/parties/%6dain/lobby-1",
  "/parties%2Fmain/lobby-1",
  "/parties/MAIN/lobby-1",
  "/parties/main%00/lobby-1",
])("IO1, IO2 %s reaches nothing either", async (path) => {
  const rig = new GateRig();
  const answer = await rig.ask(path, { headers: { upgrade: "websocket" } });
  expect(answer.status).toBe(404);
  expect([rig.calls.made, rig.connects]).toEqual([[], []]);
});

test.each([
  "/parties/router/lobby/~link",
  "/parties/router/lobby/~call",
  "/parties/registry/default/~call",
])("IO2 %s reaches no object", async (path) => {
  const rig = new GateRig();
  for (const headers of [{ upgrade: "websocket" }, { authorization: `Bearer ${token}` }]) {
    const answer = await rig.ask(path, { method: "POST", body: '{"type":"wake"}', headers });
    expect([401, 404]).toContain(answer.status);
  }
  expect([rig.calls.made, rig.connects]).toEqual([[], []]);
});

test.each(["/", "/parties", "/parties/router", "/parties/other/lobby", "/x/router/lobby"])(
  "HT6 there is nothing at %s",
  async (path) => {
    expect(await problemOf(await new GateRig().ask(path))).toBe("404 not-found");
  },
);

test("HT6 there is nothing below a room", async () => {
  expect(await problemOf(await new GateRig().ask(`${room}/more`))).toBe("404 not-found");
});

test.each([room, `${room}/messages`, metrics])(
  "HT10 one slash at the end of %s changes nothing, and two are another path",
  async (path) => {
    const rig = new GateRig();
    const range = { epoch: "e", after: 0, through: 0, frames: [] };
    rig.calls.answer = (call) =>
      call.request.type === "read" ? { ok: true, value: range } : rig.answer(call);
    expect((await rig.ask(`${path}/`, bearer(token))).status).toBe(200);
    expect(await problemOf(await rig.ask(`${path}//`, bearer(token)))).toBe("404 not-found");
  },
);

test("HT10 a socket is opened and a write taken at a path with a slash at its end", async () => {
  const rig = new GateRig();
  expect(await (await rig.upgrade("/?_pk=a")).text()).toBe("taken");
  expect((await rig.ask(`${room}/`, { method: "POST", body: "a" })).status).toBe(200);
});

test.each([
  [room, {}],
  [`${room}?a=b`, {}],
  [metrics, bearer(token)],
  [metrics, {}],
  ["/nowhere", {}],
  ["/parties/main/lobby-1", {}],
])("HT11 HEAD of %s is answered like GET, without a body", async (path, init) => {
  const rig = new GateRig();
  const answers = [await rig.ask(path, init), await rig.ask(path, { ...init, method: "HEAD" })];
  const [get, head] = answers.map(({ status, headers }) => [status, [...headers]]);
  expect(head).toEqual(get);
  expect(await answers[1]?.text()).toBe("");
});

test.each([`${room}/messages`, metrics])(
  "HT12 an upgrade at %s, where no socket is opened, is refused",
  async (path) => {
    const rig = new GateRig();
    const headers = { upgrade: "WebSocket", authorization: `Bearer ${token}` };
    expect(await problemOf(await rig.ask(path, { headers }))).toBe("400 malformed-header");
    expect(rig.calls.made).toEqual([]);
  },
);

test("HT12 only a GET opens a socket", async () => {
  const rig = new GateRig();
  const headers = { upgrade: "websocket" };
  expect((await rig.post("a", { headers })).status).toBe(200);
  expect((await rig.ask(room, { method: "HEAD", headers })).status).toBe(200);
  expect(rig.connects).toEqual([]);
});

test("HT13 a page of any origin may read what it is answered, metrics too", async () => {
  const rig = new GateRig();
  for (const path of [room, metrics, "/nowhere"]) {
    const { headers } = await rig.ask(path, bearer(token));
    expect(headers.get("access-control-allow-origin")).toBe("*");
    expect(headers.get("access-control-expose-headers")).toBe("location, retry-after");
  }
});

test.each([
  ["PUT", room],
  ["PATCH", room],
])("HT6 %s of a room is answered 405, with what is allowed", async (method, path) => {
  const answer = await new GateRig().ask(path, { method });
  expect(answer.headers.get("allow")).toBe("GET, HEAD, POST, DELETE, OPTIONS");
  expect(await problemOf(answer)).toBe("405 method-not-allowed");
});

test("HT6 a preflight is answered 204, with what is allowed", async () => {
  const answer = await new GateRig().ask(room, { method: "OPTIONS" });
  expect([answer.status, await answer.text()]).toEqual([204, ""]);
  expect(Object.fromEntries(answer.headers)).toMatchObject({
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "GET, HEAD, POST, DELETE, OPTIONS",
    "access-control-allow-headers": "authorization, content-type, idempotency-key",
  });
});

test.each([
  ["/parties/router/", "400 malformed-name"],
  ["/parties/router/a%20b", "400 malformed-name"],
  ["/parties/router/%C3%A4", "400 malformed-name"],
  [`/parties/router/${"a".repeat(129)}`, "400 malformed-name"],
  ["/parties/router/chess:1", "404 unknown-room-type"],
])("NM1, NM2 a request to %s is refused: %s", async (path, problem) => {
  const rig = new GateRig();
  expect(await problemOf(await rig.ask(path, { method: "POST", body: "a" }))).toBe(problem);
  expect(await problemOf(await rig.ask(path, { headers: { upgrade: "websocket" } }))).toBe(problem);
  expect(rig.calls.made).toEqual([]);
});

test("HT4 headers too large are refused with 431", async () => {
  const rig = new GateRig();
  const headers = Object.fromEntries(
    Array.from({ length: 40 }, (_, n) => [`x-${n}`, "x".repeat(900)]),
  );
  expect(await problemOf(await rig.ask(room, { headers }))).toBe("431 headers-too-large");
  expect(rig.calls.made).toEqual([]);
});

test("HT5 GET tells epoch, position, history, and every shard's connections and position", async () => {
  const rig = new GateRig({ shards: 3, capacity: 50 });
  rig.calls.answer = (call) => {
    if (call.request.type === "layout") return rig.answer(call);
    const subscribers = [
      { shard: "lobby-1", acked: 7, connections: 4 },
      { shard: "lobby-3", acked: 8, connections: null },
    ];
    const history = { first: 2, last: 9 };
    return { ok: true, value: { epoch: "e", seq: 9, history, subscribers } };
  };
  const answer = await rig.ask(room);
  const shard = { capacity: 50, generation: 1 };
  expect(await answer.json()).toEqual({
    room: "lobby",
    type: "default",
    epoch: "e",
    seq: 9,
    connections: 4,
    shards: [
      { ...shard, id: "lobby-1", status: "online", connections: 4, acked: 7 },
      { ...shard, id: "lobby-2", status: "online", connections: 0, acked: 9 },
      { ...shard, id: "lobby-3", status: "offline", connections: 0, acked: 8 },
    ],
    history: { first: 2, last: 9 },
  });
  expect(answer.headers.get("access-control-allow-origin")).toBe("*");
});

test("HT5 a room whose sequencer is silent is unavailable", async () => {
  const rig = new GateRig();
  rig.calls.answer = () => lost;
  const answer = await rig.ask(room);
  expect(answer.headers.get("retry-after")).toBe("2");
  expect(await problemOf(answer)).toBe("503 unavailable");
});

test("HT7 refusals are counted, and told to the registry with the next question", async () => {
  const rig = new GateRig();
  await rig.ask("/nowhere");
  await rig.ask("/nowhere");
  await rig.ask(room, { method: "PUT" });
  rig.calls.answer = () => lost;
  await rig.upgrade();
  rig.clock.advance(1_000);
  rig.calls.answer = (call) => rig.answer(call);
  await rig.upgrade();
  rig.clock.advance(1_000);
  await rig.upgrade();
  const counted = { "not-found": 2, "method-not-allowed": 1 };
  expect(rig.calls.of("table").map(({ counters }) => counters)).toEqual([counted, counted, {}]);
});

test("HT7 those that no question takes along are told at most once in five seconds", async () => {
  const rig = new GateRig();
  const refuse = async (ms: number): Promise<void> => {
    await rig.ask("/nowhere");
    rig.clock.advance(ms);
  };
  for (let n = 0; n < 5; n += 1) await refuse(999);
  expect(rig.calls.of("count")).toEqual([]);
  rig.clock.advance(5);
  rig.calls.answer = () => lost;
  for (let n = 0; n < 5; n += 1) await refuse(1_000);
  rig.calls.answer = (call) => rig.answer(call);
  for (let n = 0; n < 5; n += 1) await refuse(1_000);
  expect(rig.calls.of("count")).toEqual([
    { type: "count", counters: { "not-found": 6 } },
    { type: "count", counters: { "not-found": 11 } },
  ]);
});

test("HT7 a fault of the gate's own is a problem document too", async () => {
  const rig = new GateRig();
  rig.calls.answer = () => {
    throw new Error("a bug");
  };
  expect(await problemOf(await rig.ask(room))).toBe("503 unavailable");
  expect(rig.errors.map(String)).toEqual(["Error: a bug"]);
});

test.each([
  ["none", {}],
  ["another", bearer("guess")],
  ["the token and more", bearer(`${token}x`)],
  ["its start", bearer(token.slice(0, -1))],
  ["an empty one", bearer("")],
  ["another scheme's", { headers: { authorization: `Basic ${token}` } }],
])("IO4 the registry answers 401 to a request with %s for a token", async (_what, init) => {
  const rig = new GateRig();
  for (const path of [metrics, "/parties/registry/default", "/parties/registry/other/x"]) {
    const answer = await rig.ask(path, init);
    expect(answer.headers.get("www-authenticate")).toContain("Bearer");
    expect(await problemOf(answer)).toBe("401 unauthorized");
  }
  expect(rig.calls.made).toEqual([]);
});

test.each([undefined, ""])(
  "IO4 with %j for a token, it says how to set one",
  async (adminToken) => {
    const rig = new GateRig({}, { adminToken });
    for (const init of [{}, bearer(""), bearer("undefined")]) {
      const answer = await rig.ask(metrics, init);
      expect(answer.status).toBe(401);
      expect(await answer.text()).toContain("set PARTYSHARD_ADMIN_TOKEN");
    }
  },
);

test("RG3 metrics are given to the bearer of the admin token", async () => {
  const answer = await new GateRig().ask(metrics, bearer(token));
  expect([answer.status, await answer.text()]).toEqual([200, "partyshard_rooms 1\n"]);
  expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
});

test.each([
  ["/parties/registry/default", "GET", "404 not-found"],
  ["/parties/registry/other/metrics", "GET", "404 not-found"],
  [metrics, "POST", "405 method-not-allowed"],
])("HT6 the bearer of the admin token gets for %s, by %s: %s", async (path, method, problem) => {
  const answer = await new GateRig().ask(path, { method, ...bearer(token) });
  expect(await problemOf(answer)).toBe(problem);
});
