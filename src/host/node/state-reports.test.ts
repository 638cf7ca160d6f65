import { expect, test } from "vitest";
import type { RegistryClient } from "../../../client/registry-client.ts";
import { Recording } from "../../../test/support/recording.ts";
import { turns } from "../../../test/support/turns.ts";
import type { RoomId } from "../../protocol/names.ts";
import { problemDocument, type ProblemCode } from "../../protocol/problems.ts";
import { failure, success } from "../../protocol/result.ts";
import { StateReports } from "./state-reports.ts";

const room = "game:1" as RoomId;
const from = { type: "state", serverId: "one" };

function start() {
  const said = new Recording<object>((each) => JSON.stringify(each));
  const refusals: (ProblemCode | "heard")[] = [];
  let instance = "i1";
  const transferSnapshot: RegistryClient["transferSnapshot"] = async (roomId, body) => {
    said.add({ roomId, ...body });
    const refused = refusals.shift() ?? "heard";
    if (refused === "heard") return { ok: true, value: null };
    return { ok: false, problem: problemDocument(refused, "") };
  };
  const reports = new StateReports({
    client: { transferSnapshot },
    serverId: "one",
    instance: () => instance,
  });
  const startAnew = (): void => {
    reports.clear();
    instance = "i2";
  };
  return { reports, said, refusals, startAnew };
}

test("GS21 what did not arrive is said when the registry is heard of again, the last of each kind, and no more after that", async () => {
  const { reports, said, refusals } = start();
  const report = reports.of(room);
  refusals.push("unavailable", "unavailable");
  report.failed("snapshot_threw", "one");
  await reports.settled();
  report.failed("snapshot_threw", "two");
  await reports.settled();
  report.failed("snapshot_late", "x".repeat(1_000));
  await reports.settled();
  reports.flush();
  await reports.settled();
  expect(said.items).toHaveLength(3);
  const late = "x".repeat(500);
  expect(said.items.at(-1)).toEqual({
    roomId: room,
    ...from,
    instance: "i1",
    failures: [
      { reason: "snapshot_threw", detail: "two" },
      { reason: "snapshot_late", detail: late },
    ],
    error: late,
  });
});

test("GS21 that a state is mended is said where something was wrong, or may be thought to be", async () => {
  const { reports, said, refusals } = start();
  const report = reports.of(room);
  report.mended();
  await reports.settled();
  expect(said.items).toEqual([]);
  report.failed("snapshot_threw", "no");
  await reports.settled();
  refusals.push("unavailable");
  report.mended();
  await reports.settled();
  reports.flush();
  await reports.settled();
  const errors = said.items.map((each) => "error" in each && each.error);
  expect(errors).toEqual(["no", null, null]);
});

test("GS22 how each thing that was asked for ended is said, with what went wrong", async () => {
  const { reports, said } = start();
  const report = reports.of(room);
  report.done("a", success(null));
  report.done("b", failure("hook-threw", "no"));
  await reports.settled();
  await turns();
  const done = said.items.map((each) => "done" in each && each.done);
  expect(done).toEqual([
    { order: "a" },
    { order: "b", problem: { code: "hook-threw", detail: "no" } },
  ]);
});

test("GS21 what is refused for good, or is of a former start, is said no more", async () => {
  const { reports, said, refusals, startAnew } = start();
  refusals.push("malformed-body");
  reports.of(room).failed("snapshot_threw", "no");
  await reports.settled();
  reports.flush();
  await reports.settled();
  expect(said.items).toHaveLength(1);
  refusals.push("unavailable");
  reports.of(room).failed("snapshot_threw", "no");
  await reports.settled();
  startAnew();
  reports.flush();
  await reports.settled();
  expect(said.items).toHaveLength(2);
});
