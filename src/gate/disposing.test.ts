import { expect, test } from "vitest";
import { lost } from "../../test/support/fake-calls.ts";
import { GateRig, problemOf, token } from "../../test/support/gate-rig.ts";

const path = "/parties/router/lobby";
const asAdmin = { method: "DELETE", headers: { authorization: `Bearer ${token}` } };
const whole = [
  "registry default",
  "shard lobby-1",
  "shard lobby-2",
  "shard lobby-3",
  "sequencer lobby",
];

function made(rig: GateRig): string[] {
  const calls = rig.calls.made.splice(0).filter(({ request }) => request.type !== "layout");
  expect(calls.every(({ request }) => request.type === "dispose")).toBe(true);
  return calls.map(({ role, id }) => `${role} ${id}`);
}

test("RA14 DELETE disposes of the entry, the shards and the log, in this order", async () => {
  const rig = new GateRig({ shards: 3 });
  for (const url of [path, "/parties/registry/default/rooms/lobby"]) {
    const answer = await rig.ask(url, asAdmin);
    expect([answer.status, await answer.text()]).toEqual([204, ""]);
    expect(answer.headers.get("access-control-allow-origin")).toBe("*");
    expect(made(rig)).toEqual(whole);
  }
});

test("RA14 a room that the directory does not know has its shards and log disposed of all the same", async () => {
  const rig = new GateRig({ shards: 3 });
  rig.calls.answer = (call) => {
    if (call.request.type === "layout") return rig.answer(call);
    return call.role === "registry"
      ? { ok: false, code: "unknown-room", detail: "not there" }
      : { ok: true, value: null };
  };
  expect((await rig.ask(path, asAdmin)).status).toBe(204);
  expect(made(rig)).toEqual(whole);
});

test("RA14 wherever it is cut short it is answered 503, and the next one finishes it", async () => {
  for (let cut = 0; cut < whole.length; cut += 1) {
    const rig = new GateRig({ shards: 3 });
    rig.calls.answer = (call) => {
      if (call.request.type === "layout") return rig.answer(call);
      return `${call.role} ${call.id}` === whole[cut] ? lost : { ok: true, value: null };
    };
    expect(await problemOf(await rig.ask(path, asAdmin))).toBe("503 unavailable");
    const last = made(rig).at(-1);
    expect(last === "sequencer lobby").toBe(whole[cut] === "sequencer lobby");
    rig.calls.answer = (call) => {
      if (call.request.type === "layout") return rig.answer(call);
      return call.role === "registry"
        ? { ok: false, code: "unknown-room", detail: "gone before" }
        : { ok: true, value: null };
    };
    expect((await rig.ask(path, asAdmin)).status).toBe(204);
    expect(made(rig)).toEqual(whole);
  }
});

test("RA14 few shards are asked at a time", async () => {
  const rig = new GateRig({ shards: 20 });
  let underWay = 0;
  let most = 0;
  rig.calls.answer = async (call) => {
    if (call.request.type === "layout") return rig.answer(call);
    underWay += 1;
    most = Math.max(most, underWay);
    await Promise.resolve();
    underWay -= 1;
    return { ok: true, value: null };
  };
  expect((await rig.ask(path, asAdmin)).status).toBe(204);
  expect(most).toBe(6);
  expect(made(rig)).toHaveLength(22);
});

test("RA14, RA2 without the token nothing is disposed of", async () => {
  const rig = new GateRig();
  const answer = await rig.ask(path, { method: "DELETE" });
  expect(await problemOf(answer)).toBe("401 unauthorized");
  const closed = new GateRig({}, { adminToken: undefined });
  expect((await closed.ask(path, asAdmin)).status).toBe(401);
  expect([rig.calls.made, closed.calls.made]).toEqual([[], []]);
});
