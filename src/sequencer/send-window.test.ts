import fc from "fast-check";
import { expect, test } from "vitest";
import { SendWindow } from "./send-window.ts";

test("LK2 an acknowledgement is cumulative, and one that tells nothing new changes nothing", () => {
  const window = new SendWindow(3);
  for (const through of [4, 5, 6]) window.send(through, 10, 0);
  expect([window.acked, window.sent, window.waitingSince !== null]).toEqual([3, 6, true]);
  expect([window.acknowledge(5), window.acknowledge(5), window.acknowledge(4)]).toEqual([
    true,
    false,
    false,
  ]);
  expect([window.acked, window.waitingSince !== null]).toEqual([5, true]);
  expect([window.acknowledge(6), window.waitingSince !== null]).toEqual([true, false]);
});

test("LK2 the oldest that is not acknowledged tells since when the shard is waited for", () => {
  const window = new SendWindow(0);
  expect(window.waitingSince).toBeNull();
  for (const through of [1, 2, 3]) window.send(through, 10, through * 1_000);
  const since = [0, 2, 2, 3].map((seq) => {
    window.acknowledge(seq);
    return window.waitingSince;
  });
  expect(since).toEqual([1_000, 3_000, 3_000, null]);
  window.send(4, 10, 9_000);
  window.restart(3);
  expect(window.waitingSince).toBeNull();
});

test("LK8 a window is full with a mebi-unit that is not acknowledged", () => {
  const window = new SendWindow(0);
  window.send(1, 1024 * 1024 - 1, 0);
  expect(window.isFull).toBe(false);
  window.send(2, 1, 0);
  expect(window.isFull).toBe(true);
  window.acknowledge(1);
  expect(window.isFull).toBe(false);
});

test("DL11 what has no number is owed no answer", () => {
  const window = new SendWindow(3);
  window.send(3, 1024 * 1024, 0);
  expect([window.waitingSince !== null, window.isFull, window.sent]).toEqual([false, false, 3]);
});

test("LK1 a new link begins with what the shard says it has, be it more or less", () => {
  for (const said of [1, 4, 9]) {
    const window = new SendWindow(3);
    window.send(6, 1024 * 1024, 0);
    window.restart(said);
    expect(window).toMatchObject({ acked: said, sent: said, isFull: false, waitingSince: null });
  }
});

test("LK2 the window is as full as what was sent past the acknowledged", () => {
  const steps = fc.array(
    fc.oneof(fc.record({ send: fc.nat(400_000) }), fc.record({ ack: fc.nat(60) })),
  );
  fc.assert(
    fc.property(steps, (all) => {
      const window = new SendWindow(0);
      const sizes: number[] = [];
      for (const step of all) {
        if ("send" in step) window.send(sizes.push(step.send), step.send, 0);
        else window.acknowledge(Math.min(step.ack, sizes.length));
        const owed = sizes.slice(window.acked);
        expect(window.waitingSince !== null).toBe(owed.length > 0);
        expect(window.isFull).toBe(owed.reduce((sum, size) => sum + size, 0) >= 1024 * 1024);
      }
    }),
  );
});
