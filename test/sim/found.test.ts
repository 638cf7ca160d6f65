/**
 * Schedules in which the simulator found a bug, kept since. They repeat exactly what happened as long
 * as the roles draw on chance in the same way; the rule itself has a test beside the role.
 */
import { expect, test } from "vitest";
import { simulate } from "./simulate.ts";

test("DL3 a hook at work when everybody leaves sends nothing to those who come later", async () => {
  await expect(
    simulate({
      options: {
        seed: 0,
        shards: 4,
        capacity: 1000,
        history: { messages: 1000, seconds: 300 },
        host: "workers",
        gates: 1,
        maxTextUnits: 60000,
        hook: "throwing",
        rates: {
          lostRequest: 0,
          lostReply: 0,
          repeated: 0,
          late: 0,
          slow: 0,
          refusedDial: 0,
          brokenLink: 0,
        },
      },
      actions: [
        { action: { type: "status" }, gapMs: 0 },
        { action: { type: "publish", kind: "plain", padding: 0 }, gapMs: 20 },
        { action: { type: "connect", count: 2 }, gapMs: 0 },
        { action: { type: "crash-at-write", object: 0, keep: "all" }, gapMs: 20 },
        { action: { type: "burst", count: 11 }, gapMs: 0 },
        { action: { type: "crash", object: 0, keep: "none" }, gapMs: 300 },
      ],
    }),
  ).resolves.toBeDefined();
});

test("DL3 what a slow hook sent after its link broke is not sent again once the shard has slept", async () => {
  await expect(
    simulate({
      options: {
        seed: 0,
        shards: 4,
        capacity: 1000,
        history: { messages: 1000, seconds: 300 },
        host: "workers",
        gates: 1,
        maxTextUnits: 60000,
        hook: "async",
        rates: {
          lostRequest: 0,
          lostReply: 0,
          repeated: 0.1,
          late: 0.1,
          slow: 0,
          refusedDial: 0,
          brokenLink: 0.1,
        },
      },
      actions: [
        { action: { type: "connect", count: 1 }, gapMs: 0 },
        { action: { type: "crash", object: 0, keep: "none" }, gapMs: 4 },
        { action: { type: "connect", count: 3 }, gapMs: 4 },
        { action: { type: "burst", count: 4 }, gapMs: 0 },
        { action: { type: "publish", kind: "plain", padding: 0 }, gapMs: 4 },
        { action: { type: "burst", count: 2 }, gapMs: 0 },
        { action: { type: "leave", client: 0 }, gapMs: 300 },
        { action: { type: "crash", object: 0, keep: "none" }, gapMs: 0 },
        { action: { type: "publish", kind: "volatile", padding: 0 }, gapMs: 0 },
        { action: { type: "wait", forMs: 6000 }, gapMs: 0 },
        { action: { type: "hibernate", forMs: 0 }, gapMs: 0 },
        { action: { type: "publish", kind: "plain", padding: 0 }, gapMs: 0 },
      ],
    }),
  ).resolves.toBeDefined();
});

test("DL5 a message on a link that the shard has given up outlives the sequencer", async () => {
  await expect(
    simulate({
      options: {
        seed: 1240051603,
        shards: 3,
        capacity: 1000,
        history: { messages: 1000, seconds: 300 },
        host: "workers",
        gates: 1,
        maxTextUnits: 60000,
        hook: "none",
        rates: {
          lostRequest: 0,
          lostReply: 0.1,
          repeated: 0.1,
          late: 0,
          slow: 0.25,
          refusedDial: 0.02,
          brokenLink: 0.1,
        },
      },
      actions: [
        { action: { type: "connect", count: 1 }, gapMs: 0 },
        { action: { type: "publish", kind: "plain", padding: 0 }, gapMs: 0 },
        { action: { type: "connect", count: 1 }, gapMs: 0 },
        { action: { type: "burst", count: 9 }, gapMs: 0 },
        { action: { type: "publish", kind: "delivered", padding: 0 }, gapMs: 4 },
        { action: { type: "evict", object: 0 }, gapMs: 1 },
        { action: { type: "burst", count: 8 }, gapMs: 0 },
        { action: { type: "publish", kind: "plain", padding: 0 }, gapMs: 0 },
        { action: { type: "hibernate", forMs: 11000 }, gapMs: 0 },
        { action: { type: "crash", object: 0, keep: "none" }, gapMs: 0 },
        { action: { type: "wait", forMs: 50 }, gapMs: 0 },
      ],
    }),
  ).resolves.toBeDefined();
});

test("DL4 a refused second use of a key is final, whatever the first use comes to", async () => {
  await expect(
    simulate({
      options: {
        seed: 4,
        shards: 2,
        capacity: 4,
        history: { messages: 1000, seconds: 300 },
        host: "partykit",
        gates: 1,
        maxTextUnits: 60000,
        hook: "none",
        rates: {
          lostRequest: 0.1,
          lostReply: 0.1,
          repeated: 0.1,
          late: 0.25,
          slow: 0.02,
          refusedDial: 0,
          brokenLink: 0.1,
        },
      },
      actions: [
        { action: { type: "crash-at-write", object: 7, keep: "all" }, gapMs: 0 },
        { action: { type: "burst", count: 9 }, gapMs: 0 },
        { action: { type: "connect", count: 2 }, gapMs: 1 },
        { action: { type: "sweep" }, gapMs: 300 },
        { action: { type: "publish", kind: "volatile", padding: 0 }, gapMs: 0 },
        { action: { type: "wait", forMs: 1500 }, gapMs: 0 },
        { action: { type: "hibernate", forMs: 11000 }, gapMs: 0 },
        { action: { type: "connect", count: 1 }, gapMs: 300 },
        { action: { type: "publish", kind: "keyed", padding: 0 }, gapMs: 0 },
        { action: { type: "break-link", link: 0, unnoticedMs: 20000 }, gapMs: 0 },
        { action: { type: "burst", count: 8 }, gapMs: 20 },
        { action: { type: "burst", count: 3 }, gapMs: 0 },
        { action: { type: "publish", kind: "conflict", padding: 0 }, gapMs: 300 },
        { action: { type: "crash", object: 0, keep: "none" }, gapMs: 0 },
      ],
    }),
  ).resolves.toBeDefined();
});
