/** Clients of protocol 1 on one shard: what they say, what they are answered, what outlives memory. */
import { expect, test } from "vitest";
import { lost, type Answer } from "../../test/support/fake-calls.ts";
import { FakeSocket } from "../../test/support/fake-socket.ts";
import { epoch, ShardRig } from "../../test/support/shard-rig.ts";
import { turns } from "../../test/support/turns.ts";
import { closeCodes } from "../protocol/close-codes.ts";
import { problemDocument } from "../protocol/problems.ts";
import { audienceBounds } from "./audience.ts";

const rowsOf = (rig: ShardRig): string[] =>
  [...rig.ports.storage.rows.keys()].filter((key) => key.startsWith("client/"));

test("PR1 welcome is the first frame, and says who and where the client is", async () => {
  const rig = await ShardRig.start();
  rig.head = 4;
  const client = await rig.joinProtocol({}, "me");
  const place = { epoch, seq: 4, recovered: false };
  expect(client.socket.frames).toEqual([
    { type: "welcome", protocol: 1, connection: "me", shard: "lobby-1", ...place },
  ]);
});

test("PR5 a batch is one frame, encoded once for all, and a lone message leaves at once", async () => {
  const rig = await ShardRig.start();
  const [one, other, plain] = [
    await rig.joinProtocol(),
    await rig.joinProtocol(),
    await rig.join(),
  ];
  const link = rig.openLink();
  void rig.batch(link, 0, "a", "b");
  void rig.batch(link, 2, "c");
  for (const { socket } of [one, other]) {
    expect(socket.frames.slice(1)).toEqual([
      { type: "messages", after: 0, through: 2, data: ["a", "b"] },
      { type: "messages", after: 2, through: 3, data: ["c"] },
    ]);
  }
  expect(one.socket.sent[1]).toBe(other.socket.sent[1]);
  expect(plain.sent).toEqual(["a", "b", "c"]);
});

test("PR6 topics are changed at any time, and count from then on", async () => {
  const rig = await ShardRig.start();
  const client = await rig.joinProtocol({ topics: ["a"] });
  const link = rig.openLink();
  const numbers = { epoch, at: rig.ports.clock.now() };
  const frame = { type: "batch", ...numbers, entries: ["1", "2", "3"], topics: ["a", "b:x", null] };
  await rig.say(link, { ...frame, type: "batch", after: 0, through: 3 });
  rig.receive(client, { type: "subscribe", topics: ["b:*"] });
  await rig.say(link, { ...frame, type: "batch", after: 3, through: 6 });
  client.take();
  expect(client.received).toEqual(["1 1", "3 3", "5 2", "6 3"]);
});

test("PR9 send reaches the room class as it was meant, and nothing else does", async () => {
  const rig = await ShardRig.start();
  const client = await rig.joinProtocol();
  expect(rig.receive(client, { type: "send", data: "hello" })).toBe("hello");
  expect(rig.receive(client, { type: "send", data: { base64: "AP8=" } })).toEqual(
    new Uint8Array([0, 255]),
  );
  expect(rig.receive(client, { type: "subscribe", topics: [] })).toBeNull();
  expect(rig.receive(client, { type: "ack", seq: 0 })).toBeNull();
});

test("PR10 ping is answered pong", async () => {
  const rig = await ShardRig.start();
  const client = await rig.joinProtocol();
  expect(rig.receive(client, "ping")).toBeNull();
  expect(client.pongs).toEqual(["pong"]);
});

test.each([
  ["no JSON", "{"],
  ["a frame of the server", '{"type":"local","data":"a"}'],
  ["an unknown type", '{"type":"shout"}'],
  ["an unknown type in letters of three bytes", `{"type":"${"語".repeat(200)}"}`],
  ["bytes", new Uint8Array([123, 125])],
  ["an acknowledgement of what was never sent", '{"type":"ack","seq":3}'],
  ["too many topics", JSON.stringify({ type: "subscribe", topics: Array(101).fill("a") })],
])("PR11 %s closes that socket alone with 4500", async (_what, message) => {
  const rig = await ShardRig.start();
  const [client, other] = [await rig.joinProtocol(), await rig.joinProtocol()];
  const link = rig.openLink();
  await rig.batch(link, 0, "a", "b");
  const reasons: string[] = [];
  client.socket.close = (code, reason) => {
    reasons.push(reason);
    client.socket.closedWith = code;
  };
  expect(rig.receive(client, message)).toBeNull();
  expect(client.socket.closedWith).toBe(closeCodes.malformedFrame);
  // The platform throws when a reason has more bytes, and would leave the socket open.
  const bytes = new TextEncoder().encode(reasons[0]).length;
  expect([reasons.length, bytes > 0 && bytes <= 123]).toEqual([1, true]);
  await rig.batch(link, 2, "c");
  other.take();
  expect([other.received.length, other.socket.closedWith, link.closedWith]).toEqual([
    3,
    null,
    null,
  ]);
  await rig.pass(1_000);
  expect(rig.ports.calls.of("report").at(-1)?.counters).toEqual({ malformed_client_frames: 1 });
});

test("PR11 a frame longer than any of the protocol closes the socket with 4500, unread", async () => {
  const rig = await ShardRig.start({ maxMessageBytes: 10 });
  const longest = 6 * 10 + 16 * 1024;
  const frame = JSON.stringify({ type: "send", data: "hello" });
  const client = await rig.joinProtocol();
  expect(rig.receive(client, frame.padEnd(longest))).toBe("hello");
  expect(client.socket.closedWith).toBeNull();
  expect(rig.receive(client, frame.padEnd(longest + 1))).toBeNull();
  expect(client.socket.closedWith).toBe(closeCodes.malformedFrame);
});

test.each([
  ["ten bytes", "0123456789", true],
  ["eleven bytes", "0123456789a", false],
  ["four letters of three bytes", "語語語語", false],
])("PR9, PR11 what is sent to the room class is bounded as a message is: %s", async (...row) => {
  const [, data, isTaken] = row;
  const rig = await ShardRig.start({ maxMessageBytes: 10 });
  const client = await rig.joinProtocol();
  expect(rig.receive(client, { type: "send", data })).toBe(isTaken ? data : null);
  expect(client.socket.closedWith).toBe(isTaken ? null : closeCodes.malformedFrame);
});

test("PR12 volatile messages come in a frame of their own, without a number", async () => {
  const rig = await ShardRig.start();
  const client = await rig.joinProtocol();
  const link = rig.openLink();
  const numbers = { epoch, after: 0, through: 1, at: rig.ports.clock.now() };
  await rig.say(link, { type: "batch", ...numbers, entries: ["x", "a", "y"], volatile: [0, 2] });
  client.take();
  expect([client.received, client.volatile, client.position]).toEqual([["1 a"], ["x", "y"], 1]);
});

test("PR13 reset tells every client where it goes on, and what follows has no gap", async () => {
  const rig = await ShardRig.start();
  const clients = [await rig.joinProtocol(), await rig.joinProtocol(), await rig.join()] as const;
  const link = rig.openLink();
  await rig.batch(link, 0, ...Array.from({ length: 9 }, (_, n) => `m${n}`));
  await rig.say(link, { type: "reset", epoch: "e2", seq: 3 });
  const numbers = { epoch: "e2", after: 3, through: 4, at: rig.ports.clock.now() };
  await rig.say(link, { type: "batch", ...numbers, entries: ["new"] });
  for (const client of clients.slice(0, 2)) {
    if (client instanceof FakeSocket) continue;
    client.take();
    expect(client.others).toEqual([
      { type: "reset", epoch: "e2", seq: 3, reason: "messages were lost" },
    ]);
    expect([client.place, client.received.at(-1)]).toEqual([{ epoch: "e2", seq: 4 }, "4 new"]);
  }
  expect(clients[2].closedWith).toBe(closeCodes.continuityLost);
});

const publish = { type: "publish", id: "p1", data: "hello" } as const;

/** A shard whose sequencer takes writes by call. */
async function publishing(answer: Answer, options: Parameters<typeof ShardRig.start>[0] = {}) {
  const rig = await ShardRig.start({ publishOverSocket: true, ...options });
  rig.ports.calls.answer = (call) => (call.request.type === "publish" ? answer : rig.answer(call));
  return { rig, client: await rig.joinProtocol() };
}
const taken: Answer = { ok: true, value: { epoch, first: 7, seq: 7, shards: {} } };

test("PR8 publish is answered by published with the place", async () => {
  const { rig, client } = await publishing(taken);
  expect(rig.receive(client, { ...publish, topic: "a" })).toBeNull();
  await turns();
  client.take();
  expect(client.others).toEqual([{ type: "published", id: "p1", epoch, seq: 7 }]);
  expect(rig.ports.calls.of("publish")).toMatchObject([
    { messages: ["hello"], key: "p1", topic: "a", volatile: false },
  ]);
});

test.each([
  ["idempotency-key-reused", "idempotency-key-reused"],
  ["overloaded", "overloaded"],
  ["unreachable", "unavailable"],
] as const)(
  "PR8 a write that is refused as %s is answered rejected with %s",
  async (code, problem) => {
    const { rig, client } = await publishing({ ok: false, code, detail: "why" });
    rig.receive(client, publish);
    await turns();
    client.take();
    expect(client.others).toEqual([
      { type: "rejected", id: "p1", problem: problemDocument(problem, "why") },
    ]);
  },
);

test("PR8 of one client at most 64 publishes wait; the next is rejected as overloaded", async () => {
  const { rig, client } = await publishing(taken);
  const other = await rig.joinProtocol();
  const link = rig.openLink();
  for (let n = 1; n <= 65; n += 1) {
    rig.receive(client, { type: "publish", id: `~me:${n}`, data: "" });
  }
  await turns();
  client.take();
  const overloaded = { type: "urn:partyshard:problem:overloaded", status: 503 };
  expect(client.others).toMatchObject([{ type: "rejected", id: "~me:65", problem: overloaded }]);
  rig.receive(other, { type: "publish", id: "~other:1", data: "" });
  await turns();
  other.take();
  expect(other.others).toEqual([]);
  // One answer makes room for one more.
  const [write] = (link.frames.at(-1) as { writes: { id: number }[] }).writes;
  await rig.say(link, { type: "results", epoch, results: [{ id: write?.id ?? -1, seq: 1 }] });
  await turns();
  for (const n of [66, 67]) rig.receive(client, { type: "publish", id: `~me:${n}`, data: "" });
  await turns();
  client.take();
  expect(client.others.slice(1)).toMatchObject([
    { type: "published", id: "~me:1", epoch, seq: 1 },
    { type: "rejected", id: "~me:67", problem: overloaded },
  ]);
});

test("PR8 of a connection one name is numbered; whatever else it uses is remembered in one place", async () => {
  const { rig } = await publishing(taken);
  const client = await rig.joinProtocol({}, "me");
  for (const id of ["own:7", "~mine:1", "~other:1", "own:8", "~mine:2"]) {
    rig.receive(client, { type: "publish", id, data: "" });
    await turns();
  }
  const series = rig.ports.calls.of("publish").map((call) => call.series);
  expect(series).toEqual(["~me", "mine", "~me", "~me", "mine"]);
});

test("PR8 a publish that is repeated before its answer counts once, and has one answer", async () => {
  const { rig, client } = await publishing(taken);
  const link = rig.openLink();
  for (let n = 0; n < 100; n += 1) rig.receive(client, publish);
  for (let n = 1; n <= 63; n += 1) rig.receive(client, { ...publish, id: `~me:${n}` });
  await turns();
  client.take();
  expect(client.others).toEqual([]);
  const [write] = (link.frames.at(-1) as { writes: { id: number }[] }).writes;
  await rig.say(link, { type: "results", epoch, results: [{ id: write?.id ?? -1, seq: 7 }] });
  client.take();
  expect(client.others).toEqual([{ type: "published", id: "p1", epoch, seq: 7 }]);
  // The next frame holds the others, each once.
  expect(link.frames.at(-1)).toHaveProperty("writes.length", 63);
  // After its answer it is a write like any other, for the room to know again.
  rig.receive(client, publish);
  const [first] = (link.frames.at(-1) as { writes: { id: number }[] }).writes;
  const results = Array.from({ length: 63 }, (_, n) => ({ id: (first?.id ?? 0) + n, seq: 8 + n }));
  await rig.say(link, { type: "results", epoch, results });
  expect(link.frames.at(-1)).toMatchObject({ writes: [{ key: "p1" }] });
});

test("PR8, PR15 a publish whose shard slept before the answer is repeated to the shard as it woke", async () => {
  const { rig, client } = await publishing(taken);
  const link = rig.openLink();
  rig.receive(client, publish);
  expect(link.frames.at(-1)).toMatchObject({ writes: [{ key: "p1" }] });
  const woken = await rig.sleep([client]);
  woken.ports.calls.answer = (call) =>
    call.request.type === "publish" ? taken : woken.answer(call);
  woken.receive(client, publish);
  await turns();
  client.take();
  expect(client.others).toEqual([{ type: "published", id: "p1", epoch, seq: 7 }]);
});

test("PR8 where the room type does not allow it, publish is rejected and goes nowhere", async () => {
  const { rig, client } = await publishing(taken, { publishOverSocket: false });
  rig.receive(client, publish);
  await turns();
  client.take();
  const problem = { type: "urn:partyshard:problem:publish-not-allowed", status: 403 };
  expect(client.others).toMatchObject([{ type: "rejected", id: "p1", problem }]);
  expect([rig.ports.calls.of("publish"), client.socket.closedWith]).toEqual([[], null]);
});

test.each([
  ["ten bytes", "0123456789", true],
  ["eleven bytes", "0123456789a", false],
  ["four letters of three bytes", "語語語語", false],
  ["nine bytes that are not text", { base64: "AAAAAAAAAAAA" }, true],
  ["twelve of them", { base64: "AAAAAAAAAAAAAAAA" }, false],
  ["ten of them, padded", { base64: "AAAAAAAAAAAAAA==" }, true],
])("PR8 the bound of a message is in bytes: %s", async (_what, data, isTaken) => {
  const { rig, client } = await publishing(taken, { maxMessageBytes: 10 });
  rig.receive(client, { type: "publish", id: "p1", data });
  await turns();
  client.take();
  expect(client.others[0]?.type).toBe(isTaken ? "published" : "rejected");
});

test("PR15 a client keeps its topics and its place when its shard sleeps", async () => {
  const rig = await ShardRig.start();
  const client = await rig.joinProtocol({ topics: ["a"] });
  const other = await rig.joinProtocol({ topics: ["a"] });
  const link = rig.openLink();
  const say = (to: ShardRig, after: number, ...topics: string[]): Promise<void> => {
    const numbers = { epoch, after, through: after + topics.length, at: to.ports.clock.now() };
    return to.say(link, { type: "batch", ...numbers, entries: topics, topics });
  };
  await say(rig, 0, "a", "b");
  rig.receive(other, { type: "subscribe", topics: ["b"] });
  await say(rig, 2, "b");
  const woken = await rig.sleep([client, other], [link]);
  await say(woken, 3, "b", "a");
  woken.receive(client, { type: "ack", seq: 5 });
  for (const each of [client, other]) each.take();
  expect(client.received).toEqual(["1 a", "5 a"]);
  expect(other.received).toEqual(["1 a", "3 b", "4 b"]);
  // What was left out while nobody remembered how far a client had been told is no gap.
  await say(woken, 5, ...Array.from({ length: 600 }, () => "c"));
  woken.receive(client, { type: "subscribe", topics: ["c"] });
  await say(woken, 605, "c");
  client.take();
  expect([client.received.at(-1), client.socket.closedWith]).toEqual(["606 c", null]);
});

test("PR15 a client whose shard woke by the end of its link may acknowledge what it was sent", async () => {
  const rig = await ShardRig.start();
  const client = await rig.joinProtocol();
  const link = rig.openLink();
  await rig.batch(link, 0, "a", "b", "c");
  const woken = await rig.sleep([client]);
  // Whichever of the two events comes first.
  woken.receive(client, { type: "ack", seq: 2 });
  woken.shard.handleLinkClose(link);
  woken.receive(client, { type: "ack", seq: 3 });
  await woken.batch(woken.openLink(), 3, "d");
  client.take();
  expect([client.socket.closedWith, client.received.at(-1)]).toEqual([null, "4 d"]);
  woken.receive(client, { type: "ack", seq: 9 });
  expect(client.socket.closedWith).toBe(closeCodes.malformedFrame);
});

test("PR1, PR15 who was welcomed before that end was known has missed messages, and comes back", async () => {
  const rig = await ShardRig.start();
  const client = await rig.joinProtocol();
  const link = rig.openLink();
  await rig.batch(link, 0, "a", "b", "c");
  const woken = await rig.sleep([client]);
  const early = await woken.joinProtocol();
  expect(early.position).toBe(0);
  woken.shard.handleLinkClose(link);
  expect([early.socket.closedWith, client.socket.closedWith]).toEqual([closeCodes.tooSlow, null]);
});

/** A client that has been sent more than its window and says nothing. */
async function stalled(name: string, options: Parameters<typeof ShardRig.start>[0] = {}) {
  const rig = await ShardRig.start(options);
  const client = await rig.joinProtocol({ topics: ["a"] }, name);
  const link = rig.openLink();
  const large = "x".repeat(1024 * 1024);
  await rig.batch(link, 0, large);
  await rig.batch(link, 1, "b");
  return { rig, client, link };
}

test("PR7 a client that does not acknowledge is closed with 4005 after 30 seconds, and gone", async () => {
  const { rig, client } = await stalled("slow");
  await rig.pass(29_999);
  client.take();
  expect([client.position, client.socket.closedWith]).toEqual([1, null]);
  await rig.pass(1);
  expect([client.socket.closedWith, rig.shard.connections]).toEqual([closeCodes.tooSlow, 0]);
  // Nobody is left: the shard reports that and unsubscribes, as when clients leave by themselves.
  await rig.pass(5_000);
  expect(rig.ports.calls.of("report").at(-1)?.connections).toBe(0);
  expect(rig.ports.calls.of("unsubscribe")).toHaveLength(1);
});

test("PR7 others notice nothing of it, and it goes on from the log when it acknowledges", async () => {
  const { rig, client, link } = await stalled("slow");
  const other = await rig.joinProtocol();
  await rig.batch(link, 2, "c");
  for (const each of [client, other]) each.take();
  expect([client.position, other.position]).toEqual([1, 3]);
  client.acknowledged(1);
  rig.receive(client, { type: "ack", seq: 1 });
  expect(client.received.slice(1)).toEqual(["2 b", "3 c"]);
  await rig.pass(60_000);
  expect(client.socket.closedWith).toBeNull();
});

test("PR7 neither new topics nor empty acknowledgements open a full window", async () => {
  const { rig, client, link } = await stalled("slow");
  rig.receive(client, { type: "ack", seq: 0 });
  await rig.pass(20_000);
  rig.receive(client, { type: "subscribe", topics: ["a", "b"] });
  await rig.batch(link, 2, "c");
  client.take();
  expect(client.position).toBe(1);
  await rig.pass(10_000);
  expect(client.socket.closedWith).toBe(closeCodes.tooSlow);
});

test("PR7, PR15 a shard does not sleep while a client lags, and writes nothing of it", async () => {
  const { rig } = await stalled("slow");
  await rig.pass(1_000);
  const at = rig.ports.wakeups.at ?? Infinity;
  expect(at).toBeLessThanOrEqual(rig.ports.clock.now() + 29_000);
  expect(rowsOf(rig)).toEqual([]);
});

test("PR7 the clients of a shard share its window, each at least 64 Ki of it", async () => {
  for (const [clients, units] of [
    [16, 1024 * 1024],
    [64, 256 * 1024],
    [300, 64 * 1024],
  ] as const) {
    const rig = await ShardRig.start({ capacity: 1_000 });
    const all = [];
    for (let n = 0; n < clients; n += 1) all.push(await rig.joinProtocol());
    const link = rig.openLink();
    const large = "x".repeat(30_000);
    for (let n = 0; n < 40; n += 1) await rig.batch(link, n, large);
    for (const { socket } of all) {
      const sent = socket.sent.slice(1).reduce((sum, frame) => sum + frame.length, 0);
      expect(sent).toBeGreaterThanOrEqual(units);
      expect(sent).toBeLessThan(units + 31_000);
    }
  }
});

test("PR7, PR9 what the room class sends counts, and closes a client that lets two windows pile up", async () => {
  const rig = await ShardRig.start();
  const [slow, other] = [await rig.joinProtocol(), await rig.joinProtocol()];
  const large = "x".repeat(256 * 1024);
  for (let n = 0; n < 8; n += 1) {
    rig.shard.sendLocal(slow.socket, large);
    rig.shard.sendLocal(other.socket, new Uint8Array([0, 255]));
  }
  expect([slow.socket.closedWith, slow.socket.sent.length]).toEqual([null, 9]);
  // A message finds the window full, and waits.
  const link = rig.openLink();
  await rig.batch(link, 0, "a");
  await rig.batch(link, 1, "b");
  slow.take();
  expect([slow.position, slow.others.length]).toEqual([1, 8]);
  rig.receive(slow, { type: "ack", seq: 1 });
  expect(slow.received).toEqual(["1 a", "2 b"]);
  for (let n = 0; n < 9; n += 1) rig.shard.sendLocal(slow.socket, large);
  expect([slow.socket.closedWith, rig.shard.connections]).toEqual([closeCodes.tooSlow, 1]);
  rig.shard.sendLocal(slow.socket, "too late");
  other.take();
  expect(other.others).toHaveLength(8);
  await rig.pass(1_000);
  expect(rig.ports.calls.of("report").at(-1)?.counters).toMatchObject({
    stalled_clients_closed: 1,
  });
});

test("PR7, PR8 so does a client that publishes and reads no answers", async () => {
  const rig = await ShardRig.start({ publishOverSocket: false });
  const client = await rig.joinProtocol();
  const id = "i".repeat(255);
  const frame = { type: "publish", id, data: "a" } as const;
  for (let n = 0; n < 10_000 && client.socket.closedWith === null; n += 1) {
    const speaker = rig.shard.protocolClient(client.socket);
    if (speaker === undefined) break;
    rig.shard.receive(speaker, JSON.stringify(frame));
    await turns();
  }
  const sent = client.socket.sent.reduce((sum, each) => sum + each.length, 0);
  expect([client.socket.closedWith, sent < 2.1 * 1024 * 1024]).toEqual([closeCodes.tooSlow, true]);
});

test("PR15 rows of clients that left while the shard slept are deleted, and mislead nobody", async () => {
  const rig = await ShardRig.start();
  const client = await rig.joinProtocol({ topics: ["a"] }, "me");
  rig.receive(client, { type: "subscribe", topics: ["b"] });
  expect(rowsOf(rig)).toEqual(["client/me"]);
  const woken = await rig.sleep([]);
  await turns();
  expect(rowsOf(woken)).toEqual([]);
  const other = await rig.sleep([await rig.join()]);
  await turns();
  expect(rowsOf(other)).toEqual([]);
});

test("PR13 an acknowledgement that was on its way when continuity was lost closes nobody", async () => {
  const rig = await ShardRig.start();
  const client = await rig.joinProtocol();
  const link = rig.openLink();
  await rig.batch(link, 0, "a", "b");
  await rig.say(link, { type: "reset", epoch: "e2", seq: 0 });
  rig.receive(client, { type: "ack", seq: 2 });
  expect(client.socket.closedWith).toBeNull();
  rig.receive(client, { type: "ack", seq: 3 });
  expect(client.socket.closedWith).toBe(closeCodes.malformedFrame);
});

test("PR15 the row of a client that is back is not deleted when its former socket closes", async () => {
  const rig = await ShardRig.start();
  const former = await rig.joinProtocol({ topics: ["a"] }, "me");
  rig.receive(former, { type: "subscribe", topics: ["b"] });
  const back = await rig.joinProtocol({ topics: ["a"] }, "me");
  rig.receive(back, { type: "subscribe", topics: ["c"] });
  rig.shard.leave(former.socket);
  expect(rig.ports.storage.rows.get("client/me")).toEqual({ topics: ["c"] });
  rig.shard.leave(back.socket);
  expect(rowsOf(rig)).toEqual([]);
});

test("PR15 a client that is back never has the topics of its former socket", async () => {
  const rig = await ShardRig.start();
  const former = await rig.joinProtocol({ topics: ["a"] }, "me");
  rig.receive(former, { type: "subscribe", topics: ["b"] });
  const back = await rig.joinProtocol({ topics: ["a"] }, "me");
  const woken = await rig.sleep([back]);
  await turns();
  expect([back.socket.closedWith, woken.shard.connections]).toEqual([closeCodes.tooSlow, 0]);
});

test("PR15 an upgrade that was given up and comes late takes no topics from the client that is back", async () => {
  const rig = await ShardRig.start();
  const client = await rig.joinProtocol({ topics: ["a"] }, "me");
  rig.receive(client, { type: "subscribe", topics: ["b"] });
  const late = await rig.joinProtocol({ topics: ["a"] }, "me");
  rig.shard.leave(late.socket);
  expect(rig.ports.storage.rows.get("client/me")).toEqual({ topics: ["b"] });
});

test("PR15 two sockets of one connection come again when nobody knows whose topics were changed", async () => {
  const rig = await ShardRig.start();
  const one = await rig.joinProtocol({ topics: ["a"] }, "me");
  const other = await rig.joinProtocol({ topics: ["a"] }, "me");
  rig.receive(one, { type: "subscribe", topics: ["b"] });
  const woken = await rig.sleep([one, other]);
  await turns();
  const codes = [one.socket.closedWith, other.socket.closedWith];
  expect(codes).toEqual([closeCodes.tooSlow, closeCodes.tooSlow]);
  expect([woken.shard.connections, rowsOf(woken)]).toEqual([0, []]);
});

test("PR2 a client is refused while the sequencer cannot say what it lacks, and keeps no place", async () => {
  const rig = await ShardRig.start({ capacity: 1 });
  rig.ports.calls.answer = (call) => (call.request.type === "read" ? lost : rig.answer(call));
  rig.head = 5;
  const request = { speaksProtocol: true, topics: [], resume: { epoch, seq: 2 } };
  expect(await rig.shard.admit("a", request)).toMatchObject({ code: "unavailable" });
  expect(await rig.shard.admit("b")).toMatchObject({ ok: true });
});

test("PR7, PR15 a client that is closed as it changes its topics leaves no row", async () => {
  const recent = { units: 64 * 1024, backlogUnits: 64 * 1024 };
  const bounds = { ...audienceBounds, recent };
  const rig = await ShardRig.start({ bounds });
  const client = await rig.joinProtocol();
  const link = rig.openLink();
  for (let seq = 0; seq < 30; seq += 1) await rig.batch(link, seq, "x".repeat(64 * 1024));
  rig.receive(client, { type: "subscribe", topics: ["a"] });
  expect(client.socket.closedWith).toBe(closeCodes.tooSlow);
  expect(rowsOf(rig)).toEqual([]);
});
