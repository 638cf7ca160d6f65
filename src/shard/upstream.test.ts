/** What clients publish, on its way to the sequencer: by the link, or by calls. */
import { expect, test } from "vitest";
import { FakeCalls, lost, type Answer } from "../../test/support/fake-calls.ts";
import { ShardRig, epoch } from "../../test/support/shard-rig.ts";
import { turns } from "../../test/support/turns.ts";
import { parseFrameToSequencer, type UpstreamWrite } from "../protocol/link.ts";
import type { ShardId } from "../protocol/names.ts";
import { Upstream } from "./upstream.ts";

class Rig {
  isLinked: boolean;
  readonly frames: (readonly UpstreamWrite[])[] = [];
  readonly answers: string[] = [];
  fenced = 0;
  readonly calls: FakeCalls;
  readonly upstream: Upstream;

  constructor(isLinked: boolean) {
    this.isLinked = isLinked;
    const taken: Answer = { ok: true, value: { epoch: "e", first: 9, seq: 9, shards: {} } };
    this.calls = new FakeCalls(() => taken);
    this.upstream = new Upstream(
      "lobby-1" as ShardId,
      this.calls,
      (text) => this.#send(text),
      0,
      () => {
        this.fenced += 1;
      },
    );
  }

  publish(key: string, topic: string | null = null, message = `of ${key}`): void {
    void this.upstream.publish({ message, key, topic }).then((result) => {
      this.answers.push(`${key} ${result.ok ? result.value.seq : result.code}`);
    });
  }

  #send(text: string): boolean {
    if (!this.isLinked) return false;
    const frame = parseFrameToSequencer(text);
    if (!frame.ok || frame.value.type !== "publish") throw new Error(text);
    this.frames.push(frame.value.writes);
    return true;
  }

  /** The sequencer answers everything of its last frame with numbers from `first` on. */
  async answer(first: number): Promise<void> {
    const writes = this.frames.at(-1) ?? [];
    this.upstream.handleResults(
      epoch,
      writes.map(({ id }, index) => ({ id, seq: first + index })),
    );
    await turns();
  }
}

test("PR8 writes go by the open link, and what comes meanwhile shares the next frame", async () => {
  const rig = new Rig(true);
  for (const key of ["a", "b", "c"]) rig.publish(key, key === "b" ? "t" : null);
  expect(rig.frames).toMatchObject([[{ message: "of a", key: "a" }]]);
  await rig.answer(5);
  expect(rig.frames[1]).toMatchObject([{ key: "b", topic: "t" }, { key: "c" }]);
  await rig.answer(6);
  expect(rig.answers).toEqual(["a 5", "b 6", "c 7"]);
  expect(rig.calls.made).toEqual([]);
});

test("PR8 a refusal on the link reaches the client whose write it was", async () => {
  const rig = new Rig(true);
  rig.publish("a");
  rig.publish("b");
  await rig.answer(5);
  const id = rig.frames[1]?.[0]?.id ?? -1;
  rig.upstream.handleResults(epoch, [
    { id: id + 100, seq: 1 },
    { id, code: "overloaded", detail: "why" },
  ]);
  await turns();
  expect(rig.answers).toEqual(["a 5", "b overloaded"]);
});

test("PR8 without a link each write is a call with its key and topic", async () => {
  const rig = new Rig(false);
  rig.publish("a", "t");
  rig.publish("b");
  await turns();
  expect(rig.calls.of("publish")).toMatchObject([
    { messages: ["of a"], key: "a", topic: "t", volatile: false, waitDelivered: false },
    { messages: ["of b"], key: "b" },
  ]);
  expect(rig.answers).toEqual(["a 9", "b 9"]);
});

test("PR8 what an ended link has not answered is sent again with the same key", async () => {
  const rig = new Rig(true);
  for (const key of ["a", "b"]) rig.publish(key);
  rig.isLinked = false;
  rig.upstream.linkEnded();
  await turns();
  expect(rig.calls.of("publish").map(({ key }) => key)).toEqual(["a", "b"]);
  expect(rig.answers).toEqual(["a 9", "b 9"]);
  await rig.answer(5);
  expect(rig.answers).toEqual(["a 9", "b 9"]);
});

test("PR8 a call whose answer is lost is a refusal that the client may try again", async () => {
  const rig = new Rig(false);
  rig.calls.answer = () => lost;
  rig.publish("a");
  await turns();
  expect(rig.answers).toEqual(["a unreachable"]);
});

test("PR8, DL12 past ten thousand writes that wait, further ones are refused as overloaded", async () => {
  const rig = new Rig(true);
  for (let n = 0; n < 10_002; n += 1) rig.publish(`${n}`);
  await turns();
  expect(rig.answers).toEqual(["10000 overloaded", "10001 overloaded"]);
  await rig.answer(1);
  expect(rig.frames[1]).toHaveLength(500);
  rig.publish("later");
  for (let n = 0; n < 30; n += 1) await rig.answer(2 + n * 500);
  expect(rig.answers).toHaveLength(10_003);
  expect(rig.answers.filter((each) => each.endsWith("overloaded"))).toHaveLength(2);
});

test("PR8, LK7 a frame of writes holds no more text than the other end takes, and a large one alone", async () => {
  const rig = new Rig(true);
  const units = [1, 1024 * 1024, 1024 * 1024, 200_000, 200_000, 200_000, 1];
  for (const [index, each] of units.entries()) rig.publish(`${index}`, null, "x".repeat(each));
  for (let frame = 0; frame < units.length; frame += 1) await rig.answer(10 * frame);
  expect(rig.frames.map((writes) => writes.map(({ key }) => key))).toEqual([
    ["0"],
    ["1"],
    ["2"],
    ["3", "4"],
    ["5", "6"],
  ]);
});

test("PR8, DL12 past 16 Mi units of text that wait, further writes are refused as overloaded", async () => {
  const rig = new Rig(true);
  for (let n = 0; n < 18; n += 1) rig.publish(`${n}`, null, "x".repeat(1024 * 1024));
  await turns();
  expect(rig.answers).toEqual(["16 overloaded", "17 overloaded"]);
  await rig.answer(1);
  rig.publish("later");
  await turns();
  expect(rig.answers).toEqual(["16 overloaded", "17 overloaded", "0 1"]);
});

/** The writes that a link was sent, in order. */
function writesOn(link: { frames: unknown[] }): UpstreamWrite[] {
  return link.frames.flatMap((frame) => {
    const { type, writes } = frame as { type: string; writes: UpstreamWrite[] };
    return type === "publish" ? writes : [];
  });
}

test("PR8 a link that is replaced leaves no write without an answer, nor those after it", async () => {
  const rig = await ShardRig.start({ publishOverSocket: true });
  const client = await rig.joinProtocol();
  const former = rig.openLink();
  rig.receive(client, { type: "publish", id: "a", data: "A" });
  rig.receive(client, { type: "publish", id: "b", data: "B" });
  const link = rig.openLink();
  expect(link.frames[0]).toMatchObject({ type: "hello" });
  expect(writesOn(former).map(({ key }) => key)).toEqual(["a"]);
  for (const expected of ["a", "b"]) {
    const write = writesOn(link).at(-1);
    if (write === undefined) throw new Error(`${expected} was not sent`);
    const results = writesOn(link)
      .slice(-2)
      .map(({ id, key }) => ({ id, seq: key === "a" ? 1 : 2 }));
    await rig.say(link, { type: "results", epoch, results });
  }
  await turns();
  client.take();
  expect(client.others).toEqual([
    { type: "published", id: "a", epoch, seq: 1 },
    { type: "published", id: "b", epoch, seq: 2 },
  ]);
  rig.shard.handleLinkClose(former);
  await rig.batch(link, 0, "A");
  client.take();
  expect([client.received, client.epoch]).toEqual([["1 A"], epoch]);
});
