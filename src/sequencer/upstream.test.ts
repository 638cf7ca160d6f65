/** What shards send up on their links, topics, and reading the log. */
import { expect, test } from "vitest";
import { DeliveryRig, epoch as rigEpoch } from "../../test/support/delivery-rig.ts";
import type { Dial } from "../../test/support/fake-dialer.ts";
import { SequencerRig } from "../../test/support/sequencer-rig.ts";
import { turns } from "../../test/support/turns.ts";
import type { RoomTypeOptions } from "../core/rooms.ts";
import type { LogRange, Published } from "../protocol/calls.ts";
import { parseFrameToShard, type Position, type UpstreamResult } from "../protocol/link.ts";

/** A room with one shard, whose link is open. */
async function linked() {
  const room = await SequencerRig.start();
  const { epoch } = await room.subscribe(1);
  await room.publish("first");
  const dial = room.dialOf(1);
  await dial.greet(epoch, 1);
  return { room, dial, epoch };
}

const resultsOn = (dial: Dial): UpstreamResult[] =>
  dial.frames.flatMap((frame) =>
    frame["type"] === "results" ? (frame["results"] as UpstreamResult[]) : [],
  );
const read = (room: SequencerRig, position: Position | null): Promise<LogRange> =>
  room.ask({ type: "read", position });
/** A room whose every message is a batch of its own. */
async function roomOf(messages: string[], history: Required<RoomTypeOptions>["history"]) {
  const room = await SequencerRig.start({ history });
  for (const message of messages) {
    await room.publish(message);
    await room.pass(5);
  }
  return room;
}

/** Numbers and messages of a reading. */
function messagesOf({ frames }: LogRange): string[] {
  return frames.flatMap((text) => {
    const frame = parseFrameToShard(text);
    if (!frame.ok || frame.value.type !== "batch") throw new Error(text);
    const { after, entries } = frame.value;
    return entries.map(
      (entry, index) => `${after + 1 + index} ${typeof entry === "string" ? entry : entry.base64}`,
    );
  });
}

test("PR8, DL1 writes from a link and over HTTP share one order", async () => {
  const { room, dial, epoch } = await linked();
  const published = room.publish("by http");
  const writes = ["a", "b"].map((key, id) => ({ id, key, message: `by link ${key}` }));
  dial.say({ type: "publish", writes });
  const after = room.publish("by http again");
  await turns();
  dial.ack(epoch, 2);
  await turns();
  expect([(await published).seq, (await after).seq]).toEqual([2, 5]);
  expect(resultsOn(dial)).toEqual([
    { id: 0, seq: 3 },
    { id: 1, seq: 4 },
  ]);
  expect(messagesOf(await read(room, { epoch, seq: 1 }))).toEqual([
    "2 by http",
    "3 by link a",
    "4 by link b",
    "5 by http again",
  ]);
});

test("PR8, SE9 a write of a life that is over is answered with the epoch of that life", async () => {
  const { room, dial, epoch } = await linked();
  dial.say({ type: "publish", writes: [{ id: 0, key: "a", message: "x" }] });
  await room.ask({ type: "dispose" });
  dial.say({ type: "publish", writes: [{ id: 1, key: "b", message: "y" }] });
  await turns();
  const results = dial.frames.filter((frame) => frame["type"] === "results");
  const next = (await room.status()).epoch;
  expect(next).not.toBe(epoch);
  expect(results).toEqual([
    { type: "results", epoch, results: [{ id: 0, seq: 2 }] },
    { type: "results", epoch: next, results: [{ id: 1, seq: 1 }] },
  ]);
});

test("PR8, DL4 one key has one effect, whichever way it came, and with another body none", async () => {
  const { room, dial, epoch } = await linked();
  const { seq } = await room.publish("x", { key: "k" });
  dial.say({
    type: "publish",
    writes: [
      { id: 0, key: "k", message: "x" },
      { id: 1, key: "k", message: "y" },
      { id: 2, key: "new", message: "z" },
    ],
  });
  await room.pass(5);
  dial.ack(epoch, 2);
  await turns();
  expect(resultsOn(dial)).toMatchObject([
    { id: 0, seq },
    { id: 1, code: "idempotency-key-reused" },
    { id: 2, seq: seq + 1 },
  ]);
  expect((await room.publish("z", { key: "new" })).seq).toBe(seq + 1);
});

test("PR8, DL4 a key from a link is known after a restart", async () => {
  const { room, dial } = await linked();
  dial.say({ type: "publish", writes: [{ id: 0, key: "c:1", message: "x" }] });
  await room.pass(5);
  const [result] = resultsOn(dial);
  await room.restart();
  expect(result).toMatchObject({ id: 0, seq: 2 });
  expect((await room.publish("x", { key: "c:1" })).seq).toBe(2);
});

test("PR8 results that are ready when the link has ended go nowhere, and the write holds", async () => {
  const { room, dial, epoch } = await linked();
  dial.say({ type: "publish", writes: [{ id: 0, key: "k", message: "x" }] });
  dial.socket.close(1006, "");
  dial.close(1006);
  await room.pass(5);
  expect(messagesOf(await read(room, { epoch, seq: 1 }))).toEqual(["2 x"]);
  expect((await room.publish("x", { key: "k" })).seq).toBe(2);
});

test("PR8, LK6 writes before the greeting close the link", async () => {
  const rig = new DeliveryRig();
  rig.publish("a");
  await rig.dialer.last.accept();
  rig.dialer.last.say({ type: "publish", writes: [{ id: 0, key: "k", message: "x" }] });
  expect([rig.dialer.last.socket.closedWith, rig.published]).toEqual([4500, []]);
});

test("PR8 a link that answers writes is in use, and is not hung up meanwhile", async () => {
  const rig = new DeliveryRig();
  const dial = await rig.open();
  rig.pass(4_000);
  dial.say({ type: "publish", writes: [{ id: 3, key: "k", message: "x" }] });
  await turns();
  rig.pass(4_000);
  expect([dial.frames.at(-1), dial.socket.closedWith]).toEqual([
    { type: "results", epoch: rigEpoch, results: [{ id: 3, seq: 1_003 }] },
    null,
  ]);
  rig.pass(1_000);
  expect(dial.frames.at(-1)).toEqual({ type: "bye" });
});

test("PR6 topics travel with their messages, volatile ones too, and not when there are none", async () => {
  const { room, dial, epoch } = await linked();
  await room.ask<Published>({
    ...({ type: "publish", messages: ["a", "b"], topic: "t", volatile: false } as const),
    waitDelivered: false,
  });
  dial.ack(epoch, 3);
  const publishing = room.publish("c");
  await room.pass(5);
  await publishing;
  const batches = dial.frames.filter(({ type }) => type === "batch");
  expect(batches.map(({ entries, topics }) => [entries, topics])).toEqual([
    [
      ["a", "b"],
      ["t", "t"],
    ],
    [["c"], undefined],
  ]);
  const rig = new DeliveryRig();
  rig.publishVolatile("x", "t");
  rig.publishVolatile("y");
  await rig.dialer.last.greet(rigEpoch, 0);
  expect(rig.dialer.last.frames[0]).toMatchObject({ entries: ["x", "y"], topics: ["t", null] });
});

test("PR6, DL4 one key for two topics is one key for two messages", async () => {
  const { room } = await linked();
  const write = { type: "publish", volatile: false, waitDelivered: false, key: "k" } as const;
  const one = room.ask<Published>({ ...write, messages: ["a"], topic: "t" });
  expect((await one).seq).toBe(2);
  const other = room.ask<Published>({ ...write, messages: ["a"], topic: "u" });
  await expect(other).rejects.toThrow("idempotency-key-reused");
});

test("PR14, PR3 a reading begins where it was asked for, or where the log does", async () => {
  const { room, epoch } = await linked();
  for (const text of ["b", "c"]) {
    await room.publish(text);
    await room.pass(25);
  }
  const all = ["1 first", "2 b", "3 c"];
  for (const [position, after] of [
    [null, 0],
    [{ epoch, seq: 0 }, 0],
    [{ epoch, seq: 2 }, 2],
    [{ epoch, seq: 3 }, 3],
    [{ epoch, seq: 9 }, 3],
    [{ epoch: "e0", seq: 2 }, 0],
  ] as const) {
    const range = await read(room, position);
    expect(range).toMatchObject({ epoch, after, through: 3 });
    expect(messagesOf(range)).toEqual(all.slice(after));
  }
});

test("PR14 a reading of a room that nobody wrote to is empty", async () => {
  const room = await SequencerRig.start();
  expect(await read(room, null)).toMatchObject({ after: 0, through: 0, frames: [] });
});

test("DL7, PR14 what has grown too old is not read, though nobody wrote since", async () => {
  const room = await roomOf(["a", "b"], { seconds: 10 });
  const { epoch } = await room.status();
  await room.pass(6_000);
  await room.publish("c");
  expect(messagesOf(await read(room, { epoch, seq: 0 }))).toEqual(["1 a", "2 b", "3 c"]);
  await room.pass(6_000);
  for (const position of [null, { epoch, seq: 0 }, { epoch, seq: 1 }, { epoch, seq: 2 }]) {
    const range = await read(room, position);
    expect([range.after, messagesOf(range)]).toEqual([2, ["3 c"]]);
  }
  expect((await room.status()).history).toEqual({ first: 3, last: 3 });
  await room.pass(6_000);
  expect(await read(room, { epoch, seq: 2 })).toMatchObject({ after: 3, frames: [] });
  expect((await room.status()).history).toEqual({ first: 4, last: 3 });
  await room.restart();
  expect(await read(room, { epoch, seq: 0 })).toMatchObject({ after: 3, frames: [] });
});

test("DL7, PR14 messages beyond the count are not read, also within a batch", async () => {
  const room = await SequencerRig.start({ history: { messages: 3 } });
  await room.publish(["a", "b", "c", "d", "e"]);
  const { epoch, history } = await room.status();
  expect(history).toEqual({ first: 3, last: 5 });
  for (const position of [null, { epoch, seq: 0 }, { epoch, seq: 2 }]) {
    const range = await read(room, position);
    expect([range.after, messagesOf(range)]).toEqual([2, ["3 c", "4 d", "5 e"]]);
  }
});

test("DL7, PR14 what is kept for a shard that is behind is not read either", async () => {
  const { room, dial, epoch } = await linked();
  await room.publish("owed");
  await room.pass(301_000);
  await room.publish("young");
  expect(messagesOf(await read(room, { epoch, seq: 0 }))).toEqual(["3 young"]);
  await room.dialOf(1).greet(epoch, 1);
  expect(room.dialOf(1).frames[0]).toMatchObject({ after: 1, entries: ["owed"] });
  expect(dial.socket.closedWith).toBe(4012);
});

test("PR14 a reading with a limit brings what is needed for it, in whole batches", async () => {
  const room = await roomOf(["a", "b", "c", "d"], {});
  await room.publish(["e", "f", "g"]);
  const { epoch } = await room.status();
  const page = async (seq: number, limit: number): Promise<string[]> => {
    const range = await room.ask<LogRange>({ type: "read", position: { epoch, seq }, limit });
    expect(range).toMatchObject({ epoch, after: seq, through: 7 });
    return messagesOf(range);
  };
  expect(await page(0, 2)).toEqual(["1 a", "2 b"]);
  expect(await page(3, 2)).toEqual(["4 d", "5 e", "6 f", "7 g"]);
  expect(await page(5, 1)).toEqual(["5 e", "6 f", "7 g"]);
  expect(await page(7, 1)).toEqual([]);
  expect(await page(0, 1_000)).toHaveLength(7);
});

test("DL7, PR14 a reading is never larger than history may be", async () => {
  const bound = 4 * 1024 * 1024;
  const room = await roomOf(
    Array.from({ length: 6 }, () => "x".repeat(1_000_000)),
    {},
  );
  const { frames, after } = await read(room, null);
  expect([after, frames.length]).toEqual([2, 4]);
  expect(frames.join("").length).toBeLessThanOrEqual(bound);
  expect((await room.status()).history).toEqual({ first: 3, last: 6 });
});

test("PR3, PR14 what history no longer holds is not read, and the reading says where it begins", async () => {
  const room = await SequencerRig.start({ history: { messages: 2 } });
  for (let n = 1; n <= 6; n += 1) {
    await room.publish(`m${n}`);
    await room.pass(5);
  }
  const { epoch } = await room.status();
  const range = await read(room, { epoch, seq: 1 });
  expect(range.after).toBeGreaterThan(1);
  expect(messagesOf(range)[0]).toBe(`${range.after + 1} m${range.after + 1}`);
  expect(messagesOf(range)).toHaveLength(6 - range.after);
});
