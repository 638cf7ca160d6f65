import { expect, test } from "vitest";
import { lost, type Call } from "../../test/support/fake-calls.ts";
import { FakeSocket } from "../../test/support/fake-socket.ts";
import { ShardRig } from "../../test/support/shard-rig.ts";
import { turns } from "../../test/support/turns.ts";
import type { BroadcastMessage } from "./fan-out.ts";

const types = (calls: readonly Call[]): string[] => calls.map(({ request }) => request.type);

test("AD1 a shard that is full admits nobody, also while others are on their way in", async () => {
  const rig = await ShardRig.start({ capacity: 2 });
  await rig.join();
  const [second, third] = await Promise.all([rig.shard.admit("b"), rig.shard.admit("c")]);
  expect([second, third]).toMatchObject([{ ok: true }, { ok: false, code: "full" }]);
  rig.shard.welcome(new FakeSocket());
  expect([rig.shard.connections, await rig.shard.admit("d")]).toMatchObject([2, { code: "full" }]);
});

test("AD3 a socket that failed on its way in gives its place back", async () => {
  const rig = await ShardRig.start({ capacity: 1 });
  await rig.shard.admit("a");
  expect(await rig.shard.admit("b")).toMatchObject({ ok: false });
  rig.shard.release();
  expect(await rig.shard.admit("b")).toMatchObject({ ok: true });
});

test("AD3 a socket that closes gives its place back, once", async () => {
  const rig = await ShardRig.start({ capacity: 1 });
  const client = await rig.join();
  rig.shard.leave(client);
  rig.shard.leave(client);
  expect(await rig.shard.admit("b")).toMatchObject({ ok: true });
  expect(await rig.shard.admit("c")).toMatchObject({ ok: false, code: "full" });
});

test("AD4 a place that is held is refused to others, and a full shard holds none", async () => {
  const rig = await ShardRig.start({ capacity: 1 });
  const hold = { type: "hold", connection: "a", claim: null, session: null } as const;
  expect(rig.shard.handle(hold)).toEqual({ ok: true, value: null });
  expect(rig.shard.handle({ ...hold, connection: "b" })).toMatchObject({ ok: false, code: "full" });
  expect(await rig.shard.admit("b")).toMatchObject({ code: "full" });
  expect(await rig.shard.admit("a")).toMatchObject({ ok: true });
});

test("SU1 the first client is welcomed only when the sequencer has the shard", async () => {
  const rig = await ShardRig.start();
  await rig.join();
  await rig.join();
  expect(rig.ports.calls.made).toEqual([
    {
      role: "sequencer",
      id: "lobby",
      request: { type: "subscribe", shard: "lobby-1", position: null },
    },
  ]);
});

test("SU1, AD3 a shard that cannot subscribe takes nobody, and keeps no place for them", async () => {
  const rig = await ShardRig.start({ capacity: 1 });
  rig.ports.calls.answer = () => lost;
  expect(await rig.shard.admit("a")).toMatchObject({ ok: false, code: "unavailable" });
  rig.ports.calls.answer = (call) => rig.answer(call);
  expect(await rig.shard.admit("b")).toMatchObject({ ok: true });
});

test("SU2 a shard whose last client has left for five seconds unsubscribes", async () => {
  const rig = await ShardRig.start();
  const [one, other] = [await rig.join(), await rig.join()];
  rig.shard.leave(one);
  await rig.pass(5_000);
  rig.shard.leave(other);
  await rig.pass(4_999);
  expect(rig.ports.calls.of("unsubscribe")).toEqual([]);
  await rig.passToWake();
  expect(rig.ports.calls.of("unsubscribe")).toMatchObject([
    { shard: "lobby-1", subscription: "s1" },
  ]);
});

test("SU2 a client that comes meanwhile keeps the subscription", async () => {
  const rig = await ShardRig.start();
  rig.shard.leave(await rig.join());
  await rig.pass(3_000);
  await rig.join();
  await rig.pass(5_000);
  expect(types(rig.ports.calls.made)).not.toContain("unsubscribe");
});

test("SU2, AD3 a socket that failed on its way into an empty shard leaves no subscription", async () => {
  const rig = await ShardRig.start();
  await rig.shard.admit("a");
  rig.shard.release();
  await rig.pass(5_000);
  expect(rig.ports.calls.of("unsubscribe")).toHaveLength(1);
});

test("SU3 a client that comes while the shard unsubscribes has it subscribe anew", async () => {
  const rig = await ShardRig.start();
  rig.shard.leave(await rig.join());
  await rig.pass(5_000);
  await rig.join();
  const wanted = ["subscribe", "unsubscribe", "subscribe"];
  expect(types(rig.ports.calls.made).filter((type) => type !== "report")).toEqual(wanted);
});

test("SU4 a shard with clients whose link broke subscribes again, and says what it has", async () => {
  const rig = await ShardRig.start();
  await rig.join();
  const link = rig.openLink();
  await rig.batch(link, 0, "a", "b");
  rig.shard.handleLinkClose(link);
  await rig.pass(400);
  expect(rig.ports.calls.of("subscribe").at(-1)).toMatchObject({
    position: { epoch: "e1", seq: 2 },
  });
});

test("SU4 it tries again until it succeeds, or a link is there", async () => {
  const rig = await ShardRig.start();
  await rig.join();
  const link = rig.openLink();
  rig.ports.calls.answer = () => lost;
  rig.shard.handleLinkClose(link);
  for (let n = 0; n < 60; n += 1) await rig.pass(1_000);
  const tried = rig.ports.calls.of("subscribe").length;
  expect(tried).toBeGreaterThan(4);
  rig.openLink();
  for (let n = 0; n < 60; n += 1) await rig.pass(1_000);
  expect(rig.ports.calls.of("subscribe")).toHaveLength(tried);
});

test.each([
  ["that was said goodbye on", true, 1],
  ["of a shard without clients", false, 0],
])("LK3, SU4 a link %s asks for nothing when it ends", async (_what, isBye, clients) => {
  const rig = await ShardRig.start();
  const client = await rig.join();
  const link = rig.openLink();
  if (clients === 0) rig.shard.leave(client);
  if (isBye) await rig.say(link, { type: "bye" });
  rig.shard.handleLinkClose(link);
  await rig.pass(1_000);
  expect(rig.ports.calls.of("subscribe")).toHaveLength(1);
});

test("RG1 the number of clients is reported a second after it changed", async () => {
  const rig = await ShardRig.start();
  await rig.join();
  const client = await rig.join();
  await rig.pass(1_000);
  rig.shard.leave(client);
  await rig.pass(1_000);
  expect(rig.ports.calls.of("report").map(({ connections }) => connections)).toEqual([2, 1]);
  expect(rig.shard.handle({ type: "load" })).toEqual({
    ok: true,
    value: { connections: 1, players: null, reserved: 0, at: rig.ports.clock.now() },
  });
});

test("RG1 a client whose end wakes the shard is counted no more, also where it is listed no more", async () => {
  const rig = await ShardRig.start();
  const stays = await rig.join();
  const leaves = await rig.join();
  await rig.pass(1_000);
  const woken = await rig.sleep([stays]);
  woken.shard.leave(leaves);
  await woken.pass(1_000);
  const counts = () => rig.ports.calls.of("report").map(({ connections }) => connections);
  expect(counts()).toEqual([2, 1]);
  // Sockets that are no clients need no more than one report.
  for (let n = 0; n < 3; n += 1) {
    woken.shard.leave(new FakeSocket());
    await woken.pass(1_000);
  }
  expect(counts()).toEqual([2, 1]);
});

test("RC6 a hook that throws loses that message, is counted, and stops nothing", async () => {
  const rig = await ShardRig.start({
    onBroadcast: ({ data }) => {
      if (data === "b") throw new Error("b");
      return data;
    },
  });
  const client = await rig.join();
  const link = rig.openLink();
  await rig.batch(link, 0, "a", "b", "c");
  await turns();
  expect(client.sent).toEqual(["a", "c"]);
  expect(rig.hookErrors.map(String)).toEqual(["Error: b"]);
  await rig.pass(1_000);
  expect(rig.ports.calls.of("report").at(-1)?.counters).toEqual({ room_hook_errors: 1 });
});

test.each(["at once", "later"])(
  "RC6 so does one whose error the class cannot take either, when it fails %s",
  async (when) => {
    const onBroadcast = ({ data }: BroadcastMessage): string | Promise<string> => {
      if (data !== "b") return "fine";
      if (when === "later") return Promise.reject(new Error("b"));
      throw new Error("b");
    };
    const rig = await ShardRig.start({
      onBroadcast,
      onHookError: () => {
        throw new Error("nor this");
      },
    });
    const client = await rig.join();
    const link = rig.openLink();
    await rig.batch(link, 0, "a", "b", "c");
    await rig.batch(link, 3, "d");
    expect(client.sent).toEqual(["fine", "fine", "fine"]);
  },
);
