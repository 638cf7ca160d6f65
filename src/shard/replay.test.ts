/** What a client is given of a frame that the recent log holds. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { TopicFilters } from "../core/topics.ts";
import { parseServerFrame } from "../protocol/client.ts";
import { splitBatch, type ShardMessage } from "./messages.ts";
import { Replay } from "./replay.ts";

const messages = fc.array(
  fc.record({
    topic: fc.constantFrom(null, "a", "b"),
    data: fc.string({ maxLength: 8 }),
    isDropped: fc.boolean(),
  }),
  { minLength: 1, maxLength: 12 },
);

test("PR2, PR6 a client is given what it wants and lacks of a batch, and the very frame when that is all", () => {
  const filters = fc.subarray(["a", "b", "*"]);
  fc.assert(
    fc.property(messages, filters, fc.nat(12), fc.nat(3), (all, topics, skipped, untold) => {
      const kept: ShardMessage[] = all.flatMap(({ topic, data, isDropped }, index) =>
        isDropped ? [] : [{ seq: 8 + index, topic, data, payload: data }],
      );
      const [batch] = splitBatch(7, 7 + all.length, 3, kept);
      if (batch === undefined) throw new Error("there is no batch");
      const sent = 7 + Math.min(skipped, all.length - 1);
      const client = { sent, told: sent - untold, filters: new TopicFilters(topics) };
      const wanted = kept.filter(({ seq, topic }) => {
        return (seq ?? 0) > sent && client.filters.lets(topic);
      });
      const replay = new Replay();
      // Read once, and then known.
      const [given, again] = [replay.frameFor(batch, client), replay.frameFor(batch, client)];
      expect(again).toEqual(given);
      expect(given?.count ?? 0).toBe(wanted.length);
      const frame = given === null ? null : parseServerFrame(given.frame);
      const value = frame?.ok === true && frame.value.type === "messages" ? frame.value : null;
      const expected = wanted.map(({ data }) => data);
      expect(value?.data ?? []).toEqual(expected);
      const numbers = value?.seq ?? value?.data.map((_, index) => value.after + 1 + index) ?? [];
      expect(numbers).toEqual(wanted.map(({ seq }) => seq));
      const isAll = wanted.length === batch.count && client.told === 7 && given !== null;
      expect(isAll && given.frame !== batch.frame).toBe(false);
    }),
    { numRuns: 500 },
  );
});
