import fc from "fast-check";
import { expect, test } from "vitest";
import { FakeClock } from "../../test/support/fake-clock.ts";
import { FakeSocket } from "../../test/support/fake-socket.ts";
import { TopicFilters } from "../core/topics.ts";
import { closeCodes } from "../protocol/close-codes.ts";
import type { BatchFrame } from "../protocol/link.ts";
import { encodePayload, type MessageData, type Payload } from "../protocol/payload.ts";
import { Audience } from "./audience.ts";
import { encodeMessages } from "./messages.ts";
import { FanOut, type BroadcastHook, type BroadcastMessage } from "./fan-out.ts";

type More = Partial<BatchFrame>;

function batch(after: number, entries: readonly Payload[], more: More = {}): BatchFrame {
  const logged = entries.length - (more.volatile?.length ?? 0);
  const numbers = { after, through: after + logged };
  return { type: "batch", epoch: "e1", at: 7, ...numbers, entries: [...entries], ...more };
}

/** A fan-out with so many clients. */
function fanOutTo(clients: number, onBroadcast?: BroadcastHook) {
  const errors: unknown[] = [];
  const hook = onBroadcast === undefined ? {} : { onBroadcast };
  const audience = new Audience(
    { onLost: () => {}, count: () => {} },
    { messages: 1_000, seconds: 300 },
  );
  const onHookError = (error: unknown): void => void errors.push(error);
  const fanOut = new FanOut(audience, { clock: new FakeClock(), onHookError, ...hook });
  const sockets = Array.from({ length: clients }, () => new FakeSocket());
  for (const socket of sockets) audience.addPlain(socket, new TopicFilters([]));
  return { fanOut, audience, sockets, errors };
}

test("RC1 each client gets each message as its payload: text as text, bytes as bytes", () => {
  const { fanOut, sockets } = fanOutTo(2);
  const bytes = new Uint8Array([0, 255, 128]);
  expect(fanOut.apply(batch(0, ["a", encodePayload(bytes), ""]))).toBe("applied");
  for (const { sent } of sockets) expect(sent).toEqual(["a", bytes, ""]);
});

test("RC1 a client that is closing does not keep the message from the others", () => {
  const { fanOut, audience, sockets } = fanOutTo(2);
  const throwing = new FakeSocket();
  throwing.send = () => {
    throw new Error("closing");
  };
  // The one that throws comes first.
  for (const socket of sockets) audience.remove(socket);
  for (const socket of [throwing, ...sockets]) audience.addPlain(socket, new TopicFilters([]));
  void fanOut.apply(batch(0, ["a"]));
  for (const { sent } of sockets) expect(sent).toEqual(["a"]);
});

test("RC2 onBroadcast runs once a message, whatever the number of clients", async () => {
  const seen: BroadcastMessage[] = [];
  const { fanOut, sockets } = fanOutTo(3, (message) => {
    seen.push(message);
    return message.data;
  });
  await fanOut.apply(batch(4, ["a", "x"], { volatile: [1], through: 5 }));
  expect(seen).toEqual([
    { data: "a", epoch: "e1", seq: 5, topic: null, at: 7, isReplay: false },
    { data: "x", epoch: "e1", seq: null, topic: null, at: 7, isReplay: false },
  ]);
  for (const { sent } of sockets) expect(sent).toEqual(["a", "x"]);
});

test("RC2 what onBroadcast returns is sent, and null sends nothing", async () => {
  const answers: (MessageData | null)[] = ["A", null, new Uint8Array([1])];
  const { fanOut, sockets } = fanOutTo(1, () => answers.shift() ?? null);
  await fanOut.apply(batch(0, ["a", "b", "c"]));
  expect(sockets[0]?.sent).toEqual(["A", new Uint8Array([1])]);
  expect(fanOut.position).toEqual({ epoch: "e1", seq: 3 });
});

test("RC6 a hook that throws, or rejects, loses that message alone", async () => {
  const { fanOut, sockets, errors } = fanOutTo(1, ({ data }) => {
    if (data === "b") throw new Error("b");
    return data === "c" ? Promise.reject(new Error("c")) : data;
  });
  expect(await fanOut.apply(batch(0, ["a", "b", "c", "d"]))).toBe("applied");
  expect(sockets[0]?.sent).toEqual(["a", "d"]);
  expect(errors.map(String)).toEqual(["Error: b", "Error: c"]);
  expect(fanOut.position?.seq).toBe(4);
});

test("RC2 bytes of any kind are sent as bytes", async () => {
  const bytes = new Uint8Array([9, 1, 2, 9]);
  const answers = [bytes.buffer, bytes.subarray(1, 3), new DataView(bytes.buffer, 1, 1)];
  const { fanOut, sockets } = fanOutTo(1, () => answers.shift() ?? null);
  await fanOut.apply(batch(0, ["a", "b", "c"]));
  expect(sockets[0]?.sent).toEqual([bytes, new Uint8Array([1, 2]), new Uint8Array([1])]);
});

test("RC2 bytes that the hook changed in place are what every client gets", async () => {
  const { fanOut } = fanOutTo(0, ({ data }) => (typeof data === "string" ? data : data.fill(7)));
  await fanOut.apply(batch(0, []));
  const [again] = await fanOut.replay(batch(0, [encodePayload(new Uint8Array([1, 2]))]), 1);
  const changed = new Uint8Array([7, 7]);
  expect(again?.frame).toBe(encodeMessages(0, 1, [{ seq: 1, payload: encodePayload(changed) }]));
});

test.each([
  ["nothing", undefined, "undefined"],
  ["a number", 0, "number"],
  ["a plain object", { data: "a" }, "object (Object)"],
  ["an array", ["a"], "object (Array)"],
  ["an object without a prototype", Object.create(null) as unknown, "object"],
  ["false", false, "boolean"],
])(
  "RC6 a hook that returns %s, at once or later, loses that message alone",
  async (_, wrong, what) => {
    const { fanOut, sockets, errors } = fanOutTo(1, ({ data }) => {
      if (data === "b") return wrong as never;
      return data === "c" ? Promise.resolve(wrong as never) : data;
    });
    expect(await fanOut.apply(batch(0, ["a", "b", "c", "d"]))).toBe("applied");
    expect(sockets[0]?.sent).toEqual(["a", "d"]);
    const error = `TypeError: onBroadcast must return text, bytes or null, not ${what}`;
    expect(errors.map(String)).toEqual([error, error]);
    expect(fanOut.position?.seq).toBe(4);
  },
);

test("LK5 of a batch that is sent again, only what is lacking reaches the clients", () => {
  const { fanOut, sockets } = fanOutTo(1);
  void fanOut.apply(batch(0, ["a", "b"]));
  expect(fanOut.apply(batch(0, ["a", "b"]))).toBe("applied");
  expect(fanOut.apply(batch(1, ["b", "c"]))).toBe("applied");
  expect(sockets[0]?.sent).toEqual(["a", "b", "c"]);
});

test("DL3 a batch that does not follow on what the clients have is not applied", () => {
  const { fanOut, sockets } = fanOutTo(1);
  void fanOut.apply(batch(0, ["a"]));
  expect(fanOut.apply(batch(2, ["c"]))).toBe("gap");
  expect([sockets[0]?.sent, fanOut.position?.seq]).toEqual([["a"], 1]);
});

test("DL3 a batch of an earlier life of the room is not applied", () => {
  const { fanOut, sockets } = fanOutTo(1);
  fanOut.advance({ epoch: "e1", seq: 3 });
  expect(fanOut.apply(batch(3, ["a"], { epoch: "e0" }))).toBe("stale");
  expect(sockets[0]?.sent).toEqual([]);
});

test("DL8 a batch of a later life closes the clients, which come back to it", () => {
  const { fanOut, audience, sockets } = fanOutTo(2);
  void fanOut.apply(batch(0, ["a"]));
  expect(fanOut.apply(batch(0, ["x"], { epoch: "e2" }))).toBe("applied");
  for (const { sent, closedWith } of sockets) {
    expect([sent, closedWith]).toEqual([["a"], closeCodes.continuityLost]);
  }
  expect([audience.size, fanOut.position]).toEqual([0, { epoch: "e2", seq: 1 }]);
});

test("DL11 volatile messages reach the clients in their place, also when the rest is known", () => {
  const { fanOut, sockets } = fanOutTo(1);
  void fanOut.apply(batch(0, ["a", "x", "b"], { volatile: [1] }));
  expect(sockets[0]?.sent).toEqual(["a", "x", "b"]);
  void fanOut.apply(batch(0, ["a", "y", "b"], { volatile: [1] }));
  expect(sockets[0]?.sent).toEqual(["a", "x", "b", "y"]);
  expect(fanOut.position?.seq).toBe(2);
});

test("DL3 a position never goes back, also when a slow hook ends after it has moved on", async () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  const { fanOut, sockets } = fanOutTo(1, () => promise);
  const applied = fanOut.apply(batch(0, ["a"]));
  fanOut.advance({ epoch: "e1", seq: 5 });
  resolve("a");
  await applied;
  fanOut.advance({ epoch: "e1", seq: 2 });
  fanOut.advance({ epoch: "e0", seq: 9 });
  expect([fanOut.position, sockets[0]?.sent]).toEqual([{ epoch: "e1", seq: 5 }, []]);
});

/** Ways to send messages 1 to 20: overlapping, repeated, and with gaps. */
const pieces = fc.array(fc.tuple(fc.nat(19), fc.integer({ min: 1, max: 6 })), { maxLength: 40 });

test.each([
  ["without a hook", undefined],
  ["with a hook", (message: BroadcastMessage) => message.data],
  ["with a slow hook", (message: BroadcastMessage) => Promise.resolve(message.data)],
] as const)("DL3, LK5, RC2 %s, clients get every message once and in order", async (_, hook) => {
  await fc.assert(
    fc.asyncProperty(pieces, async (all) => {
      const { fanOut, sockets } = fanOutTo(1, hook);
      fanOut.advance({ epoch: "e1", seq: 0 });
      for (const [after, size] of all) {
        const known = fanOut.position?.seq ?? 0;
        const entries = Array.from({ length: size }, (_each, n) => `${after + 1 + n}`);
        const applied = await fanOut.apply(batch(after, entries));
        expect(applied).toBe(after > known ? "gap" : "applied");
      }
      const seq = fanOut.position?.seq ?? 0;
      expect(sockets[0]?.sent).toEqual(Array.from({ length: seq }, (_each, n) => `${n + 1}`));
    }),
  );
});
