import fc from "fast-check";
import { expect, test } from "vitest";
import type { Answer, Call } from "../../test/support/fake-calls.ts";
import { createRequest, id, RegistryRig, reserveRequest } from "../../test/support/registry-rig.ts";
import { turns } from "../../test/support/turns.ts";
import { partitionOf } from "../core/partitions.ts";
import { defineRooms } from "../core/rooms.ts";

const minute = 60_000;
const rooms = defineRooms({ game: { maxPlayers: 3, seatTtlMs: 10_000 } }, { partitions: 2 });
/** The partition under test is not the hub, which the test stands for. */
const name = "default-1";

/** The first room of the type that the partition keeps. */
const mine = Array.from({ length: 50 }, (_, index) => `game:${index}`).filter(
  (each) => partitionOf(each, 2) === name,
);
const [room = "", other = ""] = mine;

const steady = defineRooms(
  { game: { maxPlayers: 3, seatTtlMs: 10_000, failover: false } },
  { partitions: 2 },
);

const from = { server: "s1", instance: "i1" };
const atServer = { ...from, url: "wss://s1.example" };

async function start(
  allocated: () => Answer | Promise<Answer> = () => ({ ok: true, value: atServer }),
  types = rooms,
) {
  const rig = await new RegistryRig(types, name).start();
  const told: Call[] = [];
  rig.ports.calls.answer = (call) => {
    if (call.request.type === "events") return { ok: true, value: { isHeard: false } };
    told.push(call);
    if (call.request.type === "allocate" || call.request.type === "offer") return allocated();
    return { ok: true, value: null };
  };
  const report = (players: string[], seats: string[] = [], asOf = rig.ports.clock.now()) =>
    rig.ask({ type: "hosted", ...from, asOf, rooms: [{ room: id(room), players, seats }] });
  const count = async () => (await rig.ask({ type: "room", room: id(room) })).playerCount;
  return { rig, told, report, count };
}

test("DI11 a new room goes to the server that the hub names, once, and everybody is sent there", async () => {
  const { rig, told } = await start();
  const wanted = { create: id(room), room: id(room) };
  const [first, table] = await Promise.all([rig.reserve(wanted), rig.table(room)]);
  expect([first.redirect, table.redirect]).toEqual([atServer.url, atServer.url]);
  const { url: redirect, instance } = atServer;
  const away = { shards: [], isLocked: false, redirect, instance };
  expect(await rig.table(room)).toEqual(away);
  expect(told.map((call) => [call.id, call.request.type])).toEqual([["default", "allocate"]]);
  expect(await rig.ask({ type: "room", room: id(room) })).toMatchObject({
    serverId: "s1",
    serverIds: ["s1"],
    address: atServer.url,
  });
  const held = await rig.reserve({ room: id(room) });
  expect(held).toMatchObject({ server: "s1", redirect: atServer.url });
  expect(held.expiresAt).toBe(rig.ports.clock.now() + 10_000);
  const route = { type: "route", roomType: "game", room: null, player: "ann", query: {} } as const;
  expect(await rig.ask({ ...route, server: "s1" })).toEqual({
    type: "local",
    roomId: room,
  });
  expect(await rig.ask({ ...route, server: "s2" })).toMatchObject({
    type: "redirect",
    serverId: "s1",
    serverAddress: atServer.url,
  });
});

test("DI11 where no server is offered shards host the room; a hub that cannot say is asked again", async () => {
  let answer: Answer = { ok: false, code: "unreachable", detail: "" };
  const { rig } = await start(() => answer);
  expect(await rig.failed(createRequest(room))).toBe("unavailable");
  answer = { ok: false, code: "no-server", detail: "none has space" };
  expect(await rig.failed(reserveRequest({ create: id(room) }))).toBe("no-server");
  expect(await rig.list()).toEqual([]);
  answer = { ok: true, value: null };
  expect((await rig.table(room)).shards).toHaveLength(1);
});

test("DI17 a gate that asks for a room which a server outside may host is given none", async () => {
  const table = { type: "table", room: id(room), counters: {} } as const;
  let answer: Answer = { ok: true, value: atServer };
  const { rig, told } = await start(() => answer);
  expect(await rig.failed(table)).toBe("unknown-room");
  answer = { ok: false, code: "no-server", detail: "none has space" };
  expect(await rig.failed(table)).toBe("unknown-room");
  answer = { ok: false, code: "unreachable", detail: "" };
  expect(await rig.failed(table)).toBe("unavailable");
  expect(await rig.list()).toEqual([]);
  answer = { ok: true, value: atServer };
  expect((await rig.reserve({ create: id(room), room: id(room) })).redirect).toBe(atServer.url);
  expect((await rig.table(room)).redirect).toBe(atServer.url);
  expect(told.filter(({ request }) => request.type === "allocate")).toHaveLength(1);
});

test("DI17 a room of servers alone is none until somebody has a seat in it", async () => {
  const alone = defineRooms({ game: { maxPlayers: 3, hostedBy: "servers" } }, { partitions: 2 });
  const { rig, told } = await start(undefined, alone);
  expect(await rig.failed({ type: "table", room: id(room), counters: {} })).toBe("unknown-room");
  expect(told).toEqual([]);
  const [, asked] = await Promise.all([
    rig.reserve({ create: id(room), room: id(room) }),
    rig.table(room),
  ]);
  expect(asked.redirect).toBe(atServer.url);
});

test("DI11 no more seats are held than the room has, and a group gets all or none", async () => {
  const { rig, report } = await start();
  await rig.reserve({ create: id(room), players: ["a", "b"] });
  expect(await rig.failed(reserveRequest({ players: ["c", "d"] }))).toBe("room-full");
  await rig.reserve({ players: ["c"] });
  expect(await rig.failed(reserveRequest())).toBe("room-full");
  await report(["a", "stranger"], []);
  expect(await rig.failed(reserveRequest({ room: id(room) }))).toBe("room-full");
});

test("DI11 a room that its server has had for longer holds no seats before the server has reported", async () => {
  const { rig, report } = await start(() => ({ ok: true, value: { ...atServer, isOld: true } }));
  await rig.create(room);
  expect(await rig.failed(reserveRequest({ room: id(room) }))).toBe("unavailable");
  expect(await rig.failed(reserveRequest())).toBe("room-full");
  await report(["a", "b"]);
  expect(await rig.failed(reserveRequest({ players: ["c", "d"] }))).toBe("room-full");
  await rig.reserve({ players: ["c"] });
  await rig.start();
  expect(await rig.ask({ type: "room", room: id(room) })).toMatchObject({ address: atServer.url });
  expect(rig.ports.storage.rows.get(`room/${room}`)).toMatchObject({ host: atServer });
  const later = await start(() => ({ ok: true, value: { ...atServer, isOld: true } }));
  expect(await later.rig.failed(reserveRequest({ create: id(room) }))).toBe("unavailable");
  expect(await later.rig.list()).toEqual([room]);
});

test("DI11 a room that comes from a former partition while it is being placed stays on its server", async () => {
  const placed = Promise.withResolvers<Answer>();
  const { rig, told } = await start();
  const answer = rig.ports.calls.answer;
  rig.ports.calls.answer = (call) =>
    call.request.type === "allocate" ? placed.promise : answer(call);
  const made = rig.failed(createRequest(room));
  await turns();
  await rig.ask({ type: "adopt", rows: { [`room/${room}`]: { host: atServer } } });
  placed.resolve({ ok: true, value: { ...atServer, isOld: true } });
  expect(await made).toBe("room-exists");
  await rig.passInSteps(2_000);
  expect(told.filter(({ request }) => request.type === "vacate")).toEqual([]);
});

test("DI11 a seat is freed on the server's word alone, however late it comes", async () => {
  const { rig, report } = await start();
  const held = await rig.reserve({ create: id(room), players: ["a", "b", "c"] });
  const [one, two] = held.seats.map((seat) => seat.id);
  if (one === undefined || two === undefined) throw new Error("no seats");
  rig.ports.clock.advance(minute);
  // By the time that the server knew, the seats had not expired.
  await report(["a"], [one], held.expiresAt - 1);
  expect(await rig.failed(reserveRequest({ room: id(room) }))).toBe("room-full");
  // Two was taken, three never was and never will be.
  await report(["a", "b"], [one, two], held.expiresAt);
  const [other2] = (await rig.reserve({ room: id(room), players: ["d"] })).seats;
  expect(await rig.failed(reserveRequest({ room: id(room) }))).toBe("room-full");
  // Who dropped keeps the seat for as long as the server names it.
  await report([], [one, two]);
  expect(await rig.failed(reserveRequest({ room: id(room) }))).toBe("room-full");
  await report([], [two]);
  expect(other2).toBeDefined();
  await rig.reserve({ room: id(room), players: ["e"] });
  expect(await rig.failed(reserveRequest({ room: id(room) }))).toBe("room-full");
});

test("DI11 seats survive, and none is held before the server has told who is there", async () => {
  const { rig, report } = await start();
  await rig.reserve({ create: id(room), players: ["a", "b"] });
  await report([], []);
  await rig.start();
  expect(await rig.failed(reserveRequest())).toBe("room-full");
  expect(await rig.failed(reserveRequest({ room: id(room) }))).toBe("unavailable");
  await report([], []);
  expect(await rig.failed(reserveRequest({ players: ["c", "d"] }))).toBe("room-full");
  await rig.reserve({ players: ["c"] });
});

test("DI11 each seat is a row of its own: a reserve writes its own and no other", async () => {
  const { rig, report } = await start();
  const rows = () => [...rig.ports.storage.rows.keys()].filter((key) => key.startsWith("seats/"));
  const one = await rig.reserve({ create: id(room), players: ["a"] });
  const [first] = rows();
  expect(rig.ports.storage.rows.get(first ?? "")).toEqual({
    player: "a",
    expiresAt: one.expiresAt,
  });
  await rig.reserve({ room: id(room), players: ["b", "c"] });
  expect(rows()).toHaveLength(3);
  await report(["a"], [one.seats[0]?.id ?? ""], one.expiresAt);
  expect(rows()).toEqual([`seats/${room}/${one.seats[0]?.id}`]);
});

test("DI15 seats of a former partition come with their room, and those promised here stay", async () => {
  const { rig } = await start();
  await rig.reserve({ create: id(room), players: ["a"] });
  const rows = Object.fromEntries(
    ["x", "y"].map((seat) => [`seats/${room}/${seat}`, { player: seat, expiresAt: 9_000_000 }]),
  );
  await rig.ask({ type: "adopt", rows });
  await rig.ask({ type: "adopt", rows });
  await rig.ask({ type: "adopt", rows: { [`seats/${room}/z`]: "malformed" } });
  expect(await rig.failed(reserveRequest({ room: id(room) }))).toBe("room-full");
  const kept = [...rig.ports.storage.rows.keys()].filter((key) => key.startsWith("seats/"));
  expect(kept).toHaveLength(3);
});

test("DI11 a seat that this partition knows nothing of counts while its player is away", async () => {
  const { rig, report } = await start();
  await rig.create(room, { keepMs: minute });
  await report(["x"], ["unknown-1", "unknown-2"]);
  await rig.reserve({ players: ["a"] });
  expect(await rig.failed(reserveRequest({ room: id(room) }))).toBe("room-full");
});

test("DI11, SV7 a server is told which rooms are not its own; one that is gone takes its rooms with it", async () => {
  let allocated: Answer = { ok: true, value: atServer };
  const { rig, report, count } = await start(() => allocated);
  await rig.create(room, { keepMs: minute });
  const held = await rig.reserve({ room: id(room) });
  expect(held).toMatchObject(from);
  const others = [
    { server: "s2", instance: "i1" },
    { server: "s1", instance: "i2" },
  ];
  for (const stranger of others) {
    const answer = await rig.ask({
      type: "hosted",
      ...stranger,
      asOf: 1,
      rooms: [room, other].map((each) => ({ room: id(each), players: ["x"], seats: [] })),
    });
    expect(answer).toEqual({ unknown: [room, other] });
    await rig.ask({ type: "gone", ...stranger, rooms: [id(room)] });
    expect(await rig.list()).toEqual([room]);
  }
  expect(await count()).toBe(0);
  expect(await report(["x"])).toEqual({ unknown: [] });
  allocated = { ok: false, code: "no-server", detail: "none has space" };
  await rig.ask({ type: "gone", ...from, rooms: [id(room), id(other)] });
  await turns();
  expect(await rig.list()).toEqual([]);
  const left = [...rig.ports.storage.rows.keys()];
  expect(left.filter((key) => key.startsWith("room/") || key.startsWith("seats/"))).toEqual([]);
});

test("SV7 a server that is gone when the hub's answer comes takes the room with it", async () => {
  const allocated = Promise.withResolvers<Answer>();
  const { rig } = await start(() => allocated.promise, steady);
  const created = rig.create(room, { keepMs: minute });
  await turns();
  const gone = { type: "gone" as const, ...from, rooms: [id(room)] };
  expect(await rig.failed(gone)).toBe("unavailable");
  allocated.resolve({ ok: true, value: atServer });
  expect(await created).toMatchObject({ serverId: "s1" });
  expect(await rig.failed(gone)).toBe(null);
  expect(await rig.list()).toEqual([]);
});

test("DI11 an empty room's server is told to the hub as free again, until it knows", async () => {
  const { rig, told, report, count } = await start();
  await rig.create(room, { keepMs: minute });
  await report(["a"]);
  expect(await count()).toBe(1);
  await report([]);
  const answer = rig.ports.calls.answer;
  rig.ports.calls.answer = () => ({ ok: false, code: "unreachable", detail: "" });
  await rig.passInSteps(minute);
  expect(await rig.list()).toEqual([]);
  rig.ports.calls.answer = answer;
  await rig.start();
  told.length = 0;
  await rig.passInSteps(minute);
  const vacated = told.filter(({ request }) => request.type !== "count");
  expect(vacated.map(({ id: to, request }) => [to, request])).toMatchObject([
    ["default", { type: "vacate", room, server: "s1" }],
  ]);
});

test("DI11 a room that is disposed of leaves its server, and nothing on shards is asked", async () => {
  const { rig, told } = await start();
  await rig.create(room, { keepMs: minute });
  await rig.ask({ type: "dispose", room: id(room) });
  await rig.passInSteps(1_000);
  await turns();
  const asked = told
    .map(({ request }) => request.type)
    .filter((type) => type === "allocate" || type === "vacate");
  expect(asked).toEqual(["allocate", "vacate"]);
});

test("DI11 whatever order reports come in, players and held seats are never more than the room takes", async () => {
  const someStep = fc.oneof(
    fc.constant({ step: "reserve" } as const),
    fc.record({ step: fc.constant("take" as const), which: fc.nat(5) }),
    fc.record({ step: fc.constant("leave" as const), which: fc.nat(5) }),
    fc.constant({ step: "report" } as const),
    fc.constant({ step: "deliver" } as const),
    fc.constant({ step: "hear" } as const),
    fc.record({ step: fc.constant("pass" as const), ms: fc.constantFrom(1, 4_000, 12_000) }),
    fc.constant({ step: "restart" } as const),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(someStep, { maxLength: 60, size: "max" }), async (steps) => {
      const { rig } = await start();
      await rig.create(room, { keepMs: minute });
      const now = () => rig.ports.clock.now();
      /** The server's own state: seats that players were promised, and those that were taken. */
      let promised: { id: string; player: string; expiresAt: number }[] = [];
      const taken = new Map<string, string>();
      let players = 0;
      let known = 0;
      /** The registry's time, as answers on their way to the server tell it. */
      let answered = 0;
      let sent: { asOf: number; players: string[]; seats: string[] }[] = [];
      for (const step of steps) {
        if (step.step === "reserve") {
          const player = `p${(players += 1)}`;
          const held = await rig.tryReserve({ room: id(room), players: [player] });
          const [seat] = held?.seats ?? [];
          if (held === null || seat === undefined) continue;
          promised.push({ ...seat, expiresAt: held.expiresAt });
        } else if (step.step === "take") {
          const seat = promised[step.which];
          // By the registry's time as the server knows it, which is never later than it is.
          if (seat !== undefined && known < seat.expiresAt) taken.set(seat.id, seat.player);
          promised = promised.filter((each) => each !== seat);
        } else if (step.step === "leave") {
          const [seat] = [...taken.keys()].slice(step.which);
          if (seat !== undefined) taken.delete(seat);
        } else if (step.step === "report") {
          sent.push({ asOf: known, players: [...taken.values()], seats: [...taken.keys()] });
        } else if (step.step === "deliver") {
          for (const each of sent) {
            await rig.ask({
              type: "hosted",
              ...from,
              asOf: each.asOf,
              rooms: [{ room: id(room), players: each.players, seats: each.seats }],
            });
          }
          sent = [];
          answered = now();
        } else if (step.step === "hear") {
          known = answered;
        } else if (step.step === "pass") await rig.pass(step.ms);
        else await rig.start();
        const open = promised.filter(({ expiresAt }) => known < expiresAt);
        expect(taken.size + open.length).toBeLessThanOrEqual(3);
      }
    }),
    { numRuns: 300 },
  );
});
