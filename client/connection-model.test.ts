/// <reference types="node" />
/** The client's state machine under random schedules; `model-room.ts` says what must hold. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { ModelRoom } from "../test/support/model-room.ts";

const runs = Number(process.env["SIM_RUNS"] ?? 3_000);
const seed = process.env["SIM_SEED"];

const times = fc.nat(12);
const commands = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("accept"), times }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant("come back"), times }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant("deliver"), times }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("write"), times }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("write on a topic"), times }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("pass"), times }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("publish"), times }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("answer"), times }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("cut"), times }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("repeat"), times }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("flood"), times }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("lose a frame"), times }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("lose an answer"), times }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("fall silent"), times }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("garble"), times }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("rebirth"), times }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("redirect"), times }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("reconnect"), times }) },
);
type Command = typeof commands extends fc.Arbitrary<infer Value> ? Value : never;

function perform(world: ModelRoom, { do: what, times: count }: Command): void {
  world.draw(count / 13);
  switch (what) {
    case "accept":
      return world.accept(count);
    case "come back":
      return world.comeBack(count);
    case "deliver":
      return world.deliver(count);
    case "write":
      return world.write(count, undefined);
    case "write on a topic":
      return world.write(count, count % 2 === 0 ? "a" : "b");
    case "pass":
      return world.pass(4 ** count / 100);
    case "publish":
      return world.publish();
    case "answer":
      return world.answerPost(
        (["ok", "never arrived", "answer lost", "busy"] as const)[count % 4] ?? "ok",
      );
    case "cut":
      return world.cut(([1006, 1012, 4000, 4001] as const)[count % 4] ?? 1006);
    case "repeat":
      return world.repeat(count);
    case "lose a frame":
      return world.loseFrame("messages");
    case "lose an answer":
      return world.loseFrame("published");
    case "flood":
      return world.flood(count % 4);
    case "fall silent":
      return world.fallSilent();
    case "garble":
      return world.garble(["{", "[]", '{"type":"messages"}'][count % 3] ?? "");
    case "rebirth":
      return world.rebirth(count % 2 === 0, count);
    case "redirect":
      return world.redirect();
    case "reconnect":
      return world.reconnect();
  }
}

test("CL2, CL3, CL4, CL5, CL10, CL12 whatever happens, the client has handed over exactly the room's messages, or told that it could not", () => {
  const total = { delivered: 0, resets: 0, resumes: 0, posts: 0 };
  fc.assert(
    fc.property(
      fc.constantFrom("http" as const, "socket" as const),
      fc.subarray(["a"]),
      fc.integer({ min: 1, max: 40 }),
      fc.array(commands, { maxLength: 80, size: "max" }),
      (publish, topics, history, script) => {
        const world = new ModelRoom(publish, topics, history);
        for (const command of script) perform(world, command);
        world.heal();
        total.delivered += world.delivered;
        total.resets += world.resets;
        total.resumes += world.resumes;
        total.posts += world.posts;
      },
    ),
    { numRuns: runs, ...(seed === undefined ? {} : { seed: Number(seed) }) },
  );
  // The model did happen.
  expect(total.delivered).toBeGreaterThan(runs * 3);
  expect(total.resets).toBeGreaterThan(runs / 5);
  expect(total.resumes).toBeGreaterThan(runs / 5);
  expect(total.posts).toBeGreaterThan(runs / 5);
}, 60_000);
