import fc from "fast-check";
import { expect, test } from "vitest";
import { TopicFilters, TopicIndex } from "./topics.ts";

test.each([
  ["scores", "scores", true],
  ["scores", "scores:a", false],
  ["scores:*", "scores:a", true],
  ["scores:*", "scores:a:b", true],
  ["scores:*", "scores:", true],
  ["scores:*", "scores", false],
  ["scores:*", "scoresx:a", false],
  ["scores:a:*", "scores:ab", false],
  ["*", "scores", true],
  ["*", "a:b:c", true],
])("the filter %s lets the topic %s through: %s", (filter, topic, expected) => {
  expect(new TopicFilters([filter]).lets(topic)).toBe(expected);
});

test("a message without a topic passes every set of filters, the empty one too", () => {
  expect([new TopicFilters([]).lets(null), new TopicFilters(["a"]).lets(null)]).toEqual([
    true,
    true,
  ]);
  expect(new TopicFilters([]).lets("a")).toBe(false);
});

test("equal sets of filters share a name, whatever their order", () => {
  const names = [["a", "b"], ["b", "a", "b"], ["a,b"], ["a"]].map(
    (filters) => new TopicFilters(filters).name,
  );
  expect(names[0]).toBe(names[1]);
  expect(names[3]).not.toBe(names[0]);
  expect([...new TopicFilters(["b", "a", "b"])]).toEqual(["b", "a"]);
});

/** Short topics and filters of few letters, so that they meet often. */
const topics = fc.array(fc.constantFrom("a", "b", "ab"), { minLength: 1, maxLength: 3 });
const topicTexts = topics.map((parts) => parts.join(":"));
const filterTexts = fc.oneof(
  topicTexts,
  topicTexts.map((text) => `${text}:*`),
  fc.constant("*"),
);
const filterSets = fc.array(filterTexts, { maxLength: 4 });

/** What a filter means, said in the plainest way. */
function matches(filter: string, topic: string): boolean {
  return filter === topic || (filter.endsWith("*") && topic.startsWith(filter.slice(0, -1)));
}

test("a set lets through what one of its filters matches, and an index finds just those", () => {
  fc.assert(
    fc.property(
      fc.array(filterSets, { maxLength: 6 }),
      topicTexts,
      fc.nat(5),
      (sets, topic, gone) => {
        const index = new TopicIndex<number>();
        for (const [subscriber, filters] of sets.entries()) index.add(subscriber, filters);
        index.remove(gone, sets[gone] ?? []);
        const wanted = [...sets.entries()].filter(([, filters]) => {
          return filters.some((filter) => matches(filter, topic));
        });
        for (const [, filters] of wanted) expect(new TopicFilters(filters).lets(topic)).toBe(true);
        const found = [...index.find(topic)].toSorted((one, other) => one - other);
        expect(found).toEqual(
          wanted.map(([subscriber]) => subscriber).filter((each) => each !== gone),
        );
      },
    ),
    { numRuns: 1_000 },
  );
});
