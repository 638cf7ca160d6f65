/**
 * Schedules with clients of protocol 1 in which the simulator found a bug, kept since; see
 * `found.test.ts`. The rule itself has a test beside the role.
 */
import { expect, test } from "vitest";
import { simulate } from "./simulate.ts";

test("PR8 a publish that arrives again when its key has been forgotten has no second effect", async () => {
  await expect(
    simulate({
      options: {
        seed: 0,
        shards: 1,
        capacity: 1000,
        history: { messages: 1000, seconds: 300 },
        host: "workers",
        gates: 1,
        maxTextUnits: 60000,
        hook: "none",
        rates: {
          lostRequest: 0,
          lostReply: 0,
          repeated: 0.25,
          late: 0,
          slow: 0,
          refusedDial: 0,
          brokenLink: 0,
        },
        publishOverSocket: true,
      },
      actions: [
        { action: { type: "join", count: 1, topics: "" }, gapMs: 0 },
        { action: { type: "send", client: 0, count: 80, padding: 0, topic: null }, gapMs: 0 },
        { action: { type: "wait", forMs: 50 }, gapMs: 300 },
      ],
    }),
  ).resolves.toBeDefined();
});

test("PR15 an upgrade that was given up and comes late takes no topics from the client that is back", async () => {
  await expect(
    simulate({
      options: {
        seed: 7,
        shards: 1,
        capacity: 1000,
        history: { messages: 1000, seconds: 300 },
        host: "partykit",
        gates: 1,
        maxTextUnits: 60000,
        hook: "none",
        rates: {
          lostRequest: 0.02,
          lostReply: 0,
          repeated: 0.02,
          late: 0.25,
          slow: 0.02,
          refusedDial: 0,
          brokenLink: 0,
        },
        publishOverSocket: true,
      },
      actions: [
        { action: { type: "join", count: 2, topics: "" }, gapMs: 0 },
        { action: { type: "hibernate", forMs: 11000 }, gapMs: 1 },
        { action: { type: "hibernate", forMs: 11000 }, gapMs: 1 },
        { action: { type: "topics", client: 0, topics: "*" }, gapMs: 0 },
        { action: { type: "burst", count: 4, padding: 0, topic: "b:1" }, gapMs: 0 },
        { action: { type: "wait", forMs: 12000 }, gapMs: 0 },
        { action: { type: "evict", object: 10 }, gapMs: 4 },
      ],
    }),
  ).resolves.toBeDefined();
});

test("PR13 a shard that subscribes is not put back to where its former clients were", async () => {
  await expect(
    simulate({
      options: {
        seed: 7,
        shards: 1,
        capacity: 1000,
        history: { messages: 1, seconds: 300 },
        host: "workers",
        gates: 2,
        maxTextUnits: 60000,
        hook: "async",
        rates: {
          lostRequest: 0.25,
          lostReply: 0.1,
          repeated: 0.1,
          late: 0,
          slow: 0,
          refusedDial: 0,
          brokenLink: 0,
        },
        publishOverSocket: true,
      },
      actions: [
        { action: { type: "join", count: 3, topics: "" }, gapMs: 300 },
        { action: { type: "wait", forMs: 12000 }, gapMs: 0 },
        { action: { type: "evict", object: 0 }, gapMs: 0 },
        { action: { type: "evict", object: 4 }, gapMs: 0 },
        { action: { type: "away", client: 2, forMs: 1000 }, gapMs: 0 },
        { action: { type: "publish", kind: "conflict", padding: 0, topic: null }, gapMs: 0 },
        { action: { type: "crash-at-write", object: 5, keep: "none" }, gapMs: 20 },
        { action: { type: "burst", count: 8, padding: 12000, topic: null }, gapMs: 0 },
        { action: { type: "status" }, gapMs: 1 },
        { action: { type: "crash", object: 2, keep: "none" }, gapMs: 20 },
        { action: { type: "crash-at-write", object: 10, keep: "all" }, gapMs: 0 },
        { action: { type: "publish", kind: "binary", padding: 0, topic: "c" }, gapMs: 300 },
        { action: { type: "join", count: 2, topics: "b:*" }, gapMs: 4 },
        { action: { type: "crash", object: 3, keep: "none" }, gapMs: 1 },
        { action: { type: "stall", client: 7, forMs: 5000 }, gapMs: 20 },
      ],
    }),
  ).resolves.toBeDefined();
});
