import { expect, test } from "vitest";
import { lost } from "../../../test/support/fake-calls.ts";
import { GateRig, problemOf } from "../../../test/support/gate-rig.ts";

test("RA15 the hub is asked for the figures, after this gate's own counters were told", async () => {
  const rig = new GateRig({}, {}, { partitions: 3 });
  await rig.ask("/nowhere");
  const answer = await rig.admin("metrics");
  expect(await answer.text()).toBe("partyshard_rooms 1\n");
  expect(answer.headers.get("access-control-allow-origin")).toBe("*");
  const made = rig.calls.made.map(({ id, request }) => `${id} ${request.type}`);
  expect(made).toEqual(["default count", "default metrics"]);
});

test("RA15 a registry that is silent makes the metrics unavailable", async () => {
  const rig = new GateRig();
  rig.calls.answer = () => lost;
  expect(await problemOf(await rig.admin("metrics"))).toBe("503 unavailable");
});
