import { SignJWT } from "jose";
import { expect, test } from "vitest";
import { lost } from "../../test/support/fake-calls.ts";
import { GateRig, problemOf, secret } from "../../test/support/gate-rig.ts";
import type { ShardId } from "../protocol/names.ts";
import { signTicket } from "../protocol/ticket.ts";

const seat = {
  room: "game:1",
  server: "game:1-1",
  seat: "seat-1",
  player: "ann",
  expiresAt: 5_000,
};
const claim = { id: "seat-1", player: "ann", expiresAt: 5_000 };
const upgrade = { headers: { upgrade: "websocket" } };

const ticketOf = (changes: Partial<typeof seat> = {}): Promise<string> =>
  signTicket(secret, { ...seat, ...changes });

test("RA10 a ticket leads to its shard with its claim, and goes no further itself", async () => {
  const rig = new GateRig();
  const ticket = await ticketOf();
  await rig.upgrade(`?_pk=me&name=a%20b&ticket=${ticket}&x=%2F`, "game:1");
  await rig.upgrade(`?ticket=${ticket}`, "game:1");
  expect(rig.connects).toMatchObject([
    { shard: "game:1-1", connection: "me", query: "_pk=me&name=a%20b&x=%2F", claim },
    { shard: "game:1-1", connection: "id-1", query: "_pk=id-1", claim },
  ]);
  expect(rig.calls.made).toEqual([]);
});

test("RA10 of several shards the ticket's own is the only one tried", async () => {
  const rig = new GateRig({ shards: 4 });
  const ticket = await ticketOf({ room: "lobby", server: "lobby-3" });
  rig.connect = () => ({ ok: false, code: "full" });
  expect(await problemOf(await rig.upgrade(`?ticket=${ticket}`))).toBe("503 room-full");
  expect(rig.connects).toMatchObject([{ shard: "lobby-3", claim }]);
});

async function foreignTickets(): Promise<string[]> {
  const [head = "", body = "", signature = ""] = (await ticketOf()).split(".");
  const key = new TextEncoder().encode(secret);
  const sign = (claims: Record<string, unknown>): Promise<string> =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: "HS256" })
      .setAudience("partyshard:seat")
      .sign(key);
  return [
    await signTicket(`${secret}!`, seat),
    `${head}.${body}`,
    `${head}.${body}.${signature}x`,
    "",
    "x",
    await ticketOf({ room: "game:2", server: "game:2-1" }),
    await ticketOf({ server: "game:1-2" }),
    await ticketOf({ server: "outside" }),
    await ticketOf({ player: "a b" }),
    await ticketOf({ seat: "" }),
    await ticketOf({ expiresAt: -5 }),
    await sign({ room: "game:1", server: "game:1-1" }),
    await sign({ ...seat, player: 5 }),
  ];
}

test("RA10 a ticket that was forged or is for another room or shard is refused", async () => {
  const rig = new GateRig();
  for (const ticket of await foreignTickets()) {
    const answer = await rig.upgrade(`?ticket=${encodeURIComponent(ticket)}`, "game:1");
    expect(await problemOf(answer)).toBe("401 ticket-invalid");
  }
  expect(rig.connects).toEqual([]);
});

test.each([undefined, "", "x".repeat(31)])(
  "RA9 with %j for a secret a connect with a ticket is answered 501",
  async (given) => {
    const rig = new GateRig({}, { secret: given });
    const answer = await rig.upgrade(`?ticket=${await ticketOf()}`, "game:1");
    expect(answer.status).toBe(501);
    expect(await answer.text()).toContain("set PARTYSHARD_SECRET");
    expect([rig.calls.made, rig.connects]).toEqual([[], []]);
  },
);

test("RA10, IO1 a shard takes from outside a WebSocket with a ticket for it, and nothing else", async () => {
  const rig = new GateRig();
  const path = "/parties/main/game:1-1";
  const ticket = await ticketOf();
  expect(await (await rig.ask(`${path}?_pk=me&ticket=${ticket}`, upgrade)).text()).toBe("taken");
  expect(rig.connects.splice(0)).toMatchObject([
    { shard: "game:1-1", connection: "me", query: "_pk=me", claim },
  ]);
  const elsewhere = ["game:1-2", "game:2-1", "lobby-1", "game:1", "game:1-1/x", "chess:1-1"];
  const paths = elsewhere.map((each) => `/parties/main/${each}?ticket=${ticket}`);
  paths.push(`/party/game:1-1?ticket=${ticket}`, `${path}?ticket=`, path);
  for (const forged of await foreignTickets()) {
    paths.push(`${path}?ticket=${encodeURIComponent(forged)}`);
  }
  for (const each of paths) {
    expect(await problemOf(await rig.ask(each, upgrade))).toBe("403 forbidden");
  }
  for (const method of ["GET", "POST", "DELETE", "OPTIONS"]) {
    const answer = await rig.ask(`${path}?ticket=${ticket}`, { method });
    expect(await problemOf(answer)).toBe("403 forbidden");
  }
  expect([rig.calls.made, rig.connects]).toEqual([[], []]);
  const bad = await rig.ask(`${path}?_pk=a~b&ticket=${ticket}`, upgrade);
  expect(await problemOf(bad)).toBe("400 malformed-query");
});

test("RA10, IO1 without a secret no ticket leads to a shard", async () => {
  const rig = new GateRig({}, { secret: undefined });
  const answer = await rig.ask(`/parties/main/game:1-1?ticket=${await ticketOf()}`, upgrade);
  expect(await problemOf(answer)).toBe("403 forbidden");
});

const refusals = [
  ["full", "503 room-full"],
  ["ticket-used", "403 ticket-used"],
  ["ticket-expired", "403 ticket-expired"],
  ["ticket-invalid", "401 ticket-invalid"],
  ["unavailable", "503 unavailable"],
  ["unreachable", "503 unavailable"],
  ["overloaded", "503 unavailable"],
] as const;

test.each(refusals)("RA11 a shard's %s is answered %s, on both hosts", async (code, problem) => {
  const ticket = await ticketOf();
  const refused = { ok: false, code, detail: "as the shard says" };
  const rig = new GateRig();
  rig.connect = () => refused as { ok: false; code: string };
  expect(await problemOf(await rig.upgrade(`?ticket=${ticket}`, "game:1"))).toBe(problem);
  const asking = new GateRig({}, { canRefuseUpgrades: false });
  asking.calls.answer = () => refused as { ok: false; code: string; detail: string };
  for (const path of ["/parties/router/game:1", "/parties/main/game:1-1"]) {
    const answer = await asking.ask(`${path}?ticket=${ticket}`, upgrade);
    expect(await problemOf(answer)).toBe(problem);
  }
  expect(asking.connects).toEqual([]);
});

test("RA11 where upgrades cannot be refused, who brings a ticket or session is asked about first", async () => {
  const rig = new GateRig({}, { canRefuseUpgrades: false });
  rig.loads = rig.loads.map((load) => ({ ...load, connections: 1 }));
  await rig.upgrade(`?_pk=a&ticket=${await ticketOf()}`, "game:1");
  await rig.upgrade("?_pk=b&session=s1");
  await rig.upgrade("?_pk=c");
  expect(rig.calls.of("hold")).toEqual([
    { type: "hold", connection: "a", claim, session: null },
    { type: "hold", connection: "b", claim: null, session: "s1" },
  ]);
  expect(rig.connects.map(({ query }) => query)).toEqual(["_pk=a", "_pk=b&session=s1", "_pk=c"]);
});

const fenced = { ok: false, code: "fenced", detail: "it serves no more" } as const;
const tooLate = { ok: false, code: "ticket-expired", detail: "its grace is over" } as const;

test("RA17 who brings a session of no seat comes in as a newcomer", async () => {
  const rig = new GateRig({ shards: 1 });
  rig.connect = () => (rig.connects.length === 1 ? tooLate : new Response("taken"));
  const answer = await rig.upgrade("?_pk=me&session=s1&epoch=e&since=5&protocol=1&a=%73");
  expect(await answer.text()).toBe("taken");
  expect(rig.connects.map(({ query }) => query)).toEqual([
    "_pk=me&session=s1&epoch=e&since=5&protocol=1&a=%73",
    "_pk=me&epoch=e&since=5&protocol=1&a=%73",
  ]);
});

test("RA17, RA11 where upgrades cannot be refused too, and nothing opens before the shard was asked", async () => {
  const rig = new GateRig({ shards: 1, capacity: 2 }, { canRefuseUpgrades: false });
  rig.calls.answer = (call) => {
    const isBack = call.request.type === "hold" && call.request.session !== null;
    return isBack ? tooLate : rig.answer(call);
  };
  expect(await (await rig.upgrade("?_pk=me&%73ession=s1")).text()).toBe("taken");
  expect(rig.calls.of("hold").map(({ session }) => session)).toEqual(["s1", null]);
  expect(rig.connects.map(({ query }) => query)).toEqual(["_pk=me"]);
});

test("RA17 a newcomer may find the room full, and one with a ticket is none", async () => {
  const rig = new GateRig({ shards: 1 });
  rig.connect = () => (rig.connects.length % 2 === 1 ? tooLate : { ok: false, code: "full" });
  expect(await problemOf(await rig.upgrade("?session=s1"))).toBe("503 room-full");
  const query = `?ticket=${await ticketOf()}`;
  expect(await problemOf(await rig.upgrade(query, "game:1"))).toBe("403 ticket-expired");
  expect(rig.connects).toHaveLength(3);
});

test("RA19 a session leads to the shard of several that gave it", async () => {
  const rig = new GateRig();
  for (let n = 0; n < 4; n += 1) await rig.upgrade("?session=3.s1");
  expect(rig.connects.map(({ shard }) => shard)).toEqual(Array(4).fill("lobby-3"));
  expect(rig.connects[0]?.query).toContain("session=3.s1");
});

test.each(["5.s1", "0.s1", "3s1", ".3.s1"])(
  "RA19 the session %j is of no shard, and leads to any",
  async (session) => {
    const rig = new GateRig();
    for (let n = 0; n < 4; n += 1) await rig.upgrade(`?session=${session}`);
    expect(new Set(rig.connects.map(({ shard }) => shard)).size).toBe(4);
  },
);

test("RA19, RA12 in a locked room its shard says whether it is good", async () => {
  const rig = new GateRig();
  rig.isLocked = true;
  expect((await rig.upgrade("?session=3.s1")).status).toBe(200);
  rig.connect = () => tooLate;
  expect(await problemOf(await rig.upgrade("?session=3.guess"))).toBe("403 room-locked");
  rig.connect = () => lost;
  expect(await problemOf(await rig.upgrade("?session=3.s1"))).toBe("503 unavailable");
  expect(rig.connects.map(({ shard }) => shard)).toEqual(Array(3).fill("lobby-3"));
});

test("RA19 while its shard is lost another takes the client, which keeps its session", async () => {
  const rig = new GateRig();
  rig.connect = (shard) => (shard === "lobby-3" ? lost : new Response("taken"));
  expect((await rig.upgrade("?session=3.s1")).status).toBe(200);
  expect(rig.connects.map(({ query }) => query.includes("session"))).not.toContain(false);
  const one = new GateRig({ shards: 1 });
  one.connect = () => lost;
  expect(await problemOf(await one.upgrade("?session=1.s1"))).toBe("503 unavailable");
});

/** Shards that were asked or handed a socket. */
const reached = (rig: GateRig): Set<string> => {
  const asked = rig.calls.made.filter(({ role }) => role === "shard").map(({ id }) => id);
  return new Set([...asked, ...rig.connects.map(({ shard }) => shard)]);
};

test.each([true, false])(
  "RA19 made-up sessions wake no shard that the room has not, and cost a question a second",
  async (canRefuseUpgrades) => {
    const rig = new GateRig({ shards: { min: 1, max: 4 } }, { canRefuseUpgrades });
    for (let n = 0; n < 20; n += 1) {
      expect((await rig.upgrade(`?session=1~${999_999_900 + n}.x`)).status).toBe(200);
      expect((await rig.upgrade(`?session=${n + 2}.x`)).status).toBe(200);
      rig.clock.advance(100);
    }
    expect([...reached(rig)]).toEqual(["lobby-1"]);
    expect(rig.calls.of("layout").length).toBeLessThanOrEqual(2);
    rig.isLocked = true;
    rig.clock.advance(1_000);
    expect(await problemOf(await rig.upgrade("?session=1~7.x"))).toBe("403 room-locked");
  },
);

test("RA19, PL5 a registry that is down is asked about made-up sessions no more often", async () => {
  const rig = new GateRig({ shards: 1 });
  rig.calls.answer = () => lost;
  for (let n = 2; n < 22; n += 1) expect((await rig.upgrade(`?session=1~${n}.x`)).status).toBe(200);
  expect([...reached(rig)]).toEqual(["lobby-1"]);
  expect(rig.calls.of("layout")).toHaveLength(1);
});

test("RA19 a session leads to a shard that came since the table, or that the table spares", async () => {
  const rig = new GateRig({ shards: 2 });
  const loads = rig.loads;
  await rig.upgrade();
  rig.connects.length = 0;
  const changed = loads.map((load) => ({ ...load, id: `${load.id}~2` as typeof load.id }));
  rig.calls.answer = (call) => {
    if (call.request.type === "layout") return { ok: true, value: { shards: changed } };
    return rig.answer(call);
  };
  for (const slot of [1, 2]) expect((await rig.upgrade(`?session=${slot}~2.x`)).status).toBe(200);
  expect(rig.connects.map(({ shard }) => shard)).toEqual(["lobby-1~2", "lobby-2~2"]);
});

test("RA17, GD10 a shard that was replaced is not tried for its sessions, which open no locked room", async () => {
  const rig = new GateRig({ shards: 2 });
  const successor = { id: "lobby-1~3" as ShardId, generation: 3 };
  rig.loads = rig.loads.map((load, index) => (index === 0 ? { ...load, ...successor } : load));
  rig.connect = (shard) => (rig.loads.some(({ id }) => id === shard) ? new Response("in") : lost);
  for (const session of ["1.x", "1~2.x", "1~3.x"]) {
    expect((await rig.upgrade(`?session=${session}`)).status).toBe(200);
  }
  rig.isLocked = true;
  rig.clock.advance(1_000);
  expect(await problemOf(await rig.upgrade("?session=1~2.x"))).toBe("403 room-locked");
  expect((await rig.upgrade("?session=1~3.x")).status).toBe(200);
  expect([...reached(rig)].filter((id) => id.startsWith("lobby-1"))).toEqual(["lobby-1~3"]);
  expect(rig.calls.of("layout")).toEqual([]);
});

test("RA17, RA12 a session of no seat opens no locked room", async () => {
  const rig = new GateRig({ shards: 1 });
  rig.isLocked = true;
  rig.connect = () => tooLate;
  expect(await problemOf(await rig.upgrade("?session=1.s1"))).toBe("403 room-locked");
  expect(rig.connects).toHaveLength(1);
  rig.connect = () => fenced;
  expect(await problemOf(await rig.upgrade("?session=1.s1"))).toBe("403 room-locked");
});

test("RA17, GD10 who brings a session of a shard that is no more comes in as a newcomer", async () => {
  const rig = new GateRig({ shards: 1 });
  rig.connect = () => (rig.connects.length === 1 ? fenced : new Response("taken"));
  expect((await rig.upgrade("?session=1.s1")).status).toBe(200);
  expect(rig.connects).toHaveLength(2);
});

test.each(["", "a%20b", "%C3%A4", "x".repeat(65)])(
  "HT4, RA11 a session %j is refused",
  async (session) => {
    const rig = new GateRig();
    const answer = await rig.upgrade(`?session=${session}`);
    expect(await problemOf(answer)).toBe("400 malformed-query");
    expect(rig.connects).toEqual([]);
  },
);
