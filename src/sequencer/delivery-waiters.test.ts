import { expect, test } from "vitest";
import { DeliveryWaiters } from "./delivery-waiters.ts";

/** Waiters of a room with two shards, which have got so far. */
function waitersOf(acked: [number, number]) {
  const waiters = new DeliveryWaiters({
    count: (seq) => {
      const delivered = acked.filter((each) => each >= seq).length;
      return { delivered, pending: acked.length - delivered };
    },
    lowest: () => Math.min(...acked),
  });
  return { acked, waiters };
}

test("HT2 a publisher waits until the last shard has the message", async () => {
  const { acked, waiters } = waitersOf([3, 2]);
  const order: string[] = [];
  const waiting = [3, 4].map(async (seq) => {
    const count = await waiters.wait(seq, 0).count;
    order.push(`${seq}: ${count.delivered} and ${count.pending}`);
  });
  acked[1] = 3;
  waiters.check();
  acked[0] = 4;
  waiters.check();
  acked[1] = 4;
  waiters.check();
  await Promise.all(waiting);
  expect(order).toEqual(["3: 2 and 0", "4: 2 and 0"]);
});

test("HT2 what all have already is not waited for", async () => {
  const { waiters } = waitersOf([5, 5]);
  expect(await waiters.wait(5, 0).count).toEqual({ delivered: 2, pending: 0 });
  expect(waiters.nextDeadline()).toBeNull();
});

test("HT2 after five seconds the answer says what is still pending", async () => {
  const { waiters } = waitersOf([5, 2]);
  const { count, until } = waiters.wait(5, 1_000);
  const later = waiters.wait(5, 2_000);
  expect([until, waiters.nextDeadline()]).toEqual([6_000, 6_000]);
  waiters.expire(5_999);
  expect(waiters.nextDeadline()).toBe(6_000);
  waiters.expire(6_000);
  expect(await count).toEqual({ delivered: 1, pending: 1 });
  expect(waiters.nextDeadline()).toBe(later.until);
});

test("HT2 an acknowledgement costs no look at every shard for each publisher who waits", async () => {
  let looks = 0;
  let lowest = 5;
  const look = <Value>(value: Value): Value => {
    looks += 1;
    return value;
  };
  const waiters = new DeliveryWaiters({
    count: (seq) => look({ delivered: 1, pending: seq > lowest ? 1 : 0 }),
    lowest: () => look(lowest),
  });
  const counts = [8, 7, 6, 9].map((seq) => waiters.wait(seq, 0).count);
  looks = 0;
  waiters.check();
  expect(looks).toBe(1);
  lowest = 8;
  waiters.check();
  expect(looks).toBe(3);
  expect(await Promise.all(counts.slice(0, 3))).toEqual(
    Array.from({ length: 3 }, () => ({ delivered: 1, pending: 0 })),
  );
  waiters.finish();
  expect(await counts[3]).toEqual({ delivered: 1, pending: 1 });
});
