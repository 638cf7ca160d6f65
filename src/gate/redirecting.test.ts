import { expect, test } from "vitest";
import { lost, type Answer, type Call } from "../../test/support/fake-calls.ts";
import { GateRig, problemOf, secret } from "../../test/support/gate-rig.ts";
import type { GatePorts } from "./ports.ts";
import { signTicket, verifyTicket } from "../protocol/ticket.ts";

const address = "wss://outside.example.com/parties/router/abroad:1";
const full: Answer = { ok: false, code: "room-full", detail: "" };

/** A room on a server outside; `reserve` is what the registry says to that. */
function rigOf(
  reserve: (players: readonly string[]) => Answer = held,
  ports: Partial<GatePorts> = {},
): GateRig {
  const rig = new GateRig({}, ports, { partitions: 8 });
  rig.redirect = address;
  rig.calls.answer = (call: Call) =>
    call.request.type === "reserve" && "players" in call.request
      ? reserve(call.request.players)
      : rig.answer(call);
  return rig;
}

function held(players: readonly string[], redirect: string | null = address): Answer {
  const seats = players.map((player) => ({ id: "seat-1", player }));
  const place = { room: "abroad:1", server: "eu-1", instance: "i1", redirect };
  return { ok: true, value: { ...place, expiresAt: 5_000, seats } };
}

function join(rig: GateRig, query = ""): Promise<Response> {
  return rig.upgrade(`?protocol=1${query}`, "abroad:1");
}

/** Where the only frame of a socket leads. */
async function leadsTo(response: Response): Promise<URL> {
  const [, code, frame] = /^(\d+) (.+)$/.exec(await response.text()) ?? [];
  const { type, url } = JSON.parse(frame ?? "{}") as Record<string, string>;
  expect([code, type]).toEqual(["4000", "redirect"]);
  return new URL(url ?? "");
}

test("RA13 a client of protocol 1 is sent to the room's server with a seat in hand", async () => {
  const rig = rigOf();
  const url = await leadsTo(await join(rig, "&_pk=me"));
  expect(url.origin + url.pathname).toBe(address);
  expect([...url.searchParams.keys()]).toEqual(["ticket"]);
  expect(await verifyTicket(secret, url.searchParams.get("ticket") ?? "")).toEqual({
    ok: true,
    value: {
      room: "abroad:1",
      server: "eu-1",
      seat: "seat-1",
      player: "me",
      instance: "i1",
      expiresAt: 5_000,
    },
  });
  const { id } = rig.calls.made.at(-1) ?? {};
  expect(id).toBe(rig.rooms.partitionOf("abroad:1" as never));
  expect(rig.calls.of("reserve")).toMatchObject([
    { roomType: "abroad", room: "abroad:1", players: ["me"], create: null },
  ]);
  expect(rig.connects).toEqual([]);
});

test("RA13 who has a ticket is sent there with no other", async () => {
  const place = { room: "abroad:1", server: "eu-1", seat: "s", player: "ann" };
  const claims = { ...place, instance: "i1", expiresAt: 5_000 };
  const rig = rigOf();
  const ticket = await signTicket(secret, claims);
  expect((await leadsTo(await join(rig, `&ticket=${ticket}`))).href).toBe(address);
  expect(rig.calls.of("reserve")).toEqual([]);
});

test("RA21 who had a ticket to where the room was before gets a seat where it is, as the same player", async () => {
  const place = { room: "abroad:1", server: "eu-0", seat: "s", player: "ann" };
  const former = await signTicket(secret, { ...place, instance: "i0", expiresAt: 5_000 });
  const current = await signTicket(secret, { ...place, instance: "i1", expiresAt: 5_000 });
  for (const [query, players, isReturning] of [
    [`&_pk=me&ticket=${former}`, ["ann"], true],
    [`&_pk=me&ticket=${former}&session=1.s`, ["ann"], true],
    [`&_pk=me&ticket=${current}&session=1.s`, ["ann"], false],
    ["&_pk=me&ticket=forged&session=1.s", ["me"], false],
  ] as const) {
    const rig = rigOf();
    rig.isLocked = isReturning;
    const url = await leadsTo(await join(rig, query));
    expect([query, url.searchParams.has("ticket")]).toEqual([query, true]);
    const [asked] = rig.calls.of("reserve");
    expect(asked).toMatchObject({ players });
    expect(asked !== undefined && "isReturning" in asked).toBe(isReturning);
  }
});

test("RA21 on shards the ticket beside a session counts for nothing", async () => {
  const rig = new GateRig();
  const place = { room: "lobby", server: "lobby-1", seat: "s", player: "ann", expiresAt: 5_000 };
  const ticket = await signTicket(secret, place);
  for (const each of [ticket, "forged"]) {
    expect((await rig.upgrade(`?protocol=1&_pk=me&session=x&ticket=${each}`, "lobby")).status).toBe(
      200,
    );
  }
  expect(rig.connects.map(({ claim }) => claim)).toEqual([null, null]);
});

test("RA13 where the room is not there yet, a client of protocol 1 makes it with its seat", async () => {
  const rig = rigOf(held, { region: () => "oc" });
  const answer = rig.calls.answer;
  const unknown: Answer = { ok: false, code: "unknown-room", detail: "" };
  rig.calls.answer = (call) => (call.request.type === "table" ? unknown : answer(call));
  const url = await leadsTo(await join(rig, "&_pk=me&session=s1"));
  expect(url.origin + url.pathname).toBe(address);
  expect(url.searchParams.has("ticket")).toBe(true);
  const made = { room: "abroad:1", create: "abroad:1", players: ["me"], region: "oc" };
  expect(rig.calls.of("reserve")).toMatchObject([made]);
  const closed = rigOf(held, { secret: undefined });
  closed.calls.answer = rig.calls.answer;
  expect(await problemOf(await join(closed))).toBe("501 not-configured");
  const crowded = rigOf(() => full);
  crowded.calls.answer = (call) => (call.request.type === "table" ? unknown : full);
  expect(await problemOf(await join(crowded, "&session=s1"))).toBe("503 room-full");
});

test("RA20 a gate lets rooms come about by connects no faster than is good for their servers", async () => {
  const rig = rigOf();
  const { answer } = rig.calls;
  const unknown: Answer = { ok: false, code: "unknown-room", detail: "" };
  rig.calls.answer = (call) => (call.request.type === "table" ? unknown : answer(call));
  const joinMany = async (count: number, first: number) => {
    const names = Array.from({ length: count }, (_, index) => `abroad:${first + index}`);
    return Promise.all(names.map((name) => rig.upgrade("?protocol=1", name)));
  };
  const made = await joinMany(130, 0);
  expect(rig.calls.of("reserve")).toHaveLength(100);
  const [refused] = made.slice(-1);
  expect([refused?.status, refused?.headers.get("retry-after")]).toEqual([503, "2"]);
  rig.clock.advance(1_000);
  await joinMany(30, 200);
  expect(rig.calls.of("reserve")).toHaveLength(120);
  rig.calls.answer = answer;
  rig.clock.advance(1);
  expect((await rig.upgrade("?protocol=1", "abroad:1000")).status).toBe(200);
  expect(rig.calls.of("reserve")).toHaveLength(121);
});

test("RA13 without a secret there are no tickets, and the frame leads there all the same", async () => {
  const rig = rigOf(held, { secret: undefined });
  expect((await leadsTo(await join(rig))).href).toBe(address);
  expect(rig.calls.of("reserve")).toEqual([]);
});

test.each([
  ["full", full, "503 room-full"],
  ["locked", { ok: false, code: "room-locked", detail: "" }, "403 room-locked"],
  ["gone", { ok: false, code: "unknown-room", detail: "" }, "503 unavailable"],
  ["of a server that is silent", { ok: false, code: "unavailable", detail: "" }, "503 unavailable"],
  ["of a registry that is", lost, "503 unavailable"],
  ["on shards by now", held(["me"], null), "503 unavailable"],
] as const)("RA13 nobody is sent to a room that is %s", async (_, answer, problem) => {
  const rig = rigOf(() => answer);
  expect(await problemOf(await join(rig))).toBe(problem);
});

test("RA13, AD5 a registry that hangs is not waited for", async () => {
  const rig = rigOf();
  const answer = rig.calls.answer;
  rig.calls.answer = (call) =>
    call.request.type === "reserve" ? new Promise<Answer>(() => {}) : answer(call);
  const joining = join(rig);
  await rig.passWait();
  expect(await problemOf(await joining)).toBe("503 unavailable");
});

test("RA13, RA17 who comes back gets another seat, or asks for the old one where no other is free", async () => {
  const rig = rigOf();
  const again = await leadsTo(await join(rig, "&session=s1"));
  expect(again.searchParams.has("ticket")).toBe(true);
  const crowded = rigOf(() => full);
  expect((await leadsTo(await join(crowded, "&session=s1"))).href).toBe(address);
  crowded.isLocked = true;
  crowded.clock.advance(1_000);
  expect((await leadsTo(await join(crowded, "&session=s1"))).href).toBe(address);
  expect(await problemOf(await join(crowded))).toBe("403 room-locked");
});
