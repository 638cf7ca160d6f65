import { expect, test } from "vitest";
import { FakeCalls, lost } from "../../test/support/fake-calls.ts";
import { roomType } from "../../test/support/sequencer-rig.ts";
import type { Published } from "../protocol/calls.ts";
import type { ShardId } from "../protocol/names.ts";
import { fencedFailure } from "../protocol/calls.ts";
import { decodePayload } from "../protocol/payload.ts";
import { success } from "../protocol/result.ts";
import { RoomPublisher } from "./room-publisher.ts";

const shard = "lobby-2~3" as ShardId;
const shards = { delivered: 1, pending: 1 };

/** A sequencer that answers one call after the other when it is told to. */
function rig(maxMessageBytes = 100) {
  const calls = new FakeCalls();
  const answers: (() => void)[] = [];
  let seq = 0;
  calls.answer = ({ request }) => {
    if (request.type !== "publish") throw new Error(`a class called ${request.type}`);
    const first = seq + 1;
    if (!request.volatile) seq += request.messages.length;
    const published: Published = { epoch: "e", first, seq, shards };
    const { promise, resolve } = Promise.withResolvers<undefined>();
    answers.push(() => resolve(undefined));
    return promise.then(() => success(published));
  };
  const publisher = new RoomPublisher(shard, roomType({ maxMessageBytes }), calls);
  return { calls, publisher, answer: () => answers.shift()?.() };
}

test("RC9 one call after the other carries what was published, in order, what waits together", async () => {
  const { calls, publisher, answer } = rig();
  const first = publisher.publish("a");
  const rest = ["b", new Uint8Array([1, 2]), "d"].map((data) => publisher.publish(data));
  expect(calls.of("publish")).toEqual([
    { type: "publish", messages: ["a"], volatile: false, waitDelivered: false, shard },
  ]);
  answer();
  expect(await first).toEqual(success({ room: "lobby", epoch: "e", seq: 1, shards }));
  answer();
  expect((await Promise.all(rest)).map((result) => result.ok && result.value.seq)).toEqual([
    2, 3, 4,
  ]);
  expect(calls.of("publish")[1]?.messages).toEqual(["b", { base64: "AQI=" }, "d"]);
});

test("RC9 writes share a call only when they say the same, have no key, and fit into one body", async () => {
  const { calls, publisher, answer } = rig();
  const all = [
    publisher.publish("first"),
    publisher.publish("x".repeat(60)),
    publisher.publish("y".repeat(60)),
    publisher.publish("a", { topic: "t" }),
    publisher.publish("b", { topic: "t" }),
    publisher.publish("c", { idempotencyKey: "k" }),
    publisher.publish("d"),
    publisher.publish("e", { volatile: true }),
  ];
  for (const write of all) {
    answer();
    await write;
  }
  const made = calls.of("publish").map(({ messages, topic, key, volatile: isVolatile }) => {
    const words = messages.map((each) => decodePayload(each).slice(0, 5));
    return [words.join(), topic, key, isVolatile];
  });
  expect(made).toEqual([
    ["first", undefined, undefined, false],
    ["xxxxx", undefined, undefined, false],
    ["yyyyy", undefined, undefined, false],
    ["a,b", "t", undefined, false],
    ["c", undefined, "k", false],
    ["d", undefined, undefined, false],
    ["e", undefined, undefined, true],
  ]);
  expect(await all.at(-1)).toMatchObject({ ok: true, value: { seq: 7 } });
});

test.each([
  [{ a: 1 }, {}, "malformed-body"],
  [null, {}, "malformed-body"],
  [5, {}, "malformed-body"],
  ["x".repeat(101), {}, "payload-too-large"],
  ["é".repeat(51), {}, "payload-too-large"],
  [new Uint8Array(101), {}, "payload-too-large"],
  ["a", { topic: "a,b" }, "malformed-query"],
  ["a", { topic: 5 }, "malformed-query"],
  ["a", { idempotencyKey: "k".repeat(256) }, "malformed-header"],
  ["a", { idempotencyKey: "k", volatile: true }, "malformed-header"],
])("RC9 %j with %j is refused with %s, and nothing is called", async (data, options, code) => {
  const { calls, publisher } = rig();
  // As from a class without types.
  expect(await publisher.publish(data as never, options as never)).toMatchObject({ code });
  expect(calls.made).toEqual([]);
});

test("RC9 a lost answer is tried again with a key, and told without; a fenced shard is told too", async () => {
  const calls = new FakeCalls();
  const publisher = new RoomPublisher(shard, roomType({}), calls);
  expect(await publisher.publish("a")).toEqual({ ...lost, code: "unavailable" });
  expect(await publisher.publish("a", { idempotencyKey: "k" })).toMatchObject({ ok: false });
  expect(calls.made).toHaveLength(4);
  calls.answer = fencedFailure;
  expect(await publisher.publish("a")).toEqual({ ...fencedFailure(), code: "unavailable" });
});

test("RC9 a class that publishes faster than the room takes it is told so", async () => {
  const { publisher, answer } = rig();
  const first = publisher.publish("under way");
  const waiting = Array.from({ length: 10_000 }, () => publisher.publish("a"));
  expect(await publisher.publish("one more")).toMatchObject({ code: "overloaded" });
  answer();
  await first;
  expect(waiting).toHaveLength(10_000);
});
