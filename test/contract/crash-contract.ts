/**
 * A deployment whose whole process is killed while it is at work, and started again on its storage:
 * what its clients and publishers are promised holds all the same.
 */
import * as v from "valibot";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { Crowd, type Place } from "../support/crowd.ts";
import { lastingPort } from "../support/partykit-dev.ts";
import { PersistentPublishers, publisherOf } from "../support/persistent-publishers.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

type RunningProcess = {
  /** Every process at once, by SIGKILL; resolves when they have ended. */
  readonly kill: () => Promise<void>;
  readonly stop: () => Promise<void>;
};

/** Starts the test app on this port with the storage below `directory`, whoever wrote it. */
type StartProcess = (port: number, directory: string) => Promise<RunningProcess>;

const listeners = 300;
const kinds = { overHttp: 5, overSocket: 3, careless: 2 };
/** Messages that everyone hears between two crashes. */
const stretch = 100;
const pageSize = 1_000;

const pageSchema = v.object({
  epoch: v.string(),
  through: v.number(),
  recovered: v.literal(true),
  messages: v.array(v.object({ seq: v.number(), data: v.string() })),
});

/** `prepare` runs once, and says how a process is started. */
export function describeCrashes(name: string, prepare: () => Promise<StartProcess>): void {
  const storage = temporaryDirectory();
  let running: RunningProcess | undefined;
  let start: StartProcess | undefined;
  let port = 0;

  /** Resolves once it answers again; `meanwhile` runs while it is down. */
  const restart = async (meanwhile = (): void => {}): Promise<void> => {
    await running?.kill();
    meanwhile();
    running = await start?.(port, storage.path);
  };

  beforeAll(async () => {
    start = await prepare();
    port = await lastingPort();
    await restart();
  });

  afterAll(async () => {
    await running?.stop();
    storage.remove();
  });

  describe(`${name} whose process is killed`, () => {
    test("CR1, CR2, CR3 nothing is lost and nothing comes twice", async () => {
      const place: Place = { port, room: `crowd:${crypto.randomUUID()}` };
      const crowd = new Crowd(place, listeners);
      onTestFinished(() => crowd.leave());
      await crowd.welcomes(listeners);
      const publishers = new PersistentPublishers(place, kinds);
      onTestFinished(() => publishers.leave());
      const goOn = async (): Promise<void> => {
        await crowd.hears(crowd.most + stretch);
        // On the way to all others, and its publisher may not know yet.
        await crowd.hearsNews();
      };
      await goOn();
      await restart(() => crowd.forgetWelcomes());
      await crowd.welcomes(listeners / 2);
      // While half of the clients are on their way back.
      await restart(() => crowd.forgetWelcomes());
      await crowd.welcomes(listeners);
      await goOn();
      await restart(() => crowd.forgetWelcomes());
      await goOn();
      await publishers.stop();

      const { epoch, order } = await readLog(place);
      await crowd.hears(order.length);
      expect(crowd.faults(order)).toEqual([]);
      expect(new Set(order).size).toBe(order.length);
      expectAnswersHold(publishers, epoch, order);
      const total = order.reduce((sum, text) => sum + Number(text), 0);
      expect(await crowd.sums()).toEqual(new Set([`${total} of ${order.length}`]));
    });
  });
}

/** Every answer names the place where the number is; those who insist have all theirs, in order. */
function expectAnswersHold(
  { answers, repeated, lost }: PersistentPublishers,
  epoch: string,
  order: readonly string[],
): void {
  const broken = answers.filter(
    (each) => each.epoch !== epoch || order[each.seq - 1] !== each.text,
  );
  expect(broken).toEqual([]);
  const answered = new Set(answers.map(({ text }) => text));
  const others = order.filter((text) => !answered.has(text));
  expect(others.filter((text) => !lost.includes(text))).toEqual([]);
  // Each crash met them while they waited for an answer.
  expect(repeated.size).toBeGreaterThan(0);
  expect(lost.length).toBeGreaterThan(0);
  const byPublisher = Map.groupBy(order, publisherOf);
  for (const numbers of byPublisher.values()) {
    expect(numbers).toEqual(numbers.toSorted((one, other) => Number(one) - Number(other)));
  }
}

/** The room's whole log, page by page. */
async function readLog({ port, room }: Place): Promise<{ epoch: string; order: string[] }> {
  const url = `http://127.0.0.1:${port}/parties/router/${room}/messages`;
  const order: string[] = [];
  for (let epoch = ""; ;) {
    const query = epoch === "" ? "" : `epoch=${epoch}&since=${order.length}`;
    const response = await fetch(`${url}?${query}&limit=${pageSize}`);
    const page = v.parse(pageSchema, await response.json());
    epoch = page.epoch;
    for (const { seq, data } of page.messages) {
      order.push(data);
      expect(seq).toBe(order.length);
    }
    if (page.messages.length === 0) return { epoch, order };
  }
}
