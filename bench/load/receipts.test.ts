/** The proof of delivery must itself be proved: each kind of fault has to be found. */
import { expect, test } from "vitest";
import { encodeMessage } from "./payload.ts";
import { Receipts, type Verdict } from "./receipts.ts";

const sound: Verdict = { lost: 0, repeated: 0, disagreeing: 0, misordered: 0, strays: 0 };

interface Circumstances {
  readonly published?: number;
  readonly refused?: readonly number[];
  /** Everything is on lane 0 unless told. */
  readonly laneOf?: (number: number) => number;
}

/** What is judged when these messages reach these sockets. */
function judge(
  arrivals: readonly (readonly number[])[],
  { published = 3, refused = [], laneOf = () => 0 }: Circumstances = {},
): Verdict {
  const receipts = new Receipts(arrivals.length, 3);
  for (const [socket, numbers] of arrivals.entries()) {
    for (const number of numbers) {
      const bytes = Buffer.from(`..${encodeMessage(number, laneOf(number))}`);
      receipts.handleMessage(socket, bytes, 2, bytes.length);
    }
  }
  return receipts.verdict(published, new Set(refused));
}

/** Every message has a lane of its own, so that any order is one that publishers allow. */
const ownLane = (number: number): number => number;

test("everything once and in order is sound", () => {
  expect(
    judge([
      [0, 1, 2],
      [0, 1, 2],
    ]),
  ).toEqual(sound);
});

test("a message that one socket did not get is lost once", () => {
  expect(
    judge([
      [0, 1, 2],
      [0, 2],
      [0, 1, 2],
    ]),
  ).toMatchObject({ lost: 1, disagreeing: 1 });
});

test("a refused message may be missing", () => {
  expect(
    judge(
      [
        [0, 2],
        [0, 2],
      ],
      { refused: [1] },
    ),
  ).toEqual(sound);
});

test("a repetition is counted, also of a late number", () => {
  const many = Array.from({ length: 5_000 }, (_, number) => number);
  expect(judge([many, [...many, 4_999]], { published: 5_000 })).toMatchObject({
    lost: 0,
    repeated: 1,
  });
});

test("sockets that saw another order than most disagree, though no publisher's order was broken", () => {
  const verdict = judge(
    [
      [0, 1, 2],
      [1, 0, 2],
      [0, 1, 2],
    ],
    { laneOf: ownLane },
  );
  expect(verdict).toEqual({ ...sound, disagreeing: 1 });
});

test("all sockets may agree on an order that breaks a publisher's", () => {
  expect(
    judge([
      [1, 0, 2],
      [1, 0, 2],
    ]),
  ).toEqual({ ...sound, misordered: 2 });
});

test("what is no message of the benchmark is a stray", () => {
  const receipts = new Receipts(1, 1);
  const bytes = Buffer.from("hello");
  receipts.handleMessage(0, bytes, 0, bytes.length);
  receipts.handleMessage(0, Buffer.alloc(100, "x"), 0, 100);
  receipts.handleMessage(0, Buffer.from(encodeMessage(0, 1)), 0, 100);
  expect(receipts.verdict(0, new Set())).toEqual({ ...sound, strays: 3 });
});
