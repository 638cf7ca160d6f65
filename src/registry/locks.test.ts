import fc from "fast-check";
import { expect, test } from "vitest";
import { FakeClock } from "../../test/support/fake-clock.ts";
import { FakeStorage } from "../../test/support/fake-storage.ts";
import { turns } from "../../test/support/turns.ts";
import { Locks } from "./locks.ts";

class LocksRig {
  readonly clock = new FakeClock();
  storage = new FakeStorage();
  wakeAt: number | null = null;
  #locks: Locks | undefined;

  /** A first life, or the next one on the rows of the last. */
  async start(): Promise<this> {
    await turns();
    this.storage = this.storage.restart();
    const { clock, storage } = this;
    this.#locks = await Locks.start({ clock, storage, wakeAt: (at) => (this.wakeAt = at) });
    return this;
  }

  get locks(): Locks {
    if (this.#locks === undefined) throw new Error("not started");
    return this.#locks;
  }

  lock(key: string, ttlMs = 10_000) {
    return this.locks.lock({ type: "lock", key, ttlMs });
  }

  tokenOf(key: string, ttlMs = 10_000): number {
    const granted = this.lock(key, ttlMs);
    if (!granted.ok) throw new Error(granted.detail);
    return granted.value.token;
  }

  extend(key: string, token: number, ttlMs = 10_000) {
    return this.locks.extend({ type: "extend", key, token, ttlMs });
  }

  release(key: string, token: number) {
    return this.locks.release({ type: "release", key, token });
  }

  wake(): void {
    this.locks.wake(this.clock.now());
  }

  get keys(): string[] {
    return [...this.storage.rows.keys()].filter((row) => row.startsWith("lock/"));
  }
}

test("LO1 a key has one owner until its time is over, and the refusal says when that is", async () => {
  const rig = await new LocksRig().start();
  const now = rig.clock.now();
  const granted = rig.lock("shop", 5_000);
  expect(granted).toEqual({
    ok: true,
    value: { key: "shop", token: now, expiresAt: now + 5_000 },
  });
  rig.clock.advance(4_999);
  expect(rig.lock("shop")).toMatchObject({ ok: false, code: "lock-held", retryAfterMs: 1 });
  expect(rig.lock("bank")).toMatchObject({ ok: true });
  rig.clock.advance(1);
  expect(rig.lock("shop")).toMatchObject({ ok: true });
});

test("LO1 a malformed key is refused, and nothing is kept of it", async () => {
  const rig = await new LocksRig().start();
  for (const key of ["", "a b", "ä", "x".repeat(129)]) {
    expect(rig.lock(key)).toMatchObject({ ok: false, code: "malformed-name" });
  }
  expect(rig.storage.rows.size).toBe(0);
  expect(rig.lock("x".repeat(128))).toMatchObject({ ok: true });
});

test("LO2 the owner extends and releases with its token", async () => {
  const rig = await new LocksRig().start();
  const token = rig.tokenOf("shop", 5_000);
  rig.clock.advance(4_000);
  expect(rig.extend("shop", token, 5_000)).toEqual({
    ok: true,
    value: { key: "shop", token, expiresAt: rig.clock.now() + 5_000 },
  });
  rig.clock.advance(4_000);
  expect(rig.lock("shop")).toMatchObject({ code: "lock-held" });
  expect(rig.release("shop", token)).toEqual({ ok: true, value: null });
  expect(rig.lock("shop")).toMatchObject({ ok: true });
});

test("LO2 any other token, and the owner's own after its time, is refused and changes nothing", async () => {
  const rig = await new LocksRig().start();
  const token = rig.tokenOf("shop", 5_000);
  const lost = { ok: false, code: "lock-lost" };
  expect(rig.extend("shop", token + 1)).toMatchObject(lost);
  expect(rig.release("shop", token - 1)).toMatchObject(lost);
  expect(rig.release("bank", token)).toMatchObject(lost);
  expect(rig.lock("shop")).toMatchObject({ code: "lock-held", retryAfterMs: 5_000 });
  rig.clock.advance(5_000);
  expect(rig.extend("shop", token)).toMatchObject(lost);
  expect(rig.release("shop", token)).toMatchObject(lost);
  const next = rig.tokenOf("shop");
  expect(rig.release("shop", token)).toMatchObject(lost);
  expect(rig.release("shop", next)).toMatchObject({ ok: true });
  expect(rig.release("shop", next)).toMatchObject(lost);
});

test("LO3 a lock and its token survive a restart", async () => {
  const rig = await new LocksRig().start();
  const token = rig.tokenOf("shop", 5_000);
  await rig.start();
  expect(rig.lock("shop")).toMatchObject({ code: "lock-held", retryAfterMs: 5_000 });
  expect(rig.release("shop", token)).toMatchObject({ ok: true });
});

test("LO3 tokens rise even when the lock was released and the clock went back", async () => {
  const rig = await new LocksRig().start();
  const token = rig.tokenOf("shop");
  rig.release("shop", token);
  rig.clock.advance(-5_000);
  await rig.start();
  expect(rig.tokenOf("shop")).toBe(token + 1);
  expect(rig.tokenOf("bank")).toBe(token + 2);
});

test("LO3 locks of another partition are taken over, and tokens rise above theirs", async () => {
  const former = await new LocksRig().start();
  former.clock.advance(60_000);
  const token = former.tokenOf("shop", 600_000);
  const last = former.tokenOf("bank");
  const rows = Object.fromEntries(former.keys.map((key) => [key, former.storage.rows.get(key)]));
  const rig = await new LocksRig().start();
  rig.locks.adopt({ "room/x": true, "lock/bad": "?", ...rows });
  rig.locks.adopt(rows);
  expect(rig.lock("shop")).toMatchObject({ code: "lock-held" });
  expect(rig.extend("shop", token)).toMatchObject({ ok: true });
  expect(rig.tokenOf("other")).toBe(last + 1);
  expect((await rig.start()).tokenOf("more")).toBe(last + 2);
});

test("LO3 of two owners of one key the one with the larger token stays", async () => {
  const rig = await new LocksRig().start();
  const token = rig.tokenOf("shop");
  const expiresAt = rig.clock.now() + 1_000;
  rig.locks.adopt({ "lock/shop": { token: token - 1, expiresAt } });
  expect(rig.extend("shop", token - 1)).toMatchObject({ code: "lock-lost" });
  expect(rig.extend("shop", token)).toMatchObject({ ok: true });
  rig.locks.adopt({ "lock/shop": { token: token + 7, expiresAt } });
  expect(rig.extend("shop", token)).toMatchObject({ code: "lock-lost" });
  expect(rig.extend("shop", token + 7)).toMatchObject({ ok: true });
});

test("LO4 rows of locks that have run out are removed, a thousand at a time", async () => {
  const rig = await new LocksRig().start();
  expect(rig.wakeAt).toBeNull();
  for (let index = 0; index < 1_500; index += 1) rig.lock(`long-${index}`, 60_000);
  for (let index = 0; index < 1_500; index += 1) rig.lock(`short-${index}`, 1_000);
  const left: number[] = [];
  for (let times = 0; times < 4; times += 1) {
    rig.clock.advance(1_000);
    rig.wake();
    left.push(rig.keys.length);
  }
  expect(left).toEqual([3_000, 2_500, 1_500, 1_500]);
  rig.clock.advance(60_000);
  for (let times = 0; times < 2; times += 1) {
    rig.wake();
    rig.clock.advance(1_000);
  }
  expect(rig.keys).toEqual([]);
  expect(rig.locks.nextDeadline()).toBeNull();
});

test("LO4 while locks are held, the next look is when the first of them ends", async () => {
  const rig = await new LocksRig().start();
  const start = rig.clock.now();
  rig.lock("long", 60_000);
  expect(rig.locks.nextDeadline()).toBe(start + 60_000);
  const token = rig.tokenOf("short", 5_000);
  expect(rig.wakeAt).toBe(start + 5_000);
  rig.extend("short", token, 20_000);
  rig.clock.advance(5_000);
  rig.wake();
  expect(rig.keys).toHaveLength(2);
  expect(rig.wakeAt).toBe(start + 20_000);
  rig.clock.advance(15_000);
  rig.wake();
  expect(rig.keys).toEqual(["lock/long"]);
  expect(rig.locks.nextDeadline()).toBe(start + 60_000);
});

test("LO4 after a restart the sweep goes on", async () => {
  const rig = await new LocksRig().start();
  rig.lock("shop", 1_000);
  await rig.start();
  rig.clock.advance(1_000);
  expect(rig.locks.nextDeadline()).toBe(rig.clock.now());
  rig.wake();
  expect(rig.keys).toEqual([]);
});

type Step =
  | { readonly type: "lock" | "extend" | "release"; readonly who: number; readonly key: string }
  | { readonly type: "pass"; readonly ms: number }
  | { readonly type: "restart" | "wake" };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    type: fc.constantFrom("lock" as const, "extend" as const, "release" as const),
    who: fc.nat(2),
    key: fc.constantFrom("a", "b"),
  }),
  fc.record({ type: fc.constant("pass" as const), ms: fc.integer({ min: -500, max: 2_000 }) }),
  fc.record({ type: fc.constantFrom("restart" as const, "wake" as const) }),
);

/** What the clients believe: who holds a key, and until when. */
class Beliefs {
  readonly #held = new Map<string, { who: number; token: number; expiresAt: number }>();
  readonly violations: string[] = [];
  #lastToken = 0;

  granted(key: string, who: number, token: number, expiresAt: number, now: number): void {
    const before = this.#held.get(key);
    if (before !== undefined && before.expiresAt > now) this.violations.push("two owners");
    if (token <= this.#lastToken) this.violations.push("a token did not rise");
    this.#lastToken = token;
    this.#held.set(key, { who, token, expiresAt });
  }

  extended(key: string, expiresAt: number): void {
    const held = this.#held.get(key);
    if (held !== undefined) this.#held.set(key, { ...held, expiresAt });
  }

  released(key: string): void {
    this.#held.delete(key);
  }

  /** The token that this client holds or once held, and whether it is its lock still. */
  of(key: string, who: number, now: number): { token: number; isOwner: boolean } {
    const held = this.#held.get(key);
    const token = held?.who === who ? held.token : who + 1;
    return { token, isOwner: held?.who === who && held.expiresAt > now };
  }
}

async function run(rig: LocksRig, beliefs: Beliefs, next: Step): Promise<void> {
  switch (next.type) {
    case "pass":
      rig.clock.advance(next.ms);
      break;
    case "wake":
      rig.wake();
      break;
    case "restart":
      await rig.start();
      break;
    default:
      ask(rig, beliefs, next);
  }
}

function ask(rig: LocksRig, beliefs: Beliefs, { type, who, key }: Extract<Step, { who: number }>) {
  const now = rig.clock.now();
  if (type === "lock") {
    const reply = rig.lock(key, 1_000);
    if (reply.ok) beliefs.granted(key, who, reply.value.token, reply.value.expiresAt, now);
    return;
  }
  const { token, isOwner } = beliefs.of(key, who, now);
  const reply = type === "extend" ? rig.extend(key, token, 1_000) : rig.release(key, token);
  if (reply.ok !== isOwner) beliefs.violations.push(`${type}: ${reply.ok}, owner: ${isOwner}`);
  if (!reply.ok) return;
  if (type === "extend") beliefs.extended(key, now + 1_000);
  else beliefs.released(key);
}

test("LO1, LO2, LO3 no two owners at one time and rising tokens, over any schedule with restarts", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const rig = await new LocksRig().start();
      const beliefs = new Beliefs();
      for (const next of steps) await run(rig, beliefs, next);
      expect(beliefs.violations).toEqual([]);
    }),
  );
});
