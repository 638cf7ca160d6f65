import fc from "fast-check";
import { expect, test } from "vitest";
import { FakeSocket } from "../../test/support/fake-socket.ts";
import {
  Evening,
  graceMs,
  SeatTable,
  sessionOf,
  speaker,
  type TableStep,
} from "../../test/support/seat-table.ts";
import { turns } from "../../test/support/turns.ts";
import { plainRequest } from "./clients.ts";

test("SE1 reserved seats take places, and a room that is full of them takes no plain socket", async () => {
  const table = await SeatTable.start();
  expect(table.reserve("a", "b", "c")).toBe("full");
  expect(table.reserve("a", "b")).toBeNull();
  expect(await table.refusal("x")).toBe("full");
  expect([table.hold("x"), table.reserve("c")]).toEqual(["full", "full"]);
  await table.join("1", table.ticket("a"));
  expect(table.load).toEqual({ connections: 1, players: ["a"], reserved: 1 });
});

test("SE1 seats can be reserved in a room without a limit, beside clients that have none", async () => {
  const table = await SeatTable.start({ capacity: 3 });
  await table.join("1");
  expect([table.reserve("a", "b"), await table.refusal("2")]).toEqual([null, "full"]);
  await table.join("3", table.ticket("a"));
  expect(table.load).toEqual({ connections: 2, players: null, reserved: 1 });
});

test("SE1 a promise is durable before it is answered", async () => {
  const table = await SeatTable.start();
  table.reserve("a");
  await table.restart();
  expect(table.load.reserved).toBe(1);
  expect(await table.refusal("1", table.ticket("a"))).toBeNull();
});

test("SE2 seats that nobody took are free again, and the registry is told", async () => {
  const table = await SeatTable.start();
  table.reserve("a", "b");
  await table.rig.pass(9_999);
  expect(await table.refusal("x")).toBe("full");
  await table.rig.pass(1);
  await table.rig.passToWake();
  expect(table.rig.ports.calls.of("report").at(-1)).toMatchObject({ players: [], reserved: 0 });
  expect(await table.refusal("x")).toBeNull();
});

test("SE3 a ticket works for one connection", async () => {
  const table = await SeatTable.start();
  table.reserve("a");
  await table.join("1", table.ticket("a"));
  expect(await table.refusal("2", table.ticket("a"))).toBe("ticket-used");
  expect(table.hold("2", table.ticket("a"))).toBe("ticket-used");
  expect(await table.refusal("2", { ...table.ticket("b"), expiresAt: 1 })).toBe("ticket-expired");
});

test("SE3 a ticket that was used in vain is good again", async () => {
  const table = await SeatTable.start();
  table.reserve("a");
  expect(await table.refusal("1", table.ticket("a"))).toBeNull();
  await table.join("2", table.ticket("a"));
  expect(table.load.players).toEqual(["a"]);
});

test("SE3 a connection that was told to come with its ticket finds the seat, a moment late", async () => {
  const table = await SeatTable.start();
  table.reserve("a");
  await table.rig.pass(9_999);
  expect(table.hold("1", table.ticket("a"))).toBeNull();
  await table.rig.pass(4_999);
  expect(await table.refusal("1", table.ticket("a"))).toBeNull();
  await table.rig.pass(1);
  expect(await table.refusal("1", table.ticket("a"))).toBe("ticket-expired");
});

test("SE4 a dropped player comes back by ticket and connection; nobody else gets the seat", async () => {
  const table = await SeatTable.start({ maxPlayers: 1 });
  table.reserve("a");
  const { socket } = await table.join("1", table.ticket("a"));
  await table.rig.pass(60_000);
  table.rig.shard.leave(socket);
  await table.rig.pass(graceMs - 1);
  expect([await table.refusal("2"), table.load.players]).toEqual(["full", ["a"]]);
  const back = await table.join("1", table.ticket("a"));
  await table.rig.pass(graceMs);
  expect([back.socket.closedWith, table.load.connections]).toEqual([null, 1]);
});

test("SE4 when the grace is over the seat is free, and the registry is told that the player left", async () => {
  const table = await SeatTable.start({ maxPlayers: 1 });
  const { socket } = await table.join("1");
  table.rig.shard.leave(socket);
  await table.rig.pass(1_000);
  expect(table.rig.ports.calls.of("report").at(-1)).toMatchObject({ players: ["1"] });
  await table.rig.pass(graceMs - 1_000);
  await table.rig.passToWake();
  expect(table.rig.ports.calls.of("report").at(-1)).toMatchObject({ players: [] });
  await table.join("2");
});

test("SE4 who takes over a seat has the older socket closed, whose end changes nothing more", async () => {
  const table = await SeatTable.start({ maxPlayers: 1 });
  const old = await table.join("1");
  const newer = await table.join("1");
  expect([old.socket.closedWith, newer.socket.closedWith]).toEqual([4502, null]);
  table.rig.shard.leave(old.socket);
  await table.rig.pass(graceMs);
  expect(table.load).toEqual({ connections: 1, players: ["1"], reserved: 0 });
});

test("SE5 a client of protocol 1 with a seat is given a session, and comes back with it", async () => {
  const table = await SeatTable.start({ maxPlayers: 1 });
  const first = await table.join("1", null, speaker);
  const session = sessionOf(first);
  if (session === undefined) throw new Error("no session");
  expect(await table.refusal("1")).toBe("full");
  table.rig.shard.leave(first.socket);
  const back = await table.join("2", null, { ...speaker, session });
  expect(sessionOf(back)).toBe(session);
  const again = await table.join("3", null, { ...speaker, session });
  expect([back.socket.closedWith, again.socket.closedWith]).toEqual([4502, null]);
});

test("SE5 a client without a seat has no session, and one that is not known opens nothing", async () => {
  const table = await SeatTable.start({ capacity: 2 });
  expect(sessionOf(await table.join("1", null, speaker))).toBeUndefined();
  const guess = { ...speaker, session: "guess" };
  expect(await table.rig.shard.admit("2", guess)).toMatchObject({ code: "ticket-expired" });
  const hold = { type: "hold", connection: "2", claim: null, session: "guess" } as const;
  expect(table.rig.shard.handle(hold)).toMatchObject({ code: "ticket-expired" });
});

test("SE5 a session beside a ticket need not be known, nor one that another shard may know", async () => {
  const table = await SeatTable.start();
  table.reserve("a");
  await table.join("1", table.ticket("a"), { ...speaker, session: "guess" });
  expect(table.load.players).toEqual(["a"]);
  const wide = await SeatTable.start({ shards: 2 });
  await wide.join("1", null, { ...speaker, session: "elsewhere" });
  expect(wide.load.connections).toBe(1);
});

test("SE5 a shard of several knows which sessions it gave", async () => {
  const table = await SeatTable.start({ shards: 2 });
  table.reserve("a");
  const session = sessionOf(await table.join("1", table.ticket("a"), speaker));
  expect(session).toMatch(/^1\.[!-~]{1,60}$/);
  const admit = (guess: string) => table.rig.shard.admit("2", { ...speaker, session: guess });
  expect(await admit("1.guess")).toMatchObject({ code: "ticket-expired" });
  expect(await admit("2.guess")).toMatchObject({ ok: true });
});

test("SE6 players whose sockets outlived the object stay where they are", async () => {
  const table = await SeatTable.start();
  table.reserve("a");
  const clients = [await table.join("1", table.ticket("a")), await table.join("2", null, speaker)];
  await table.restart(clients);
  expect(table.load).toEqual({ connections: 2, players: ["a", "2"], reserved: 0 });
  await table.rig.pass(60_000);
  expect(await table.refusal("3")).toBe("full");
  const back = await table.join("1", table.ticket("a"));
  expect(clients.map(({ socket }) => socket.closedWith)).toEqual([4502, null]);
  expect(back.socket.closedWith).toBeNull();
});

test("SE6 players whose sockets died with the object have their grace from then on", async () => {
  const table = await SeatTable.start();
  const first = await table.join("1", null, speaker);
  await table.join("2");
  table.rig.ports.clock.advance(600_000);
  await table.restart();
  expect(table.load).toEqual({ connections: 0, players: ["1", "2"], reserved: 0 });
  await table.rig.pass(graceMs - 1);
  const session = sessionOf(first);
  if (session === undefined) throw new Error("no session");
  await table.join("9", null, { ...speaker, session });
  await table.rig.pass(1);
  expect(table.load.players).toEqual(["1"]);
});

test("SE6 of two sockets of one connection nobody knows which has the seat: they come again", async () => {
  const table = await SeatTable.start();
  const client = await table.join("1");
  const other = { ...client, socket: new FakeSocket() };
  await table.restart([client, other]);
  expect([client.socket.closedWith, other.socket.closedWith]).toEqual([4000, 4000]);
  expect(table.load).toMatchObject({ connections: 0, players: ["1"] });
  await table.join("1");
});

test("SE7 a room's own limit holds instead of its type's, also in its next life", async () => {
  const table = await SeatTable.start({ capacity: 10 });
  const before = await table.join("1");
  expect(table.rig.shard.handle({ type: "limit", maxPlayers: 2 })).toMatchObject({ ok: true });
  const second = await table.join("2");
  expect([await table.refusal("3"), table.load.players]).toEqual(["full", ["2"]]);
  await table.restart([before, second]);
  expect([await table.refusal("3"), table.load.players]).toEqual(["full", ["2", "1"]]);
});

test.each([{}, { maxPlayers: 3 }])(
  "SE7 a limit that is taken back leaves a room of %j as its type says, also in its next life",
  async (type) => {
    const table = await SeatTable.start({ capacity: 10, ...type });
    const before = { players: type.maxPlayers === undefined ? null : ["1", "2"] };
    table.rig.shard.handle({ type: "limit", maxPlayers: 2 });
    const clients = [await table.join("1"), await table.join("2")];
    table.rig.shard.handle({ type: "limit", maxPlayers: null });
    expect(table.load).toMatchObject(before);
    clients.push(await table.join("3"));
    expect([...table.rig.ports.storage.rows.keys()]).not.toContain("limit");
    await table.restart(clients);
    expect(table.load).toMatchObject({
      connections: 3,
      players: type.maxPlayers === undefined ? null : ["1", "2", "3"],
    });
    const free = type.maxPlayers === undefined ? 7 : 0;
    for (let number = 0; number < free; number += 1) await table.join(`more-${number}`);
    expect(await table.refusal("x")).toBe("full");
  },
);

test("SE7 a limit that was overtaken changes nothing, and one that is taken back leaves no row", async () => {
  const table = await SeatTable.start();
  const { shard, ports } = table.rig;
  expect(shard.handle({ type: "limit", maxPlayers: 1, at: 10 })).toMatchObject({ ok: true });
  expect(ports.storage.rows.has("limit")).toBe(true);
  shard.handle({ type: "limit", maxPlayers: null, at: 20 });
  shard.handle({ type: "limit", maxPlayers: 1, at: 10 });
  expect(ports.storage.rows.has("limit")).toBe(false);
  await table.join("1");
  await table.join("2");
  expect(await table.refusal("3")).toBe("full");
});

test("SE7 a limit that was overtaken changes nothing in the shard's next life either", async () => {
  const table = await SeatTable.start({ capacity: 10 });
  table.rig.shard.handle({ type: "limit", maxPlayers: 2, at: 20 });
  await table.restart();
  table.rig.shard.handle({ type: "limit", maxPlayers: null, at: 10 });
  table.rig.shard.handle({ type: "limit", maxPlayers: 1, at: 19 });
  expect([table.reserve("a", "b"), table.reserve("c")]).toEqual([null, "full"]);
  table.rig.ports.storage.put({ limit: { maxPlayers: 3 } });
  await table.restart();
  expect([table.reserve("c"), table.reserve("d")]).toEqual([null, "full"]);
  table.rig.shard.handle({ type: "limit", maxPlayers: null, at: 30 });
  await table.restart();
  expect(table.reserve("d")).toBe(null);
});

test("SE8 a disposed room closes everybody for good and keeps nothing", async () => {
  const table = await SeatTable.start();
  table.reserve("a");
  const plain = await table.join("1", table.ticket("a"));
  const other = await table.join("2", null, speaker);
  expect(table.rig.shard.handle({ type: "dispose" })).toEqual({ ok: true, value: null });
  await turns();
  expect([plain.socket.closedWith, other.socket.closedWith]).toEqual([4501, 4501]);
  expect([...table.rig.ports.storage.rows]).toEqual([]);
  expect(table.rig.ports.calls.of("unsubscribe")).toHaveLength(1);
  expect(table.load).toEqual({ connections: 0, players: [], reserved: 0 });
  expect(await table.refusal("3", table.ticket("a"))).toBe("ticket-expired");
  await table.join("4");
});

test("SE8 who was on the way into a seat of a disposed room is told that it is no more", async () => {
  const table = await SeatTable.start();
  const admitted = await table.rig.shard.admit("1");
  if (!admitted.ok) throw new Error(admitted.code);
  table.rig.shard.handle({ type: "dispose" });
  const socket = new FakeSocket();
  expect(table.rig.shard.welcome(socket, "1", plainRequest, admitted.value)).toBe(false);
  expect([socket.closedWith, table.load.connections]).toEqual([4501, 0]);
  await table.rig.pass(5_000);
  expect(table.rig.ports.calls.of("unsubscribe")).toHaveLength(1);
});

const which = fc.nat({ max: 9 });
const steps = fc.array(
  fc.oneof<fc.Arbitrary<TableStep>[]>(
    fc.record({ name: fc.constant("reserve" as const), count: fc.constantFrom(1, 2) }),
    fc.record({
      name: fc.constant("join" as const),
      ticket: fc.option(which, { nil: null }),
      connection: fc.constantFrom("a", "b", "c", "d"),
    }),
    fc.record({ name: fc.constantFrom("return" as const, "drop" as const), which }),
    fc.record({
      name: fc.constant("time" as const),
      ms: fc.constantFrom(1, 9_999, 10_000, graceMs),
    }),
    fc.record({ name: fc.constantFrom("crash" as const, "evict" as const) }),
  ),
  { maxLength: 40 },
);

test("SE1, SE3, SE4, SE6 seats hold through crashes, sleep and drops", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 3 }), steps, async (limit, all) => {
      const table = await SeatTable.start({ maxPlayers: limit });
      const evening = new Evening(table, limit);
      for (const step of all) await evening.step(step);
      expect(table.load.connections).toBeLessThanOrEqual(limit);
    }),
    { numRuns: 150 },
  );
});

test("RC10 a shard knows who sits where by a ticket, also after it slept, and who has just left", async () => {
  const table = await SeatTable.start({ capacity: 5 });
  table.reserve("a", "b");
  const [one, two] = [
    await table.join("1", table.ticket("a")),
    await table.join("2", table.ticket("b"), speaker),
  ];
  // Brings the name of another's connection, and no ticket.
  const other = await table.join("1");
  const playerOf = ({ socket, connection }: typeof one) =>
    table.rig.shard.playerOf(socket, connection);
  expect([one, two, other].map(playerOf)).toEqual(["a", "b", null]);
  table.rig.shard.leave(two.socket);
  expect(playerOf(two)).toBe("b");
  table.rig.shard.leave(other.socket);
  expect(playerOf(other)).toBeNull();
  await table.restart([one]);
  expect([one, two, other].map(playerOf)).toEqual(["a", "b", null]);
  // Its end woke the shard up, which never saw it open.
  await table.restart();
  expect(playerOf(one)).toBe("a");
  await table.rig.pass(graceMs);
  expect(playerOf({ ...one, socket: two.socket })).toBeNull();
});

test("RC10 a player's place in a room with a limit says who it is only when it came by a ticket", async () => {
  const table = await SeatTable.start();
  const { socket } = await table.join("1");
  expect(table.rig.shard.playerOf(socket, "1")).toBeNull();
  table.rig.shard.leave(socket);
  expect(table.rig.shard.playerOf(new FakeSocket(), "1")).toBeNull();
});
