import { expect, test } from "vitest";
import { FakeClock } from "../../test/support/fake-clock.ts";
import { FakeEntropy } from "../../test/support/fake-entropy.ts";
import { turns } from "../../test/support/turns.ts";
import type { RegistryEventBody } from "../protocol/registry.ts";
import type { Result } from "../protocol/result.ts";
import { EventLog, type EventBatch } from "./event-log.ts";

type Answer = Result<{ readonly isHeard: boolean }>;
const heard: Answer = { ok: true, value: { isHeard: true } };
const unheard: Answer = { ok: true, value: { isHeard: false } };
const lost: Answer = { ok: false, code: "unreachable", detail: "" };

class LogRig {
  readonly clock = new FakeClock();
  readonly batches: (EventBatch & { readonly at: number })[] = [];
  answer: () => Answer | Promise<Answer> = () => heard;
  readonly log: EventLog;

  constructor() {
    const { clock } = this;
    this.log = new EventLog({
      clock,
      entropy: new FakeEntropy(),
      wakeAt: () => {},
      toHub: async (batch) => {
        this.batches.push({ ...batch, at: clock.now() });
        return this.answer();
      },
    });
  }

  emit(...names: readonly (string | number)[]): void {
    for (const name of names) this.log.emit({ type: "server:online", serverId: String(name) });
  }

  async pass(ms: number): Promise<void> {
    const end = this.clock.now() + ms;
    for (;;) {
      const next = this.log.nextDeadline();
      if (next === null || next > end) break;
      this.clock.advance(Math.max(0, next - this.clock.now()));
      this.log.wake(this.clock.now());
      await turns();
    }
    this.clock.advance(end - this.clock.now());
  }

  /** The servers that the events name, batch by batch. */
  get sent(): string[][] {
    return this.batches.map(({ events }) =>
      events.map((event) => ("serverId" in event ? event.serverId : "")),
    );
  }
}

test("EV3 the first event leaves at once, those that follow together a tenth of a second later", async () => {
  const rig = new LogRig();
  const start = rig.clock.now();
  rig.emit("a");
  await rig.pass(0);
  rig.emit("b");
  await rig.pass(50);
  rig.emit("c");
  await rig.pass(50);
  expect(rig.sent).toEqual([["a"], ["b", "c"]]);
  expect(rig.batches.map(({ at }) => at - start)).toEqual([0, 100]);
  expect(rig.batches[1]?.events.map(({ at }) => at - start)).toEqual([0, 50]);
  expect(rig.log.nextDeadline()).toBeNull();
});

test("EV3 one batch is under way at a time, and holds 250 events at most", async () => {
  const rig = new LogRig();
  const answer = Promise.withResolvers<Answer>();
  rig.answer = () => answer.promise;
  rig.emit("a");
  await rig.pass(0);
  rig.emit(...Array.from({ length: 300 }, (_, index) => index));
  await rig.pass(1_000);
  expect(rig.batches).toHaveLength(1);
  rig.answer = () => heard;
  answer.resolve(heard);
  await turns();
  await rig.pass(100);
  expect(rig.batches.map(({ events }) => events.length)).toEqual([1, 250, 50]);
});

test("EV3 a batch whose answer was lost is sent again as it was, before what came later", async () => {
  const rig = new LogRig();
  rig.answer = () => lost;
  rig.emit("a");
  await rig.pass(0);
  rig.emit("b");
  await rig.pass(20_000);
  const failed = rig.batches.length;
  expect(failed).toBeGreaterThan(2);
  expect(failed).toBeLessThan(40);
  rig.answer = () => heard;
  await rig.pass(11_000);
  expect(new Set(rig.batches.slice(0, -1).map(({ id }) => id)).size).toBe(1);
  expect(rig.sent.slice(-2)).toEqual([["a"], ["b"]]);
  expect(rig.batches.at(-1)?.id).not.toBe(rig.batches[0]?.id);
});

test("EV3 the newest 1,000 are kept, and the others counted", async () => {
  const rig = new LogRig();
  rig.answer = () => lost;
  rig.emit("first");
  await rig.pass(0);
  rig.emit(...Array.from({ length: 1_500 }, (_, index) => index));
  rig.answer = () => heard;
  await rig.pass(20_000);
  expect(rig.sent.flat().slice(-999)).toEqual(
    Array.from({ length: 999 }, (_, index) => String(501 + index)),
  );
  expect(rig.batches.map((batch) => batch.lost).filter((count) => count > 0)).toEqual([501]);
});

const large = (roomId: string): RegistryEventBody => {
  const metadata = { map: "x".repeat(16_000) };
  return { type: "room:updated", roomId, isLocked: false, metadata };
};

test("EV3 large events count for more: fewer are kept, and fewer leave at a time", async () => {
  const rig = new LogRig();
  rig.answer = () => lost;
  rig.emit("first");
  await rig.pass(0);
  // Each counts for four.
  for (let index = 0; index < 400; index += 1) rig.log.emit(large(String(index)));
  rig.answer = () => heard;
  await rig.pass(20_000);
  const later = rig.batches.slice(-5);
  expect(later.map(({ events }) => events.length)).toEqual([62, 62, 62, 62, 1]);
  expect(later.map((batch) => batch.lost)).toEqual([151, 0, 0, 0, 0]);
  const rooms = later.flatMap(({ events }) =>
    events.map((event) => "roomId" in event && event.roomId),
  );
  expect(rooms).toEqual(Array.from({ length: 249 }, (_, index) => String(151 + index)));
});

test("EV4 a partition that is told of a subscriber sends again, whatever it is answered meanwhile", async () => {
  const rig = new LogRig();
  const answered = Promise.withResolvers<typeof unheard>();
  rig.answer = () => answered.promise;
  rig.emit("a");
  await rig.pass(0);
  rig.log.heard();
  answered.resolve(unheard);
  await turns();
  rig.emit("b");
  rig.answer = () => unheard;
  await rig.pass(100);
  rig.emit("c");
  rig.log.heard();
  rig.answer = () => heard;
  rig.emit("d");
  await rig.pass(100);
  expect(rig.sent).toEqual([["a"], ["b"], ["d"]]);
});

test("EV4 nothing is kept or sent for five seconds after the hub said that nobody listens", async () => {
  const rig = new LogRig();
  rig.answer = () => unheard;
  rig.emit("a");
  await rig.pass(0);
  rig.emit("b");
  expect(rig.log.nextDeadline()).toBeNull();
  await rig.pass(4_999);
  rig.emit("c");
  expect(rig.log.nextDeadline()).toBeNull();
  await rig.pass(1);
  rig.answer = () => heard;
  rig.emit("d");
  await rig.pass(100);
  rig.emit("e");
  await rig.pass(100);
  expect(rig.sent).toEqual([["a"], ["d"], ["e"]]);
  expect(rig.batches.every((batch) => batch.lost === 0)).toBe(true);
});
