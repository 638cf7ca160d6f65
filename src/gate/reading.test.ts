/** `GET …/messages`. */
import { expect, test } from "vitest";
import { lost } from "../../test/support/fake-calls.ts";
import { GateRig, problemOf } from "../../test/support/gate-rig.ts";
import { encodeFrame } from "../protocol/link.ts";
import type { Payload } from "../protocol/payload.ts";

const path = "/parties/router/lobby/messages";
const frameOf = (after: number, entries: Payload[], topics?: (string | null)[]): string =>
  encodeFrame({
    ...({
      type: "batch",
      epoch: "e",
      after,
      through: after + entries.length,
      at: 50,
      entries,
    } as const),
    ...(topics === undefined ? {} : { topics }),
  });

/** The log holds messages 4 to 8, in two batches; `after` is where the reading begins. */
function rigAt(after: number): GateRig {
  const rig = new GateRig();
  const frames = [
    frameOf(3, ["m4", { base64: "AAAA" }, "m6"], [null, "a", null]),
    frameOf(6, ["m7", "m8"]),
  ];
  rig.calls.answer = () => ({ ok: true, value: { epoch: "e", after, through: 8, frames } });
  return rig;
}

async function read(rig: GateRig, query = ""): Promise<Record<string, unknown>> {
  const answer = await rig.ask(`${path}${query}`);
  expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "application/json"]);
  return (await answer.json()) as Record<string, unknown>;
}

test("PR14 without a position the whole log is read, from its oldest message on", async () => {
  const rig = rigAt(3);
  expect(await read(rig)).toEqual({
    epoch: "e",
    after: 3,
    through: 8,
    recovered: true,
    messages: [
      { seq: 4, data: "m4", at: 50 },
      { seq: 5, base64: "AAAA", topic: "a", at: 50 },
      { seq: 6, data: "m6", at: 50 },
      { seq: 7, data: "m7", at: 50 },
      { seq: 8, data: "m8", at: 50 },
    ],
  });
  expect(rig.calls.made).toEqual([
    { role: "sequencer", id: "lobby", request: { type: "read", position: null, limit: 100 } },
  ]);
});

test("PR14 after a position, at most limit messages; the next reading goes on at through", async () => {
  const rig = rigAt(5);
  const { through, messages, recovered } = await read(rig, "?epoch=e&since=5&limit=2");
  expect([through, recovered]).toEqual([7, true]);
  expect(messages).toMatchObject([{ seq: 6 }, { seq: 7 }]);
  const asked = { type: "read", position: { epoch: "e", seq: 5 }, limit: 2 };
  expect(rig.calls.of("read")).toEqual([asked]);
  expect(await read(rigAt(8), "?epoch=e&since=8")).toMatchObject({
    after: 8,
    through: 8,
    recovered: true,
    messages: [],
  });
});

test.each([
  ["history that is gone", 3, "?epoch=e&since=2"],
  ["another life of the room", 3, "?epoch=d&since=3"],
  ["a number past the last message", 8, "?epoch=e&since=12"],
])("PR14, PR3 for %s the messages do not follow, and that is said", async (_what, after, query) => {
  expect(await read(rigAt(after), query)).toMatchObject({ after, recovered: false });
});

test.each([
  "?since=4",
  "?epoch=e",
  "?epoch=e&since=x",
  `?epoch=${"e".repeat(65)}&since=1`,
  "?limit=0",
  "?limit=1001",
  "?limit=x",
  "?limit=",
  "?limit=-1",
])("PR14, HT4 %s is refused as malformed, and nothing is asked", async (query) => {
  const rig = rigAt(3);
  expect(await problemOf(await rig.ask(`${path}${query}`))).toBe("400 malformed-query");
  expect(rig.calls.made).toEqual([]);
});

test("PR14 a limit is 100 unless given, and a thousand at most", async () => {
  const rig = new GateRig();
  const entries = Array.from({ length: 1_200 }, (_, n) => `m${n}`);
  const value = { epoch: "e", after: 0, through: 1_200, frames: [frameOf(0, entries)] };
  rig.calls.answer = () => ({ ok: true, value });
  expect((await read(rig))["messages"]).toHaveLength(100);
  expect((await read(rig, "?limit=1000"))["messages"]).toHaveLength(1_000);
});

test("PR14 a sequencer that cannot be reached is unavailable", async () => {
  const rig = new GateRig();
  rig.calls.answer = () => lost;
  expect(await problemOf(await rig.ask(path))).toBe("503 unavailable");
});

test("PR14, HT6 messages take GET, tell a preflight so, and have nothing below", async () => {
  const rig = rigAt(3);
  const answer = await rig.ask(path, { method: "POST", body: "a" });
  expect(answer.headers.get("allow")).toBe("GET, HEAD, OPTIONS");
  expect(await problemOf(answer)).toBe("405 method-not-allowed");
  const preflight = await rig.ask(path, { method: "OPTIONS" });
  expect(preflight.headers.get("access-control-allow-methods")).toBe("GET, HEAD, OPTIONS");
  expect(await problemOf(await rig.ask(`${path}/4`))).toBe("404 not-found");
  expect(rig.calls.made).toEqual([]);
});
