import { expect, test } from "vitest";
import { SequencerRig } from "../../test/support/sequencer-rig.ts";
import type { LogRange } from "../protocol/calls.ts";

const brief = { history: { messages: 2 } };

/** Tells the room's sequencer of a snapshot up to `seq`. */
async function tell(rig: SequencerRig, seq: number, more: { takenAt?: number | null } = {}) {
  const { epoch } = await rig.status();
  const expiresAt = rig.ports.clock.now() + 10_000;
  const position = { epoch, seq };
  await rig.ask({ type: "snapshotted", position, takenAt: 7, expiresAt, ...more });
}

async function kept(rig: SequencerRig, seq = 0): Promise<LogRange> {
  const { epoch } = await rig.status();
  return rig.ask({ type: "read", position: { epoch, seq }, isForState: true });
}

async function say(rig: SequencerRig, count: number, text = "x"): Promise<void> {
  for (let index = 0; index < count; index += 1) await rig.publish(text);
}

test("SN10 what the newest snapshot lacks is kept beyond the bounds of history, also after a restart", async () => {
  const rig = await SequencerRig.start(brief);
  await say(rig, 3);
  await tell(rig, 3);
  await say(rig, 7);
  await rig.restart();
  await say(rig, 1);
  expect(await kept(rig, 3)).toMatchObject({ after: 3, through: 11 });
  // History is what it is for everybody else.
  expect((await rig.status()).history).toEqual({ first: 10, last: 11 });
  const { epoch } = await rig.status();
  const read = await rig.ask<LogRange>({ type: "read", position: { epoch, seq: 3 } });
  expect(read.after).toBe(9);
  // A newer snapshot needs less.
  await tell(rig, 10);
  await say(rig, 1);
  expect((await kept(rig)).after).toBe(10);
});

test("SN10 an older snapshot, one of another life, or none, changes nothing", async () => {
  const rig = await SequencerRig.start(brief);
  await say(rig, 4);
  await tell(rig, 4);
  await tell(rig, 2);
  await tell(rig, 0, { takenAt: null });
  const position = { epoch: "another", seq: 9 };
  await rig.ask({ type: "snapshotted", position, takenAt: 7, expiresAt: 9e15 });
  expect((await rig.status()).snapshot).toEqual({ seq: 4, takenAt: 7 });
  await say(rig, 4);
  expect((await kept(rig)).after).toBe(4);
});

test("SN10 nothing is kept for a snapshot that has expired, or in a room that was disposed", async () => {
  const rig = await SequencerRig.start(brief);
  await tell(rig, 0);
  await say(rig, 5);
  expect((await kept(rig)).after).toBe(0);
  rig.ports.clock.advance(10_000);
  await say(rig, 1);
  expect((await kept(rig)).after).toBe(4);
  expect((await rig.status()).snapshot).toBeNull();
  await tell(rig, 6);
  await rig.ask({ type: "dispose" });
  expect((await rig.status()).snapshot).toBeNull();
  await rig.restart();
  await say(rig, 5);
  expect((await kept(rig)).after).toBe(3);
});

test("SN10 past the bound of bytes the log lets go, and the loss is counted once", async () => {
  const rig = await SequencerRig.start(brief);
  await tell(rig, 0);
  const large = "x".repeat(1_000_000);
  await say(rig, 20, large);
  expect((await kept(rig)).after).toBeGreaterThan(0);
  await rig.pass(0);
  const counted = rig.ports.calls.of("count").map(({ counters }) => counters);
  expect(counted).toMatchObject([{ snapshot_log_lost: 1 }]);
});

test("SN10 what is kept is read in pieces that a call can carry", async () => {
  const rig = await SequencerRig.start(brief);
  await tell(rig, 0);
  await say(rig, 9, "x".repeat(1_000_000));
  const first = await kept(rig);
  expect(first.frames.length).toBe(4);
  const second = await kept(rig, 4);
  expect(second).toMatchObject({ after: 4, through: 9 });
});

test("SN10 where there is no snapshot and what was said of that has expired, it counts when it is said anew", async () => {
  const rig = await SequencerRig.start(brief);
  await tell(rig, 0, { takenAt: null });
  await say(rig, 5);
  rig.ports.clock.advance(10_000);
  await tell(rig, 0, { takenAt: null });
  await say(rig, 5);
  expect((await kept(rig)).after).toBe(0);
});
