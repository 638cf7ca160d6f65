/** What clients that come back are given, from the recent log and from the sequencer's. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { lost, type Answer, type Call } from "../../test/support/fake-calls.ts";
import { ModelClient } from "../../test/support/model-client.ts";
import { epoch, ShardRig } from "../../test/support/shard-rig.ts";
import { turns } from "../../test/support/turns.ts";
import { audienceBounds } from "./audience.ts";

/** The sequencer holds messages 1 to `head`; the shard has just come and knows none of them. */
async function withPast(head: number, options: Parameters<typeof ShardRig.start>[0] = {}) {
  const rig = await ShardRig.start(options);
  for (let n = 1; n <= head; n += 1) rig.remember(`m${n}`);
  return rig;
}

/**
 * Readings of the sequencer wait until they are let go, one after the other: on their way to it, or
 * with the answer already on its way back.
 */
function heldReads(rig: ShardRig, isAnswered = false) {
  const waiting: (() => void)[] = [];
  rig.ports.calls.answer = (call: Call): Answer | Promise<Answer> => {
    if (call.request.type !== "read") return rig.answer(call);
    const answer = rig.answer(call);
    return new Promise((resolve) => {
      waiting.push(() => resolve(isAnswered ? answer : rig.answer(call)));
    });
  };
  const letGo = async (): Promise<void> => {
    waiting.shift()?.();
    await turns();
  };
  return { letGo, waiting };
}

const since = (seq: number, life = epoch) => ({ resume: { epoch: life, seq } });
const numbersOf = (client: ModelClient): number[] =>
  client.received.map((each) => Number(each.split(" ")[0]));
const range = (after: number, through: number): number[] =>
  Array.from({ length: through - after }, (_, n) => after + 1 + n);

test("PR2 a client that comes back gets every later message in order, then the live ones", async () => {
  const rig = await withPast(9);
  const client = await rig.joinProtocol(since(4));
  expect([client.recovered, client.position]).toEqual([true, 9]);
  await rig.batch(rig.openLink(), 9, "m10");
  client.take();
  expect(client.received).toEqual(range(4, 10).map((seq) => `${seq} m${seq}`));
});

test("PR2, PR4 what the shard itself has sent lately is not read again", async () => {
  const rig = await ShardRig.start();
  const first = await rig.joinProtocol();
  await rig.batch(rig.openLink(), 0, "a", "b", "c");
  const back = await rig.joinProtocol(since(1));
  expect([back.recovered, numbersOf(back)]).toEqual([true, [2, 3]]);
  first.take();
  expect(numbersOf(first)).toEqual([1, 2, 3]);
  expect(rig.ports.calls.of("read")).toEqual([]);
});

test("PR4 a shard reads once what a thousand clients lack that come back at once", async () => {
  const rig = await withPast(50, { capacity: 2_000 });
  const clients = await Promise.all(
    Array.from({ length: 1_000 }, (_, n) => rig.joinProtocol(since(10 + (n % 40)))),
  );
  for (const [n, client] of clients.entries()) {
    expect([client.recovered, numbersOf(client)]).toEqual([true, range(10 + (n % 40), 50)]);
  }
  expect(rig.ports.calls.of("read").length).toBeLessThanOrEqual(2);
});

test("PR2, PR4 who asks for more than a reading brings waits for the next, all of them", async () => {
  const rig = await withPast(50);
  const reads = heldReads(rig);
  const first = rig.joinProtocol(since(40));
  await turns();
  const others = [
    rig.joinProtocol(since(5)),
    rig.joinProtocol(since(20)),
    rig.joinProtocol(since(45)),
  ];
  await turns();
  await reads.letGo();
  await turns();
  await reads.letGo();
  const clients = await Promise.all([first, ...others]);
  expect(clients.map((client) => [client.recovered, numbersOf(client)])).toEqual(
    [40, 5, 20, 45].map((seq) => [true, range(seq, 50)]),
  );
  expect(rig.ports.calls.of("read").map(({ position }) => position?.seq)).toEqual([40, 5]);
});

test("PR2 messages that come while the past is read follow it without a gap", async () => {
  const rig = await withPast(6);
  const reads = heldReads(rig);
  const live = await rig.joinProtocol();
  const link = rig.openLink();
  const joining = rig.joinProtocol(since(2));
  await turns();
  await rig.batch(link, 6, "m7");
  await rig.batch(link, 7, "m8", "m9");
  await reads.letGo();
  const client = await joining;
  await rig.batch(link, 9, "m10");
  for (const each of [client, live]) each.take();
  expect([numbersOf(client), numbersOf(live)]).toEqual([range(2, 10), range(6, 10)]);
});

test("PR2 the shard keeps what follows on the past while that is on its way, however old it grows", async () => {
  const rig = await withPast(6);
  const reads = heldReads(rig, true);
  await rig.join();
  const link = rig.openLink();
  const joining = rig.joinProtocol(since(2));
  await turns();
  await rig.batch(link, 6, "m7");
  rig.ports.clock.advance(301_000);
  await rig.batch(link, 7, "m8");
  await reads.letGo();
  const client = await joining;
  expect([client.recovered, numbersOf(client)]).toEqual([true, range(2, 8)]);
});

/** A client that came back to message 2 of 6 was let in, and a hundred large messages have come since. */
async function letIn(read: boolean, meanwhile: (rig: ShardRig) => Promise<void> = async () => {}) {
  const small = { minUnits: 64 * 1024, maxUnits: 64 * 1024, sharedUnits: 0 };
  const options = { bounds: { ...audienceBounds, window: small } };
  const rig = read ? await withPast(6, options) : await ShardRig.start(options);
  await rig.join();
  const link = rig.openLink();
  if (!read) await rig.batch(link, 0, ...range(0, 6).map((n) => `m${n}`));
  const model = new ModelClient(
    "back",
    { speaksProtocol: true, topics: [], ...since(2) },
    small.maxUnits,
  );
  expect(await rig.shard.admit("back", model.request)).toMatchObject({ ok: true });
  await meanwhile(rig);
  for (let n = 6; n < 106; n += 1) await rig.batch(link, n, "x".repeat(10_000));
  rig.shard.welcome(model.socket, "back", model.request);
  model.take();
  return { rig, link, model };
}

test.each([
  ["found in the recent log", false],
  ["read from the sequencer", true],
])(
  "PR2 what was %s is kept until the client is welcomed, and as long as it lags",
  async (...row) => {
    const { rig, link, model } = await letIn(row[1]);
    expect([model.recovered, rig.ports.calls.of("read").length]).toEqual([true, row[1] ? 1 : 0]);
    for (let seq = 0; seq < model.position;) {
      seq = model.position;
      model.acknowledged(seq);
      rig.receive(model, { type: "ack", seq });
    }
    await rig.batch(link, 106, "last");
    model.take();
    expect(numbersOf(model)).toEqual(range(2, 107));
    // Nobody needs it now: another one that comes back has it read.
    await rig.joinProtocol(since(3));
    expect(rig.ports.calls.of("read")).toHaveLength(row[1] ? 2 : 1);
  },
);

test("PR2 nothing is kept for a client that was let in and does not come within ten seconds", async () => {
  const { model } = await letIn(false, (rig) => rig.pass(10_000));
  expect([model.recovered, model.position]).toEqual([false, 106]);
});

test("PR3 what is older than the room's history is not given, though the shard still has it", async () => {
  const rig = await ShardRig.start({ history: { seconds: 60 } });
  await rig.join();
  const link = rig.openLink();
  await rig.batch(link, 0, "a", "b");
  await rig.pass(59_999);
  expect((await rig.joinProtocol(since(1))).recovered).toBe(true);
  await rig.pass(1);
  rig.head = 2;
  const late = await rig.joinProtocol(since(1));
  expect([late.recovered, late.position]).toEqual([false, 2]);
  expect(rig.ports.calls.of("read")).toHaveLength(1);
});

test.each([
  ["history that is gone", since(2)],
  ["another life of the room", since(7, "e0")],
  ["a number past the last message", since(99)],
])("PR3 %s means recovered: false and the room's position", async (_what, request) => {
  const rig = await withPast(9);
  rig.log = [];
  rig.remember("m10");
  const client = await rig.joinProtocol(request);
  expect([client.recovered, client.place, client.received]).toEqual([
    false,
    { epoch, seq: 10 },
    [],
  ]);
});

test("PR3 a new client is at the room's position, and nothing after it is missing", async () => {
  const rig = await withPast(9);
  const client = await rig.joinProtocol();
  expect([client.recovered, client.position]).toEqual([false, 9]);
  await rig.batch(rig.openLink(), 7, "m8", "m9", "m10");
  client.take();
  expect(numbersOf(client)).toEqual([10]);
});

test("PR2, PR3 history that is trimmed while it is read gives no part of it", async () => {
  const rig = await withPast(6);
  const reads = heldReads(rig);
  const joining = rig.joinProtocol(since(2));
  await turns();
  rig.log = rig.log.slice(4);
  await reads.letGo();
  const client = await joining;
  expect([client.recovered, client.position, client.received]).toEqual([false, 6, []]);
});

test("PR2 a client is not taken in when the sequencer cannot be asked what it lacks", async () => {
  const rig = await withPast(9);
  await rig.join();
  rig.ports.calls.answer = (call) => (call.request.type === "read" ? lost : rig.answer(call));
  const request = { speaksProtocol: true, topics: [], ...since(2) };
  expect(await rig.shard.admit("back", request)).toMatchObject({ ok: false, code: "unavailable" });
  rig.ports.calls.answer = (call) => rig.answer(call);
  expect((await rig.joinProtocol(since(2))).recovered).toBe(true);
});

test("PR2 a client that was further on another shard waits until this one has come there", async () => {
  const rig = await ShardRig.start();
  await rig.join();
  const link = rig.openLink();
  rig.remember("m1", "m2", "m3");
  const joining = rig.joinProtocol(since(2));
  await turns();
  await rig.batch(link, 0, "m1");
  await rig.batch(link, 1, "m2", "m3");
  const client = await joining;
  expect([client.recovered, numbersOf(client)]).toEqual([true, [3]]);
});

test("PR2 it waits no longer than five seconds, and is then told that it is not where it was", async () => {
  const rig = await ShardRig.start();
  await rig.join();
  await rig.pass(1_000);
  rig.remember("m1", "m2", "m3");
  const joining = rig.joinProtocol(since(2));
  await turns();
  expect(rig.ports.wakeups.at).toBe(rig.ports.clock.now() + 5_000);
  for (let n = 0; n < 8 && rig.ports.wakeups.at !== null; n += 1) await rig.passToWake();
  const client = await joining;
  expect([client.recovered, client.position]).toEqual([false, 0]);
});

test("PR2, PR6, RC2 a hook that takes its time is asked again for the past, and the order holds", async () => {
  const asked: string[] = [];
  const rig = await withPast(4, {
    onBroadcast: async ({ data, seq, isReplay }) => {
      await turns();
      asked.push(`${seq} ${isReplay}`);
      return data === "m3" ? null : `<${String(data)}>`;
    },
  });
  const joining = rig.joinProtocol(since(1));
  await turns();
  const link = rig.openLink();
  const batch = rig.batch(link, 4, "m5");
  const client = await joining;
  await batch;
  client.take();
  expect(client.received).toEqual(["2 <m2>", "4 <m4>", "5 <m5>"]);
  expect(client.recovered).toBe(true);
  expect(asked.filter((each) => each.endsWith("false"))).toEqual(["5 false"]);
});

test("PR3, PR13 a room that begins anew while its past is read gives nothing of the former life", async () => {
  const hook = Promise.withResolvers<string>();
  const rig = await withPast(4, {
    onBroadcast: ({ isReplay, data }) => (isReplay ? hook.promise : data),
  });
  const live = await rig.joinProtocol();
  const link = rig.openLink();
  const joining = rig.joinProtocol(since(1));
  await turns();
  await rig.say(link, { type: "reset", epoch: "e2", seq: 4 });
  hook.resolve("old");
  const client = await joining;
  const back = await rig.joinProtocol(since(3, "e2"));
  live.take();
  expect([client.recovered, client.place]).toEqual([false, { epoch: "e2", seq: 4 }]);
  expect([back.recovered, back.received]).toEqual([false, []]);
  expect(live.place).toEqual({ epoch: "e2", seq: 4 });
});

test("PR2 a room class that sends for itself has nothing that could be sent again", async () => {
  const rig = await withPast(4, { canReplay: false, onBroadcast: () => null });
  const behind = await rig.joinProtocol(since(2));
  const current = await rig.joinProtocol(since(4));
  expect([behind.recovered, current.recovered]).toEqual([false, true]);
  expect(rig.ports.calls.of("read")).toEqual([]);
});

test("PR2, PR6 resume respects topics, and the first frame follows on where the client was", async () => {
  const rig = await ShardRig.start();
  const topics = [null, "a", "b", "b:x", "a"];
  const entries = topics.map((_, n) => `m${n + 1}`);
  for (const [index, topic] of topics.entries()) {
    const numbers = { after: index, through: index + 1, at: rig.ports.clock.now() };
    const entry = { entries: [entries[index] ?? ""], topics: [topic] };
    rig.log.push({ type: "batch", epoch, ...numbers, ...entry });
  }
  rig.head = topics.length;
  const client = await rig.joinProtocol({ ...since(1), topics: ["b:*"] });
  expect([client.recovered, client.received, client.position]).toEqual([true, ["4 m4"], 5]);
});

/** Clients of random places, messages and links that come in between, readings that take turns. */
const joins = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ what: fc.constant("join" as const), seq: fc.nat(34) }) },
    { weight: 3, arbitrary: fc.record({ what: fc.constant("publish" as const), seq: fc.nat(3) }) },
    {
      weight: 2,
      arbitrary: fc.record({ what: fc.constant("letGo" as const), seq: fc.constant(0) }),
    },
    { weight: 1, arbitrary: fc.record({ what: fc.constant("trim" as const), seq: fc.nat(30) }) },
  ),
  { maxLength: 30 },
);

test("PR2, PR3, PR4 whatever comes meanwhile, a client gets all that follows or is told its place", async () => {
  await fc.assert(
    fc.asyncProperty(joins, async (steps) => {
      const rig = await ShardRig.start();
      for (let n = 1; n <= 30; n += 1) rig.remember(`m${n}`);
      await rig.join();
      const link = rig.openLink();
      const reads = heldReads(rig);
      const joining: Promise<readonly [number, ModelClient]>[] = [];
      let trimmed = 0;
      for (const { what, seq } of steps) {
        if (what === "join") {
          joining.push(rig.joinProtocol(since(seq)).then((client) => [seq, client]));
        } else if (what === "publish") {
          const after = rig.head;
          rig.remember(...range(after, after + 1 + seq).map((each) => `m${each}`));
          await rig.batch(link, after, ...range(after, rig.head).map((each) => `m${each}`));
        } else if (what === "trim") {
          trimmed = Math.max(trimmed, seq);
          rig.log = rig.log.filter(({ after }) => after >= trimmed);
        } else {
          await reads.letGo();
        }
        await turns();
      }
      while (reads.waiting.length > 0) await reads.letGo();
      const after = rig.head;
      const clients = await Promise.all(joining);
      await rig.batch(link, after, "last");
      for (const [seq, client] of clients) {
        client.take();
        const numbers = numbersOf(client);
        const first = client.recovered === true ? seq : after + 1 - numbers.length;
        expect(numbers).toEqual(range(first, after + 1));
        expect(client.position).toBe(after + 1);
        // Whatever the log held throughout is given.
        const isHeld = trimmed <= seq && seq <= 30;
        expect(isHeld && client.recovered === false).toBe(false);
      }
    }),
    { numRuns: 150 },
  );
});
