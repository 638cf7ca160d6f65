import { expect, test } from "vitest";
import { turns } from "../../test/support/turns.ts";
import { SharedQuestion } from "./shared-question.ts";

/** A question that the test answers, each time with how often it was asked. */
function questionOf() {
  const asked: PromiseWithResolvers<number>[] = [];
  const question = new SharedQuestion(() => {
    const answer = Promise.withResolvers<number>();
    asked.push(answer);
    return answer.promise;
  });
  return { asked, question };
}

test("HT5 all who ask while others wait for an answer share the next one", async () => {
  const { asked, question } = questionOf();
  const first = question.ask();
  const others = Array.from({ length: 100 }, () => question.ask());
  await turns();
  expect(asked).toHaveLength(1);
  asked[0]?.resolve(1);
  expect(await first).toBe(1);
  await turns();
  expect(asked).toHaveLength(2);
  asked[1]?.resolve(2);
  expect(new Set(await Promise.all(others))).toEqual(new Set([2]));
});

test("HT5 nobody gets an answer to a question that was asked before his", async () => {
  const { asked, question } = questionOf();
  const answers: Promise<number>[] = [];
  for (let round = 0; round < 20; round += 1) {
    answers.push(question.ask());
    await turns();
    asked.at(-1)?.resolve(asked.length);
    answers.push(question.ask());
    await turns();
    asked.at(-1)?.resolve(asked.length);
    await turns();
  }
  expect(await Promise.all(answers)).toEqual(answers.map((_, index) => index + 1));
});

test("HT5 a question that fails is asked anew for those who came later", async () => {
  const { asked, question } = questionOf();
  const failing = question.ask();
  const later = question.ask();
  asked[0]?.reject(new Error("gone"));
  await expect(failing).rejects.toThrow("gone");
  await turns();
  asked[1]?.resolve(2);
  expect(await later).toBe(2);
  const last = question.ask();
  asked[2]?.resolve(3);
  expect(await last).toBe(3);
});
