import { expect, test } from "vitest";
import { FakeCalls, lost, type Answer, type Call } from "../../test/support/fake-calls.ts";
import { turns } from "../../test/support/turns.ts";
import type { ShardId } from "../protocol/names.ts";
import { Subscription } from "./subscription.ts";

/** A subscription whose calls wait until the test answers them. */
function subscriptionOf() {
  const waiting: { call: Call; answer: (answer: Answer) => void }[] = [];
  const calls = new FakeCalls((call) => {
    const { promise, resolve } = Promise.withResolvers<Answer>();
    waiting.push({ call, answer: resolve });
    return promise;
  });
  const order: string[] = [];
  const subscription = new Subscription(
    "lobby:1-2" as ShardId,
    calls,
    ({ seq }) => order.push(`subscribed at ${seq}`),
    () => order.push("fenced"),
  );
  const answer = async (given: Answer): Promise<void> => {
    waiting.shift()?.answer(given);
    await turns();
  };
  return { subscription, calls, order, answer, waiting };
}

const subscribed = (id: string, seq = 0): Answer => {
  return { ok: true, value: { epoch: "e", seq, subscription: id } };
};

test("SU1 whoever waits goes on only after the sequencer has answered, and once for all", async () => {
  const { subscription, calls, order, answer } = subscriptionOf();
  const waiting = ["a", "b", "c"].map(async (name) => {
    await subscription.ensure();
    order.push(name);
  });
  await turns();
  expect([order, calls.made.length]).toEqual([[], 1]);
  expect(calls.made[0]).toMatchObject({ role: "sequencer", id: "lobby:1" });
  await answer(subscribed("s1", 4));
  await Promise.all(waiting);
  expect(order).toEqual(["subscribed at 4", "a", "b", "c"]);
  expect([subscription.id, subscription.isNone]).toEqual(["s1", false]);
  expect(await subscription.ensure()).toEqual({ ok: true, value: null });
});

test("SU1 a call whose answer was lost is made once more, and then the client is told", async () => {
  const { subscription, calls, answer } = subscriptionOf();
  const ensured = subscription.ensure();
  await answer(lost);
  await answer(lost);
  expect(await ensured).toMatchObject({ ok: false });
  expect([calls.made.length, subscription.isNone]).toEqual([2, true]);
});

test("SU1 an overloaded sequencer is not asked again", async () => {
  const { subscription, calls, answer } = subscriptionOf();
  const ensured = subscription.ensure();
  await answer({ ok: false, code: "overloaded", detail: "" });
  expect(await ensured).toMatchObject({ ok: false, code: "overloaded" });
  expect(calls.made).toHaveLength(1);
});

test("SU3 an end names the subscription that it ends, and a new one waits for it", async () => {
  const { subscription, calls, answer } = subscriptionOf();
  void subscription.ensure();
  await answer(subscribed("s1"));
  subscription.end();
  const ensured = subscription.ensure();
  await turns();
  expect(calls.made.map(({ request }) => request.type)).toEqual(["subscribe", "unsubscribe"]);
  expect(calls.of("unsubscribe")[0]?.subscription).toBe("s1");
  await answer(lost);
  await answer(subscribed("s2"));
  expect((await ensured).ok).toBe(true);
  expect(subscription.id).toBe("s2");
});

test("SU2 without a subscription there is nothing to end", async () => {
  const { subscription, calls } = subscriptionOf();
  subscription.end();
  await turns();
  expect(calls.made).toEqual([]);
});

test("SU4 a renewal says what the shard has, and its subscription takes the former's place", async () => {
  const { subscription, calls, answer, order } = subscriptionOf();
  subscription.restore("s1");
  const position = { epoch: "e", seq: 3 };
  const renewed = subscription.renew(position);
  await answer(subscribed("s2", 5));
  expect([await renewed, subscription.id, order]).toEqual([true, "s2", ["subscribed at 5"]]);
  expect(calls.of("subscribe")).toEqual([{ type: "subscribe", shard: "lobby:1-2", position }]);
});

test("SU4 a renewal that failed leaves the subscription as it was", async () => {
  const { subscription, answer } = subscriptionOf();
  subscription.restore("s1");
  const renewed = subscription.renew(null);
  await answer(lost);
  expect([await renewed, subscription.id]).toEqual([false, "s1"]);
});

const fenced: Answer = { ok: false, code: "fenced", detail: "" };

test("GD5 whoever waits is refused after it is known that the shard is fenced", async () => {
  const { subscription, calls, order, answer } = subscriptionOf();
  void subscription.ensure().then((result) => order.push(result.ok ? "subscribed" : result.code));
  await answer(fenced);
  expect([order, calls.made.length]).toEqual([["fenced", "fenced"], 1]);
});

test("GD5 a renewal tells a shard that it is fenced", async () => {
  const { subscription, order, answer } = subscriptionOf();
  subscription.restore("s1");
  const renewed = subscription.renew({ epoch: "e", seq: 1 });
  await answer(fenced);
  expect([await renewed, order]).toEqual([false, ["fenced"]]);
});
