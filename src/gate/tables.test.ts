import { expect, test } from "vitest";
import { lost } from "../../test/support/fake-calls.ts";
import { GateRig, problemOf, secret } from "../../test/support/gate-rig.ts";
import { signTicket } from "../protocol/ticket.ts";

const ticketFor = (room: string, server: string): Promise<string> =>
  signTicket(secret, { room, server, seat: "s", player: "ann", expiresAt: 5_000 });
const outside = "wss://outside.example.com/rooms/1";

test("RA12 a locked room refuses a whole burst of connects without tickets", async () => {
  const rig = new GateRig();
  rig.isLocked = true;
  const answers = await Promise.all(Array.from({ length: 20 }, () => rig.upgrade()));
  for (const answer of answers) expect(await problemOf(answer)).toBe("403 room-locked");
  expect(rig.calls.of("table")).toHaveLength(1);
  expect(rig.connects).toEqual([]);
});

test("RA12 a lock that comes or goes holds within a second", async () => {
  const rig = new GateRig();
  expect((await rig.upgrade()).status).toBe(200);
  rig.isLocked = true;
  rig.clock.advance(1_000);
  expect((await rig.upgrade()).status).toBe(403);
  rig.isLocked = false;
  rig.clock.advance(1_000);
  expect((await rig.upgrade()).status).toBe(200);
});

test("RA12 a ticket opens a locked room", async () => {
  const rig = new GateRig();
  rig.isLocked = true;
  const ticket = await ticketFor("lobby", "lobby-2");
  expect((await rig.upgrade(`?ticket=${ticket}`)).status).toBe(200);
});

test("RA12 a session that no shard gave opens no locked room", async () => {
  for (const shards of [1, 2]) {
    const rig = new GateRig({ shards });
    rig.isLocked = true;
    expect(await problemOf(await rig.upgrade("?session=s1"))).toBe("403 room-locked");
    expect(rig.connects).toEqual([]);
  }
});

test("RA12 when the registry does not answer, what was known of the lock holds on", async () => {
  const rig = new GateRig();
  rig.isLocked = true;
  await rig.upgrade();
  rig.calls.answer = () => lost;
  rig.clock.advance(1_000);
  expect(await problemOf(await rig.upgrade())).toBe("403 room-locked");
});

test("RA5, RA12 a room's own partition is asked for its table", async () => {
  const rig = new GateRig({}, {}, { partitions: 8 });
  for (let n = 0; n < 20; n += 1) await rig.upgrade("", `room-${n}`);
  const asked = rig.calls.made.map(({ id, request }) => [id, "room" in request && request.room]);
  expect(asked).toEqual(asked.map(([, room]) => [rig.rooms.partitionOf(room as never), room]));
  expect(new Set(asked.map(([id]) => id)).size).toBeGreaterThan(3);
});

test("RA13 any other connect is told the address", async () => {
  const rig = new GateRig();
  rig.redirect = outside;
  for (const query of ["", `?ticket=${await ticketFor("lobby", "outside")}`]) {
    const answer = await rig.upgrade(query);
    expect(answer.headers.get("location")).toBe(outside);
    const text = await answer.clone().text();
    expect(text).toContain(`is at ${outside}`);
    expect(await problemOf(answer)).toBe("421 room-elsewhere");
  }
  expect(rig.connects).toEqual([]);
});

test("RA13 reads and writes are told the address once the gate has learned it from a connect", async () => {
  const rig = new GateRig();
  rig.redirect = outside;
  expect((await rig.post("before")).status).toBe(200);
  await rig.upgrade();
  const made = rig.calls.made.length;
  for (const answer of [
    await rig.post("after"),
    await rig.ask("/parties/router/lobby"),
    await rig.ask("/parties/router/lobby/messages"),
  ]) {
    expect(answer.headers.get("location")).toBe(outside);
    expect(await answer.clone().text()).toContain("takes WebSockets and no other requests");
    expect(await problemOf(answer)).toBe("421 room-elsewhere");
  }
  expect(rig.calls.made.length).toBe(made);
});

test("RA13 reads and writes learn within a second that the room has come back", async () => {
  const rig = new GateRig();
  rig.redirect = outside;
  await rig.upgrade();
  rig.redirect = null;
  expect((await rig.post("before")).status).toBe(421);
  rig.clock.advance(1_000);
  expect((await rig.post("after")).status).toBe(200);
});

test("RA13 where a type's rooms are always outside, reads and writes ask for themselves", async () => {
  const rig = new GateRig();
  rig.redirect = outside;
  for (let n = 0; n < 20; n += 1) {
    const init = { method: "POST", body: "x" };
    const answer = await rig.ask("/parties/router/abroad:1", init);
    expect(await problemOf(answer)).toBe("421 room-elsewhere");
  }
  expect(rig.calls.made.map(({ request }) => request.type)).toEqual(["table"]);
});

test("RA13 a room that is back from a server outside is read and written here again", async () => {
  const rig = new GateRig();
  rig.redirect = outside;
  await rig.upgrade();
  rig.redirect = null;
  expect((await rig.post("at once")).status).toBe(421);
  rig.clock.advance(1_000);
  expect((await rig.post("after")).status).toBe(200);
  const made = rig.calls.of("table").length;
  rig.clock.advance(1_000);
  expect((await rig.post("later")).status).toBe(200);
  expect(rig.calls.of("table")).toHaveLength(made);
});

test("RA13 nothing but a seat makes a room outside: else it is unknown, however it is asked for", async () => {
  const rig = new GateRig();
  rig.calls.answer = (call) =>
    call.request.type === "table"
      ? { ok: false, code: "unknown-room", detail: "" }
      : rig.answer(call);
  const ticket = await ticketFor("abroad:1", "eu-1");
  for (const answer of [
    await rig.upgrade("", "abroad:1"),
    await rig.upgrade(`?protocol=1&ticket=${ticket}`, "abroad:1"),
    await rig.upgrade("?session=s1"),
    await rig.post("after a connect"),
    await rig.ask("/parties/router/abroad:1"),
    await rig.ask("/parties/router/abroad:1/messages"),
    await rig.ask("/parties/router/abroad:1", { method: "POST", body: "x" }),
  ]) {
    expect(await problemOf(answer)).toBe("404 unknown-room");
  }
  expect(rig.connects).toEqual([]);
  expect(new Set(rig.calls.made.map(({ request }) => request.type))).toEqual(new Set(["table"]));
});

test("RA13 while the registry is silent, nobody comes to a shard of a room of servers alone", async () => {
  const rig = new GateRig();
  rig.calls.answer = () => lost;
  const init = { method: "POST", body: "x" };
  for (const answer of [
    await rig.upgrade("", "abroad:1"),
    await rig.upgrade("?protocol=1", "abroad:1"),
    await rig.ask("/parties/router/abroad:1", init),
  ]) {
    expect(await problemOf(answer)).toBe("503 unavailable");
  }
  expect(rig.connects).toEqual([]);
});

/** How often the registry was asked for the room's table. */
const askedFor = (rig: GateRig, room: string): number =>
  rig.calls.of("table").filter((each) => each.room === room).length;

test("PL5 a gate forgets the rooms that nobody has come to for longest, at 1,000 after a minute", async () => {
  const rig = new GateRig({ shards: 1 });
  for (let n = 0; n < 999; n += 1) await rig.upgrade("", `room-${n}`);
  rig.clock.advance(62_000);
  await rig.upgrade("", "room-0");
  await rig.upgrade("", "another");
  await rig.upgrade("", "yet-another");
  for (const room of ["room-0", "room-1"]) await rig.upgrade("", room);
  expect([askedFor(rig, "room-0"), askedFor(rig, "room-1")]).toEqual([2, 2]);
  rig.clock.advance(500);
  await rig.upgrade("", "room-0");
  expect(askedFor(rig, "room-0")).toBe(2);
});

test("PL5 a gate knows no more than 10,000 rooms, however fast they come", async () => {
  const rig = new GateRig({ shards: 1 });
  for (let n = 0; n < 10_000; n += 1) await rig.upgrade("", `room-${n}`);
  await rig.upgrade("", "room-0");
  await rig.upgrade("", "another");
  for (const room of ["room-0", "room-9999", "room-1"]) await rig.upgrade("", room);
  expect([0, 1, 9_999].map((n) => askedFor(rig, `room-${n}`))).toEqual([1, 2, 1]);
});

test("PL5 a message to a room on shards causes no call to the registry", async () => {
  const rig = new GateRig();
  for (let n = 0; n < 20; n += 1) {
    await rig.post("x");
    rig.clock.advance(1_000);
  }
  expect(rig.calls.made.filter(({ role }) => role === "registry")).toEqual([]);
});
