import fc from "fast-check";
import { expect, test } from "vitest";
import { graceMs, ModelSeats, type SeatStep } from "../../test/support/model-seats.ts";
import { Seats, type Seat } from "./seats.ts";

const claimOf = (id: string, expiresAt: number, player = id) => ({ id, player, expiresAt });

/** One seat, held until 1,000. */
function held(places = 4): Seats {
  const seats = new Seats(graceMs);
  expect(seats.reserve([{ id: "s", player: "s" }], 1_000, places, 0)).toEqual({
    ok: true,
    value: 1_000,
  });
  return seats;
}

/** The seat that the ticket gives this connection; there must be one. */
function found(seats: Seats, connection: string, now: number): Seat {
  const seat = seats.find(claimOf("s", 1_000), connection, now);
  if (!seat.ok) throw new Error(seat.code);
  return seat.value;
}

function enter(seats: Seats, connection: string, now: number): Seat {
  const seat = found(seats, connection, now);
  seats.enter(seat, connection);
  return seat;
}

const codeOf = (seats: Seats, connection: string, now: number): string | null => {
  const seat = seats.find(claimOf("s", 1_000), connection, now);
  return seat.ok ? null : seat.code;
};

test("SE1 a group gets its seats, or nobody does", () => {
  const seats = held(3);
  const two = [claimOf("a", 0), claimOf("b", 0)];
  const three = [...two, claimOf("c", 0)];
  expect(seats.reserve(three, 1_000, 3, 0)).toMatchObject({ ok: false, code: "full" });
  expect(seats.size).toBe(1);
  expect(seats.reserve(two, 1_000, 3, 0)).toMatchObject({ ok: true });
  expect([seats.size, seats.reserved, seats.players]).toEqual([3, 3, []]);
});

test("SE1 a reservation that comes twice takes one seat, and goes on", () => {
  const seats = held(1);
  expect(seats.reserve([claimOf("s", 0)], 1_000, 1, 500)).toEqual({ ok: true, value: 1_500 });
  expect(seats.reserve([claimOf("s", 0, "other")], 1_000, 1, 500)).toMatchObject({ ok: false });
  expect([seats.size, seats.reserved]).toEqual([1, 1]);
});

test("SE2 a seat that nobody takes is free when its time is over", () => {
  const seats = held(1);
  expect(seats.nextDeadline()).toBe(1_000);
  expect([seats.expire(999), seats.size, seats.expire(1_000), seats.size]).toEqual([0, 1, 1, 0]);
  expect(codeOf(seats, "a", 1_000)).toBe("ticket-expired");
});

test("SE3 a ticket is good once", () => {
  const seats = held();
  const seat = enter(seats, "a", 0);
  expect(codeOf(seats, "b", 0)).toBe("ticket-used");
  seats.take(seat, "a", null);
  expect(codeOf(seats, "b", 1)).toBe("ticket-used");
  seats.drop(seat, 2);
  expect(codeOf(seats, "b", 3)).toBe("ticket-used");
  seats.expire(2 + graceMs);
  expect(codeOf(seats, "b", 2 + graceMs)).toBe("ticket-used");
});

test("SE3 a ticket says whose the seat is", () => {
  const seats = held();
  expect(seats.find(claimOf("s", 1_000, "thief"), "a", 0)).toMatchObject({ code: "ticket-used" });
});

test("SE3 a ticket of a seat that is not known is no longer good, also before it expires", () => {
  const seats = new Seats(graceMs);
  expect(seats.find(claimOf("s", 1_000), "a", 0)).toMatchObject({
    code: "ticket-expired",
    detail: "the seat is no longer held here",
  });
});

test("SE3 a ticket that is used in its last moment is good, and cannot expire while it is used", () => {
  const seats = held();
  const seat = enter(seats, "a", 999);
  expect(seats.expire(5_000)).toBe(0);
  expect(seats.take(seat, "a", null)).toBe(true);
  expect([seats.size, seats.players]).toEqual([1, ["s"]]);
});

test("SE3 a ticket whose connection came to nothing is good again, as long as it would have been", () => {
  const seats = held();
  const first = enter(seats, "a", 0);
  seats.release(first, 10);
  const second = enter(seats, "b", 10);
  seats.release(second, 1_000);
  expect([seats.size, codeOf(seats, "b", 1_000)]).toEqual([0, "ticket-expired"]);
});

test("SE4 a dropped player has the seat until the grace is over, and nobody else does", () => {
  const seats = held(1);
  const seat = enter(seats, "a", 0);
  seats.take(seat, "a", null);
  seats.drop(seat, 5_000);
  expect(seats.reserve([claimOf("t", 0)], 1_000, 1, 5_000 + graceMs - 1)).toMatchObject({
    ok: false,
  });
  expect(found(seats, "a", 5_000 + graceMs - 1)).toBe(seat);
  expect(seats.players).toEqual(["s"]);
  expect([codeOf(seats, "a", 5_000 + graceMs), seats.size]).toEqual(["ticket-expired", 0]);
});

test("SE4 the same ticket and connection take over a seat whose connection seems to be open", () => {
  const seats = held();
  const seat = enter(seats, "a", 0);
  seats.take(seat, "a", null);
  const again = enter(seats, "a", 60_000);
  expect(again).toBe(seat);
  // The former socket is closed meanwhile: the seat stays, whatever the time.
  seats.drop(seat, 60_000);
  expect(seats.expire(60_000 + graceMs)).toBe(0);
  expect(seats.take(again, "a", null)).toBe(true);
});

test("SE5 a session brings back to the seat, on any connection, and stays the same", () => {
  const seats = held();
  const seat = enter(seats, "a", 0);
  seats.take(seat, "a", "secret");
  seats.drop(seat, 0);
  expect([seats.ofSession("secret", 1), seats.ofSession("guess", 1)]).toEqual([seat, null]);
  seats.enter(seat, "b");
  seats.take(seat, "b", "another");
  expect(seat).toMatchObject({ connection: "b", session: "secret", phase: { name: "taken" } });
  expect(codeOf(seats, "a", 2)).toBe("ticket-used");
  seats.drop(seat, 2);
  expect(seats.ofSession("secret", 2 + graceMs)).toBeNull();
});

test("SE5 a client without ticket comes back by its name, unless it has a session", () => {
  const seats = new Seats(graceMs);
  const plain = seats.give("1", "a", 2, 0);
  const speaker = seats.give("2", "b", 2, 0);
  if (plain === null || speaker === null) throw new Error("no seat was given");
  seats.take(plain, "a", null);
  seats.take(speaker, "b", "secret");
  expect([seats.ofConnection("a", 1), seats.ofConnection("b", 1)]).toEqual([plain, null]);
  expect(seats.give("3", "c", 2, 1)).toBeNull();
  expect(seats.find(claimOf("1", 1_000, "a"), "a", 1)).toMatchObject({ code: "ticket-used" });
});

test("SE6 a seat of a former life is taken if its client is there, else its grace begins", () => {
  const seats = held();
  const seat = enter(seats, "a", 0);
  seats.take(seat, "a", "secret");
  const { put } = seats.takeChanges();
  const row = put["s"];
  if (row === undefined) throw new Error("no row");
  const awake = new Seats(graceMs);
  expect(awake.restore("s", row, true, 90_000).phase).toEqual({ name: "taken" });
  expect(awake.takeChanges()).toEqual({ put: {}, delete: [] });
  const crashed = new Seats(graceMs);
  const until = 90_000 + graceMs;
  expect(crashed.restore("s", row, false, 90_000).phase).toEqual({ name: "grace", until });
  expect(crashed.takeChanges().put["s"]).toEqual({ ...row, graceUntil: until });
  expect(crashed.ofSession("secret", until - 1)).toMatchObject({ id: "s" });
  expect([crashed.expire(until), crashed.size]).toEqual([1, 0]);
});

test("SE6 a grace goes on in the next life, and ends when it would have", () => {
  const seats = held();
  const seat = enter(seats, "a", 0);
  seats.take(seat, "a", null);
  seats.drop(seat, 0);
  const row = seats.takeChanges().put["s"];
  if (row === undefined) throw new Error("no row");
  const next = new Seats(graceMs);
  next.restore("s", row, false, 10_000);
  expect([next.expire(graceMs - 1), next.expire(graceMs)]).toEqual([0, 1]);
  expect(next.takeChanges()).toEqual({ put: {}, delete: ["s"] });
});

test("SE8 nothing of a disposed room's seats is left, and who was on the way in gets none", () => {
  const seats = held();
  const seat = enter(seats, "a", 0);
  seats.clear();
  expect([seats.take(seat, "a", null), seats.size, seats.nextDeadline()]).toEqual([false, 0, null]);
  expect(seats.takeChanges()).toEqual({ put: {}, delete: ["s"] });
});

const number = fc.nat({ max: 20 });
const connections = fc.constantFrom("a", "b", "c");
const steps = fc.array(
  fc.oneof<fc.Arbitrary<SeatStep>[]>(
    fc.record({
      name: fc.constant("reserve" as const),
      count: fc.integer({ min: 1, max: 3 }),
      ttl: fc.constantFrom(1_000, 5_000),
    }),
    fc.record({
      name: fc.constantFrom("claim" as const, "session" as const),
      seat: number,
      connection: connections,
    }),
    fc.record({ name: fc.constant("join" as const), connection: connections }),
    fc.record({
      name: fc.constantFrom("welcome" as const, "release" as const, "drop" as const),
      which: number,
    }),
    fc.record({ name: fc.constant("time" as const), ms: fc.constantFrom(1, 999, 5_000, 15_000) }),
    fc.record({ name: fc.constant("restart" as const) }),
  ),
  { maxLength: 80 },
);

test("SE1, SE3, SE4, SE6 no order of events sells a seat twice or breaks a promise", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), steps, (places, all) => {
      const model = new ModelSeats(places);
      for (const step of all) model.step(step);
      // When nobody holds on to anything, everything is free again.
      for (const { seat } of model.entering) model.seats.release(seat, model.now);
      for (const { seat } of model.sitting.values()) model.seats.drop(seat, model.now);
      model.seats.expire(model.now + graceMs);
      expect([model.seats.size, model.seats.nextDeadline()]).toEqual([0, null]);
    }),
    { numRuns: 1_000 },
  );
});
