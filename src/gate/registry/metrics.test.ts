import { expect, test } from "vitest";
import { lost } from "../../../test/support/fake-calls.ts";
import { GateRig, problemOf } from "../../../test/support/gate-rig.ts";
import { sumMetrics } from "./metrics.ts";

const one = `# HELP rooms Rooms.
# TYPE rooms gauge
rooms 2
# HELP events_total Refusals, by kind.
# TYPE events_total counter
events_total{kind="a b"} 1
events_total{kind="full"} 3
`;
const other = `# HELP rooms Rooms.
# TYPE rooms gauge
rooms 5
# HELP events_total Refusals, by kind.
# TYPE events_total counter
events_total{kind="full"} 4
events_total{kind="late"} 1
# HELP servers Servers.
# TYPE servers gauge
servers 1
`;

test("RA15 one partition's figures stay as they are, to the letter", () => {
  for (const text of [one, other, ""]) expect(sumMetrics([text])).toBe(text);
});

test("RA15 figures of the same name and labels are added up, family by family", () => {
  expect(sumMetrics([one, other])).toBe(`# HELP rooms Rooms.
# TYPE rooms gauge
rooms 7
# HELP events_total Refusals, by kind.
# TYPE events_total counter
events_total{kind="a b"} 1
events_total{kind="full"} 7
events_total{kind="late"} 1
# HELP servers Servers.
# TYPE servers gauge
servers 1
`);
});

test("RA15 all partitions are asked, after this gate's own counters were told", async () => {
  const rig = new GateRig({}, {}, { partitions: 3 });
  await rig.ask("/nowhere");
  const answer = await rig.admin("metrics");
  expect(await answer.text()).toBe("partyshard_rooms 3\n");
  expect(answer.headers.get("access-control-allow-origin")).toBe("*");
  const made = rig.calls.made.map(({ id, request }) => `${id} ${request.type}`);
  expect(made).toEqual([
    "default count",
    "default metrics",
    "default-1 metrics",
    "default-2 metrics",
  ]);
});

test("RA5, RA15 a partition that is silent makes the metrics unavailable", async () => {
  const rig = new GateRig({}, {}, { partitions: 2 });
  rig.calls.answer = (call) => (call.id === "default-1" ? lost : rig.answer(call));
  expect(await problemOf(await rig.admin("metrics"))).toBe("503 unavailable");
});
