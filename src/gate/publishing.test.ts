import { expect, test } from "vitest";
import { lost, type Answer } from "../../test/support/fake-calls.ts";
import { GateRig, problemOf } from "../../test/support/gate-rig.ts";

const keyed = { headers: { "idempotency-key": "k" } };
const ndjson = { "content-type": "application/x-ndjson" };

function published(shards: { delivered: number; pending: number }): Answer {
  return { ok: true, value: { epoch: "e", first: 8, seq: 9, shards } };
}

test("HT1 a POST answers 200 with the room, its place in the order, and how many shards have it", async () => {
  const rig = new GateRig();
  rig.calls.answer = () => published({ delivered: 3, pending: 1 });
  const answer = await rig.post("hello");
  const shards = { delivered: 3, pending: 1 };
  expect(answer.status).toBe(200);
  expect(await answer.json()).toEqual({ room: "lobby", epoch: "e", seq: 9, shards });
  expect(answer.headers.get("content-type")).toBe("application/json");
  expect(rig.calls.made).toEqual([
    {
      role: "sequencer",
      id: "lobby",
      request: { type: "publish", messages: ["hello"], volatile: false, waitDelivered: false },
    },
  ]);
});

test("HT1 with several messages the answer also tells the first one's number", async () => {
  const answer = await new GateRig().post("a\nb", { headers: ndjson });
  expect(await answer.json()).toMatchObject({ first: 8, seq: 9 });
});

test("HT1, DL11 volatile messages have no number to tell", async () => {
  const rig = new GateRig();
  const answer = await rig.post("a\nb", { query: "?volatile=1", headers: ndjson });
  expect(await answer.json()).not.toHaveProperty("first");
  expect(rig.calls.of("publish")[0]?.volatile).toBe(true);
});

test.each([
  [0, 200],
  [1, 202],
])("HT2 wait=delivered with %i shards pending is answered %i", async (pending, status) => {
  const rig = new GateRig();
  rig.calls.answer = () => published({ delivered: 1, pending });
  expect((await rig.post("a", { query: "?wait=delivered" })).status).toBe(status);
  expect(rig.calls.of("publish")[0]?.waitDelivered).toBe(true);
});

test.each([
  ["?volatile=yes", {}, "400 malformed-query"],
  ["?volatile=", {}, "400 malformed-query"],
  ["?wait=1", {}, "400 malformed-query"],
  ["?topic=", {}, "400 malformed-query"],
  ["?topic=a:*", {}, "400 malformed-query"],
  ["?topic=a,b", {}, "400 malformed-query"],
  [`?topic=${"a".repeat(129)}`, {}, "400 malformed-query"],
  ["?wait=", {}, "400 malformed-query"],
  ["?topics=a", {}, "400 malformed-query"],
  ["", { "idempotency-key": "" }, "400 malformed-header"],
  ["", { "idempotency-key": "ä" }, "400 malformed-header"],
  ["", { "idempotency-key": "k".repeat(256) }, "400 malformed-header"],
  ["?volatile=1", { "idempotency-key": "k" }, "400 malformed-header"],
])("HT4 a POST with query %j and headers %j is refused: %s", async (query, headers, problem) => {
  const rig = new GateRig();
  expect(await problemOf(await rig.post("a", { query, headers }))).toBe(problem);
  expect(rig.calls.made).toEqual([]);
});

test("PR6 a topic goes with every message of the body, volatile ones too", async () => {
  const rig = new GateRig();
  await rig.post("a\nb", { query: "?topic=scores:a", headers: ndjson });
  await rig.post("a", { query: "?topic=b&volatile=1" });
  expect(rig.calls.of("publish")).toMatchObject([
    { messages: ["a", "b"], topic: "scores:a", volatile: false },
    { messages: ["a"], topic: "b", volatile: true },
  ]);
});

test("DL4 the idempotency key goes with the write, up to its 255 characters", async () => {
  const rig = new GateRig();
  const key = "k ".repeat(127) + "k";
  await rig.post("a", { headers: { "idempotency-key": key } });
  expect(rig.calls.of("publish")[0]?.key).toBe(key);
});

test("HT8 a write with a key whose answer was lost is tried again, three times in all", async () => {
  const rig = new GateRig();
  rig.calls.answer = () =>
    rig.calls.made.length < 3 ? lost : published({ delivered: 1, pending: 0 });
  expect((await rig.post("a", keyed)).status).toBe(200);
  expect(rig.calls.made).toHaveLength(3);
  expect(new Set(rig.calls.made.map((call) => JSON.stringify(call))).size).toBe(1);
  rig.calls.answer = () => lost;
  expect(await problemOf(await rig.post("a", keyed))).toBe("503 unavailable");
  expect(rig.calls.made).toHaveLength(6);
});

test("HT8 a write without a key is not tried again, and answered 503", async () => {
  const rig = new GateRig();
  rig.calls.answer = () => lost;
  const answer = await rig.post("a");
  expect(answer.headers.get("retry-after")).toBe("2");
  expect(await problemOf(answer)).toBe("503 unavailable");
  expect(rig.calls.made).toHaveLength(1);
});

test.each([
  ["overloaded", "503 overloaded"],
  ["idempotency-key-reused", "422 idempotency-key-reused"],
  ["malformed-call", "503 unavailable"],
])(
  "DL12, HT7, HT8 what the sequencer refuses as %s is not tried again: %s",
  async (code, problem) => {
    const rig = new GateRig();
    rig.calls.answer = () => ({ ok: false, code, detail: "a sentence that says why" });
    expect(await problemOf(await rig.post("a", keyed))).toBe(problem);
    expect(rig.calls.made).toHaveLength(1);
  },
);

test("PL5 no message causes a call to the registry", async () => {
  const rig = new GateRig();
  for (let n = 0; n < 10; n += 1) {
    await rig.post("a", n % 2 === 0 ? keyed : {});
    rig.clock.advance(1_000);
  }
  expect(new Set(rig.calls.made.map(({ role }) => role))).toEqual(new Set(["sequencer"]));
});
