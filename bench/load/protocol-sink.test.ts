/** Reading in place must find what parsing finds, and every break of continuity. */
import { expect, test } from "vitest";
import { encodeMessage } from "./payload.ts";
import { ProtocolSink } from "./protocol-sink.ts";
import { Receipts } from "./receipts.ts";

const none = new Set<number>();
const sound = { lost: 0, repeated: 0, disagreeing: 0, misordered: 0, strays: 0 };

function frameOf(after: number, numbers: readonly number[]): string {
  const data = numbers.map((number) => encodeMessage(number, number % 3));
  return JSON.stringify({ type: "messages", after, through: after + numbers.length, data });
}

function setUp(options: ConstructorParameters<typeof ProtocolSink>[2] = {}) {
  const receipts = new Receipts(1, 3);
  const sink = new ProtocolSink(receipts, 1, options);
  const sent: string[] = [];
  const take = (text: string): void => {
    const bytes = Buffer.from(`..${text}..`);
    sink.handleMessage(0, bytes, 2, bytes.length - 2, { send: (answer) => sent.push(answer) });
  };
  take(JSON.stringify({ type: "welcome", seq: 7 }));
  return { receipts, sink, sent, take };
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, number) => number);

test("messages in the usual layout are read in place", () => {
  const { receipts, sink, take } = setUp();
  take(frameOf(7, [0]));
  take(frameOf(8, [1, 2, 3]));
  expect(receipts.verdict(4, none)).toEqual(sound);
  expect([receipts.delivered, sink.frames, sink.parsedFrames]).toEqual([4, 2, 0]);
});

test("messages in another layout are parsed", () => {
  const { receipts, sink, take } = setUp();
  const data = [encodeMessage(0, 0), encodeMessage(1, 1)];
  take(JSON.stringify({ type: "messages", after: 7, through: 9, data, seq: [8, 9] }));
  take(JSON.stringify({ type: "messages", data: [encodeMessage(2, 2)], after: 9, through: 10 }));
  take(
    `{ "type":"messages","after":10,"through":11,"data":[${JSON.stringify(encodeMessage(3, 0))}]}`,
  );
  expect(receipts.verdict(4, none)).toEqual(sound);
  expect([receipts.delivered, sink.frames, sink.parsedFrames]).toEqual([4, 3, 3]);
});

test("a position without messages is taken", () => {
  const { receipts, take } = setUp();
  take(JSON.stringify({ type: "messages", after: 7, through: 500, data: [], seq: [] }));
  take(frameOf(500, [0]));
  expect(receipts.verdict(1, none)).toEqual(sound);
});

test("a gap, a repetition and what is no frame of messages are strays", () => {
  const { receipts, take } = setUp();
  take(frameOf(8, [0]));
  take(frameOf(8, [0]));
  take(JSON.stringify({ type: "reset", epoch: "e", seq: 9, reason: "" }));
  take(frameOf(9, [1]).replace('\\"n\\":\\"0', '\\"n\\":\\"x'));
  expect(receipts.verdict(1, none)).toMatchObject({ repeated: 1, strays: 4 });
});

test("acknowledgements go by messages, and by volume", () => {
  const { sent, take } = setUp();
  take(frameOf(7, upTo(127)));
  expect(sent).toEqual([]);
  take(frameOf(134, [127]));
  expect(sent).toEqual(['{"type":"ack","seq":135}']);
  const data = ["x".repeat(16 * 1024)];
  take(JSON.stringify({ type: "messages", after: 135, through: 136, data }));
  expect(sent).toEqual(['{"type":"ack","seq":135}', '{"type":"ack","seq":136}']);
});

test("who does not acknowledge is known by what it was sent", () => {
  const { sent, sink, take } = setUp({ acknowledges: false });
  const frame = frameOf(7, upTo(200));
  take(frame);
  expect([sent, sink.unacknowledgedUnits(0)]).toEqual([[], frame.length]);
});
