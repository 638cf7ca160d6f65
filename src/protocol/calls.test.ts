import fc from "fast-check";
import { expect, test } from "vitest";
import { parseRequest, parseSeatClaim, type Role } from "./calls.ts";

const publish = {
  type: "publish",
  messages: ["a", { base64: "AAAA" }],
  volatile: false,
  waitDelivered: true,
};
const subscribe = { type: "subscribe", shard: "lobby-1", position: { epoch: "e", seq: 3 } };
const report = {
  type: "report",
  players: null,
  reserved: 0,
  shard: "lobby-1",
  connections: 3,
  counters: { "room-full": 1 },
};
const table = { type: "table", room: "lobby", counters: {} };

const good: readonly [Role, object][] = [
  ["sequencer", publish],
  ["sequencer", { ...publish, key: "k" }],
  ["sequencer", { ...publish, key: "k".repeat(255) }],
  ["sequencer", subscribe],
  ["sequencer", { ...subscribe, position: null }],
  ["sequencer", { type: "unsubscribe", shard: "lobby-1", subscription: "s" }],
  ["sequencer", { type: "status" }],
  ["sequencer", { type: "wake" }],
  ["shard", { type: "hold", connection: "c", claim: null, session: null }],
  ["shard", { type: "load" }],
  ["registry", table],
  ["registry", report],
  ["registry", { type: "sweep" }],
  ["registry", { type: "metrics" }],
];

test.each(good)("a call to a %s: %j is understood as it is", (role, request) => {
  expect(parseRequest(role, request)).toEqual({ ok: true, value: request });
});

const roles: readonly Role[] = ["sequencer", "shard", "registry"];
const foreign = good.flatMap(([role, request]) =>
  roles.filter((other) => other !== role).map((other) => [other, request] as const),
);

const malformed: readonly (readonly [Role, unknown])[] = [
  ...foreign,
  ["sequencer", { ...publish, messages: [] }],
  ["sequencer", { ...publish, messages: [1] }],
  ["sequencer", { ...publish, messages: [{ base64: "A" }] }],
  ["sequencer", { ...publish, messages: "a" }],
  ["sequencer", { ...publish, volatile: "1" }],
  ["sequencer", { ...publish, key: "" }],
  ["sequencer", { ...publish, key: "k".repeat(256) }],
  ["sequencer", { ...publish, more: 1 }],
  ["sequencer", { ...subscribe, shard: "lobby" }],
  ["sequencer", { ...subscribe, position: { epoch: "", seq: 3 } }],
  ["sequencer", { ...subscribe, position: { epoch: "e", seq: -1 } }],
  ["sequencer", { ...subscribe, position: { epoch: "e", seq: 1.5 } }],
  ["sequencer", { ...subscribe, position: undefined }],
  ["shard", { type: "hold" }],
  ["registry", { ...table, room: "a/b" }],
  ["registry", { ...table, counters: { a: -1 } }],
  ["registry", { ...report, connections: Infinity }],
  ["registry", { ...report, connections: -1 }],
  ["registry", { ...report, shard: "lobby-0" }],
  ["registry", null],
  ["registry", []],
  ["registry", "sweep"],
  ["registry", { type: "__proto__" }],
];

test.each(malformed)("IO2 a call to a %s: %j is refused", (role, request) => {
  expect(parseRequest(role, request)).toMatchObject({ ok: false, code: "malformed-call" });
});

test("IO2 whatever is called, the answer is a result and no exception", () => {
  const types = fc.constantFrom("publish", "subscribe", "report", "table", "hold", "status");
  const near = fc.record({ type: types, shard: fc.anything(), messages: fc.anything() });
  fc.assert(
    fc.property(fc.constantFrom(...roles), fc.oneof(fc.anything(), near), (role, value) => {
      expect(parseRequest(role, value)).toHaveProperty("ok");
    }),
    { numRuns: 3_000 },
  );
});

test("SE3 a claim is read from its header", () => {
  const claim = { id: "s", player: "p", expiresAt: 5 };
  expect(parseSeatClaim(JSON.stringify(claim))).toEqual({ ok: true, value: claim });
});

test.each([
  "",
  "{",
  "null",
  "[]",
  '{"id":"s","player":"p"}',
  '{"id":"s","player":"p","expiresAt":-1}',
])("SE3 %j is no claim", (text) => {
  expect(parseSeatClaim(text)).toMatchObject({ ok: false, code: "malformed-call" });
});
