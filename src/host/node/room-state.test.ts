import { expect, onTestFinished, test } from "vitest";
import { Recording } from "../../../test/support/recording.ts";
import { defineRooms } from "../../core/rooms.ts";
import { encodeSnapshot } from "../../core/snapshot-value.ts";
import type { RoomId } from "../../protocol/names.ts";
import { failure, success, type Result } from "../../protocol/result.ts";
import type { SnapshotInfo } from "../../protocol/snapshot.ts";
import type { RoomHandlers } from "./game-room.ts";
import { RoomState } from "./room-state.ts";

const type = defineRooms({ game: { snapshotIntervalMs: 1_000 } }).type("game");
const room = "game:1" as RoomId;
const position = { epoch: "e", seq: 1 };
const info: SnapshotInfo = {
  id: "i",
  position,
  digests: [],
  takenAt: 0,
  expiresAt: 0,
  size: 0,
};

function start(handlers: RoomHandlers, text: string | null | Result<never> = null, hookMs = 5_000) {
  if (type === undefined) throw new Error("no type");
  const stored = new Recording<string>((each) => each);
  const errors: string[] = [];
  const answers: Result<SnapshotInfo>[] = [];
  const reported: string[] = [];
  const state = new RoomState({
    room,
    type,
    handlers,
    hookMs,
    onError: (error) => errors.push(String(error)),
    report: {
      failed: (reason, detail) => reported.push(`${reason}: ${detail}`),
      mended: () => reported.push("mended"),
    },
    snapshots: {
      read: async () => {
        if (text === null) return success(null);
        return typeof text === "string" ? success({ info, text }) : text;
      },
      store: async (_, each) => {
        stored.add(each);
        return answers.shift() ?? success(info);
      },
    },
  });
  onTestFinished(() => state.end());
  return { state, stored, errors, answers, reported };
}

function textOf(value: unknown, of = "game"): string {
  const text = encodeSnapshot(of, value);
  if (!text.ok) throw new Error(text.detail);
  return text.value;
}

const done = success(null);

function refuse(): never {
  throw new Error("no");
}

function never(): Promise<void> {
  return new Promise(() => {});
}

test("GS17 what has changed is stored, what has not is not, and one after the other", async () => {
  let score = 1;
  const { state, stored } = start({ getSnapshot: () => new Map([["ann", score]]) });
  expect(await state.restore()).toEqual(done);
  expect(await state.store()).toEqual(done);
  expect(await state.store()).toEqual(done);
  score = 2;
  const twice = [state.store(), state.store()];
  expect(await Promise.all(twice)).toEqual([done, done]);
  const texts = [1, 2].map((each) => textOf(new Map([["ann", each]])));
  expect(stored.items).toEqual(texts);
});

test("GS17 it is stored by itself after a while", async () => {
  const { state, stored } = start({ getSnapshot: () => "a state" });
  await state.restore();
  await stored.until(() => stored.items.length > 0, "a snapshot");
  expect(stored.items).toEqual([textOf("a state")]);
});

test("GS17 what was taken up is not stored again", async () => {
  const taken: unknown[] = [];
  const handlers = {
    getSnapshot: () => taken[0],
    onRestore: async (state: unknown) => void taken.push(state),
  };
  const { state, stored } = start(handlers, textOf({ score: 7 }));
  expect(await state.restore()).toEqual(done);
  expect(taken).toEqual([{ score: 7 }]);
  await state.store();
  expect(stored.items).toEqual([]);
});

test("GS17 while the registry cannot say whether there is a state the room does not begin", async () => {
  const { state } = start({ getSnapshot: () => 1 }, failure("unreachable", "lost"));
  expect(await state.restore()).toMatchObject({ code: "unreachable" });
  const without = start({}, failure("unreachable", "lost"));
  expect(await without.state.restore()).toEqual(done);
  expect(await without.state.store()).toEqual(done);
  expect(without.stored.items).toEqual([]);
});

test("GS18 a state that cannot be taken up is told, and the room begins without it", async () => {
  const handlers = { getSnapshot: () => 1, onRestore: () => {} };
  for (const [hooks, text, told, reason] of [
    [handlers, textOf(1, "other"), "is of a", "snapshot_foreign"],
    [handlers, failure("snapshot-damaged", "it is torn"), "it is torn", "snapshot_damaged"],
    [{ getSnapshot: () => 1 }, textOf(1), "no onRestore", "restore_threw"],
    [
      { ...handlers, onRestore: () => Promise.reject(new Error("no")) },
      textOf(1),
      "no",
      "restore_threw",
    ],
    [{ ...handlers, onRestore: never }, textOf(1), "did not answer", "restore_late"],
  ] as const) {
    const { state, errors, reported } = start(hooks, text, 1);
    expect(await state.restore()).toEqual(done);
    expect(errors.join()).toContain(told);
    expect(reported.map((each) => each.split(":")[0])).toEqual([reason]);
  }
});

test("GS18 a state that another version may take up is not stored over, but on demand", async () => {
  for (const [hooks, text, isKept] of [
    [{ getSnapshot: () => 2, onRestore: refuse }, textOf(1), true],
    [{ getSnapshot: () => 2, onRestore: () => {} }, textOf(1, "other"), true],
    [{ getSnapshot: () => 2, onRestore: refuse }, "torn", false],
  ] as const) {
    const { state, stored } = start(hooks, text);
    await state.restore();
    expect(await state.store()).toEqual(done);
    expect(stored.items).toEqual(isKept ? [] : [textOf(2)]);
    expect(await state.storeAnew()).toEqual(done);
    expect(stored.items.at(-1)).toBe(textOf(2));
  }
});

test("GS18 a state that cannot be had or stored is told, and tried again the next time", async () => {
  const hooks = [
    () => {
      throw new Error("no state");
    },
    () => () => "a function",
    () => "kept",
    () => "kept",
  ];
  const rig = start({ getSnapshot: () => hooks.shift()?.() });
  const { state, stored, errors, answers, reported } = rig;
  await state.restore();
  expect(await state.store()).toMatchObject({ code: "hook-threw" });
  expect(await state.store()).toMatchObject({ code: "snapshot-impossible" });
  answers.push(failure("snapshot-too-large", "the state is too much"));
  expect(await state.store()).toMatchObject({ code: "snapshot-too-large" });
  expect(await state.store()).toEqual(done);
  expect(stored.items).toEqual([textOf("kept"), textOf("kept")]);
  expect(reported.map((each) => each.split(":")[0])).toEqual([
    "snapshot_threw",
    "snapshot_impossible",
    "snapshot_too_large",
    "mended",
  ]);
  for (const [index, told] of ["no state", "cannot be cloned", "too much"].entries()) {
    expect(errors[index]).toContain(told);
  }
  const late = start({ getSnapshot: () => new Promise(() => {}) }, null, 1);
  await late.state.restore();
  expect(await late.state.store()).toMatchObject({ code: "hook-late" });
  expect(await late.state.store()).toMatchObject({ code: "hook-late" });
});

test("GS18, GS21 of a room that is on another server by now there is nothing to tell the registry", async () => {
  const { state, answers, errors, reported } = start({ getSnapshot: () => "kept" });
  await state.restore();
  answers.push(failure("room-elsewhere", "not on this server"), failure("unreachable", "lost"));
  expect(await state.store()).toMatchObject({ code: "room-elsewhere" });
  expect([errors.length, reported]).toEqual([1, []]);
  expect(await state.store()).toMatchObject({ code: "unreachable" });
  expect(reported).toEqual(["snapshot_unstored: lost"]);
});

test("GS22 what was asked for is stored also when nothing has changed, but not of a room that is over", async () => {
  const { state, stored } = start({ getSnapshot: () => "kept" });
  await state.restore();
  await state.store();
  expect(await state.storeAnew()).toEqual(done);
  expect(stored.items).toHaveLength(2);
  state.end();
  expect(await state.storeAnew()).toMatchObject({ code: "unavailable" });
  expect(await state.goBack()).toMatchObject({ code: "unavailable" });
  const without = start({}).state;
  expect(await without.storeAnew()).toMatchObject({ code: "no-state" });
  expect(await without.goBack()).toMatchObject({ code: "no-state" });
});

test("GS18 a room that is over stores nothing", async () => {
  const { state, stored } = start({ getSnapshot: () => 1 });
  await state.restore();
  state.end();
  expect(await state.store()).toEqual(done);
  expect(stored.items).toEqual([]);
});
