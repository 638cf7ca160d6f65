import { expect, test } from "vitest";
import { lost } from "../../test/support/fake-calls.ts";
import { GateRig, problemOf, token } from "../../test/support/gate-rig.ts";

const path = "/parties/router/lobby";
const paths = [path, "/parties/registry/default/rooms/lobby"];
const asAdmin = { method: "DELETE", headers: { authorization: `Bearer ${token}` } };

test("RA14 DELETE has the room's partition dispose of it", async () => {
  const rig = new GateRig({}, {}, { partitions: 8 });
  for (const url of paths) {
    const answer = await rig.ask(url, asAdmin);
    expect([answer.status, await answer.text()]).toEqual([204, ""]);
    expect(answer.headers.get("access-control-allow-origin")).toBe("*");
  }
  const call = { role: "registry", id: rig.rooms.partitionOf("lobby" as never) };
  const made = { ...call, request: { type: "dispose", room: "lobby" } };
  expect(rig.calls.made).toEqual([made, made]);
});

test("RA14 one that was cut short is answered 503", async () => {
  const rig = new GateRig();
  rig.calls.answer = () => lost;
  for (const url of paths) {
    const answer = await rig.ask(url, asAdmin);
    expect(answer.headers.get("retry-after")).toBe("2");
    expect(await problemOf(answer)).toBe("503 unavailable");
  }
});

test("RA14, RA2 without the token nothing is disposed of", async () => {
  const rig = new GateRig();
  const answer = await rig.ask(path, { method: "DELETE" });
  expect(await problemOf(answer)).toBe("401 unauthorized");
  const closed = new GateRig({}, { adminToken: undefined });
  expect((await closed.ask(path, asAdmin)).status).toBe(401);
  expect([rig.calls.made, closed.calls.made]).toEqual([[], []]);
});
